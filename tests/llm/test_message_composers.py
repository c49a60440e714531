"""Messages made of files, images and templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mojentic_nb.llm import LLMMessage, MessageBuilder, MessageRole
from mojentic_nb.llm.message_composers import FileTypeSensor

PNG = b"\x89PNG\r\n\x1a\n\0\0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of several kinds, where the program runs."""
    for name, content in {
        "b.py": b"print('b')\n",
        "a.py": b"  indented = 1",
        "notes.md": "Caf\xe9\n".encode(),
        "sub/c.py": b"c = 3\n",
        "sub/deep/d.py": b"d = 4\n",
        ".hidden.py": b"hidden\n",
        "plots/2.png": PNG,
        "plots/1.png": PNG,
        "plots/3.WEBP": PNG,
        "plots/data.csv": b"x,y\n1,2\n",
        "binary.bin": b"\0\1\2",
        "[draft] a*.txt": b"literal\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_in(message: LLMMessage) -> list[str]:
    """The paths of the files in a message."""
    return re.findall("^File: (.+)$", message.content or "", re.MULTILINE)


def test_files_come_in_fences_before_the_text(folder: Path):
    message = MessageBuilder("What does it do?").add_file("b.py").add_file(Path("notes.md")).build()

    assert message.role is MessageRole.User
    assert message.content == (
        "File: b.py\n```python\nprint('b')\n```\n\nFile: notes.md\n```markdown\nCafé\n```\n\nWhat does it do?"
    )
    assert message.image_paths is None


def test_the_text_of_a_file_stays_as_it_is(folder: Path):
    (folder / "bom.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    (folder / "empty.txt").write_bytes(b"")

    message = MessageBuilder().add_files("a.py", "bom.txt", "empty.txt").build()

    assert "```python\n  indented = 1\n```" in message.content
    assert "```text\none\ntwo\n```" in message.content
    assert message.content.endswith("File: empty.txt\n```text\n```")


@given(st.text(alphabet="`~ab\n", max_size=40))
def test_nothing_in_a_file_closes_its_fence(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.mktemp("fences") / "a.md"
    path.write_text(text, "utf-8")

    lines = MessageBuilder().add_file(path).build().content.split("\n")

    fence = re.match("`+", lines[1])[0]
    assert lines[-1] == fence
    assert not any(line.strip().startswith(fence) for line in lines[2:-1])
    assert "\n".join(lines[2:-1]) == text.removesuffix("\n")


def test_patterns_and_folders_in_the_order_of_names(folder: Path):
    assert files_in(MessageBuilder().add_files("*.py").build()) == ["a.py", "b.py"]
    assert files_in(MessageBuilder().add_files("**/*.py").build()) == ["a.py", "b.py", "sub/c.py", "sub/deep/d.py"]
    assert files_in(MessageBuilder().add_files(folder / "sub").build()) == [str(folder / "sub" / "c.py")]
    assert files_in(MessageBuilder().add_files("b.py", "*.py", Path("a.py")).build()) == ["b.py", "a.py"]


def test_binary_files_of_a_folder_or_a_pattern_are_left_out(folder: Path):
    assert files_in(MessageBuilder().add_files("plots").build()) == ["plots/data.csv"]
    assert files_in(MessageBuilder().add_files("[bn]*").build()) == ["b.py", "notes.md"]


def test_a_name_that_looks_like_a_pattern(folder: Path):
    assert files_in(MessageBuilder().add_files("[draft] a*.txt").build()) == ["[draft] a*.txt"]
    (folder / "[x]").mkdir()
    (folder / "[x]" / "y.txt").write_text("y")

    assert files_in(MessageBuilder().add_files("[x]").build()) == ["[x]/y.txt"]


def test_the_home_folder_has_its_short_name(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))

    assert MessageBuilder().add_file("~/b.py").file_paths == [folder / "b.py"]
    assert MessageBuilder().add_files("~/sub/*.py").file_paths == [folder / "sub" / "c.py"]


def test_images(folder: Path):
    builder = MessageBuilder("Compare.").add_image("plots/2.png").add_images("plots/*", Path("plots/1.png"))

    message = builder.build()

    assert message.content == "Compare."
    assert message.image_paths == ["plots/2.png", "plots/1.png", "plots/3.WEBP"] == builder.image_paths
    assert MessageBuilder().add_images("plots").build().content is None


def test_links_and_data_are_images_too(folder: Path):
    link, data = "https://example.com/*.png?x=[1]", "data:image/png;base64,iVBORw0KGgo="

    message = MessageBuilder().add_image(link).add_images(data, link).build()

    assert message.image_paths == [link, data]


@pytest.mark.parametrize(
    ("add", "error", "words"),
    [
        (lambda b: b.add_file("missing.py"), FileNotFoundError, "No file 'missing.py' in "),
        (lambda b: b.add_file("sub"), FileNotFoundError, "'sub' is a folder. Pass a file."),
        (lambda b: b.add_files("b.py", "missing.py"), FileNotFoundError, "No file 'missing.py' in "),
        (lambda b: b.add_files("*.rs"), FileNotFoundError, r"No text file at '*.rs' in "),
        (lambda b: b.add_files("*.bin"), FileNotFoundError, "No text file at '*.bin' in "),
        (lambda b: b.add_file("binary.bin"), ValueError, "'binary.bin' isn't UTF-8 text. Convert it first."),
        (lambda b: b.add_files("b.py", "binary.bin"), ValueError, "'binary.bin' isn't UTF-8 text. Convert it first."),
        (lambda b: b.add_file("plots/1.png"), ValueError, "isn't UTF-8 text"),
        (lambda b: b.add_image("missing.png"), FileNotFoundError, "No file 'missing.png' in "),
        (lambda b: b.add_images("plots/1.png", "*.gif"), FileNotFoundError, "No image at '*.gif' in "),
        (lambda b: b.add_images("plots/1.png", "b.py"), ValueError, "'b.py' isn't an image by its name. Use a .png"),
        (lambda b: b.load_content("missing.md"), FileNotFoundError, "No file 'missing.md' in "),
        (lambda b: b.load_content("b.py", {"x": Path("no.md")}), FileNotFoundError, "No file 'no.md' in "),
    ],
)
def test_what_cannot_be_added_is_named_and_nothing_is_added(folder: Path, add, error, words: str):
    builder = MessageBuilder("Hello.")

    with pytest.raises(error) as failure:
        add(builder)

    assert str(failure.value).startswith(words) or words in str(failure.value)
    assert "\n" not in str(failure.value)
    assert builder.build() == LLMMessage(content="Hello.")


def test_an_empty_message():
    with pytest.raises(ValueError, match="The message is empty. Add text, a file or an image."):
        MessageBuilder().build()


def test_a_template(folder: Path):
    (folder / "t.md").write_text("Dear {name}, see {file}. {json} {name} {other} {{name}} {}", "utf-8")
    values = {"name": "{file}", "file": Path("notes.md"), "json": '{"name": 1}', "na": "x", "n.me": "y"}

    message = MessageBuilder("before").load_content("t.md", values).build()

    assert message.content == 'Dear {file}, see Café. {"name": 1} {file} {other} {{file}} {}'
    assert MessageBuilder().load_content(folder / "t.md").build().content.startswith("Dear {name}")
    assert MessageBuilder().load_content("t.md", {"name": 5}).build().content.startswith("Dear 5, see {file}")


def test_languages_by_the_ending_of_a_name(folder: Path):
    sensor = FileTypeSensor()
    sensor.add_language(".Nix", "nix")

    assert [sensor.get_language(name) for name in ("a.PY", Path("x/b.tar.rs"), "c.nix", "Makefile", "d.unknown")] == [
        "python",
        "rust",
        "nix",
        "text",
        "text",
    ]
    assert FileTypeSensor().get_language("c.nix") == "text"

    builder = MessageBuilder().add_file("b.py")
    builder.type_sensor.add_language("py", "python3")
    assert "```python3\n" in builder.build().content
