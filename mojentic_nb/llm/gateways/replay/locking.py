"""A lock on a file for one writer at a time, among all threads and processes.

It is the operating system's lock of an empty file beside it: ``flock`` on POSIX, ``msvcrt.locking`` on Windows. It ends
with the process that holds it, however that one ends.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["locked"]

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def lock(file: int) -> None:
        """Wait for the lock; Windows gives up after ten seconds."""
        while True:
            try:
                msvcrt.locking(file, msvcrt.LK_LOCK, 1)
                return
            except OSError as error:
                if error.errno != errno.EDEADLOCK:
                    raise
else:
    import fcntl

    def lock(file: int) -> None:
        """Wait for the lock."""
        fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock `path`, whose folder must exist. Raises OSError."""
    beside = path.with_name(f".{path.name}.lock")
    file = take_lock(beside)
    try:
        yield
    finally:
        remove(beside)
        os.close(file)
        if os.name == "nt":  # pragma: no cover (it can't remove an open file)
            remove(beside)


def take_lock(beside: Path) -> int:
    """Open the file `beside` and lock it."""
    while True:
        file = os.open(beside, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            lock(file)
        except BaseException:
            os.close(file)
            raise
        if is_at(file, beside):
            return file
        os.close(file)


def is_at(file: int, path: Path) -> bool:
    """Return whether the open `file` is the one at `path`, which the last owner of the lock may have removed."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def remove(file: Path) -> None:
    """Remove `file` if possible."""
    with suppress(OSError):
        file.unlink()
