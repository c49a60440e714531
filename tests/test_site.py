"""The site that is made of the docs: complete, and whole without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest

from mojentic_nb.magics import LLMMagics

REFERENCE = {
    "llm": "mojentic_nb.llm",
    "gateways": "mojentic_nb.llm.gateways",
    "tools": "mojentic_nb.llm.tools",
    "errors": "mojentic_nb.llm.errors",
    "tracer": "mojentic_nb.tracer",
    "display": "mojentic_nb.display",
}


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


class Loads(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.found.append(given.get("href") or "")
        if tag in ("script", "img", "iframe", "source", "video"):
            self.found.append(given.get("src") or "")


def test_its_pages_load_nothing_from_elsewhere(site: Path):
    loads = {address for page in site.rglob("*.html") for address in Loads(page.read_text("utf-8")).found}
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))

    assert any(address.endswith(".css") for address in loads)
    assert [address for address in loads if re.match(r"https?:|//", address)] == []
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]+", styles) == []


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_leaves_no_public_name_out(site: Path, name: str):
    package = REFERENCE[name]
    text = (site / "api" / f"{name}.html").read_text("utf-8")

    assert [public for public in import_module(package).__all__ if f'id="{package}.{public}"' not in text] == []


def test_the_reference_tells_of_each_setting_of_the_magics(site: Path):
    text = (site / "api" / "magics.html").read_text("utf-8")

    for name, trait in LLMMagics.class_traits(config=True).items():
        assert f'id="mojentic_nb.magics.LLMMagics.{name}"' in text
        assert trait.help.partition("'")[0].partition(":")[0] in text


def test_what_docstrings_refer_to_is_a_link_or_code(site: Path):
    pages = {path.stem: path.read_text("utf-8") for path in (site / "api").glob("*.html")}

    assert [name for name, text in pages.items() if re.search(r":(class|meth|func|attr|data|mod):", text)] == []
    assert re.search(r'href="errors.html#mojentic_nb.llm.errors.ConfigurationError"><code>', pages["gateways"])
    assert re.search(r'href="[^"]*#mojentic_nb.display.(live.)?LiveView.watch"><code>watch</code>', pages["display"])
