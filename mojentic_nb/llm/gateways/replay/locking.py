"""One writer at a time for a file, among all threads and processes.

The lock is the operating system's, on an empty file beside it: ``flock`` on POSIX, ``msvcrt.locking`` on Windows. It
ends with the process that holds it, however that one ends.
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
    """Keep other writers away from `path`, whose folder must exist; raises OSError where that can't be."""
    beside = path.with_name(f".{path.name}.lock")
    file = held(beside)
    try:
        yield
    finally:
        remove(beside)
        os.close(file)
        if os.name == "nt":  # pragma: no cover (it doesn't remove an open file)
            remove(beside)


def held(beside: Path) -> int:
    """Open the file `beside` and take its lock."""
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
    """Whether the open `file` is the one at `path`: whoever had the lock before has removed that one."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def remove(file: Path) -> None:
    """Remove `file`, unless that can't be done now."""
    with suppress(OSError):
        file.unlink()
