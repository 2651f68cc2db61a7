"""One writer per output folder: a kernel lock, which a killed process cannot leave behind."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cellmonai.core.errors import LockedError
from cellmonai.core.files import require_writable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = ".cellmonai.lock"
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


@contextmanager
def folder_lock(folder: Path, *, name: str = LOCK_NAME, shared: bool = False, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of an output folder, which is made when missing, while the block runs.

    A folder that was made for the block and is still empty at its end is taken away again. The block is told whether
    the lock is held: on a file system that has no locks it is not, and other runs may be at work.

    Parameters
    ----------
    name : of the file that is locked
    shared : together with others who ask for it so, but not beside one who holds it alone; Windows has no such locks
    wait : until it is free, instead of raising LockedError

    Raises
    ------
    LockedError
        Another run holds the lock.
    OutputError
        The folder cannot be written.
    """
    made = [path for path in (folder, folder.parent) if not path.exists()]
    require_writable(folder)
    path = folder / name
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        try:
            _lock(descriptor, shared=shared, wait=wait)
        except OSError as error:
            if error.errno not in _HELD:  # this file system has no locks: better to work than to refuse all work
                yield False
                return
            raise LockedError(
                "another run is writing here", where=str(folder), cure="wait for it or choose another --output"
            ) from error
        yield True
    finally:
        os.close(descriptor)
        _remove_if_empty(folder, made)


def _remove_if_empty(folder: Path, made: list[Path]) -> None:
    """Take away the folders that were made for the lock and hold nothing else."""
    with suppress(OSError):
        if folder in made and [path.name for path in folder.iterdir()] == [LOCK_NAME]:
            (folder / LOCK_NAME).unlink()
            for path in made:
                path.rmdir()


def _lock(descriptor: int, *, shared: bool, wait: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        if not shared:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
