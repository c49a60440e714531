"""Checking a file's SHA-256, which is remembered.

Reading a model takes a moment, so a good result is kept with the file's size, times and inode, and the file is read
again only when one of them has changed. The kept result counts only if nobody but the user can have written it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["has_sha256"]


def has_sha256(path: Path, sha256: str, known: Path) -> bool:
    """Return whether the file at `path` has that SHA-256, and keep that in the file `known`. Raises OSError."""
    state = path.stat()
    found = [str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, sha256]
    if found == kept_in(known):
        return True
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest == sha256:
        with suppress(OSError):  # it is read again the next time
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
