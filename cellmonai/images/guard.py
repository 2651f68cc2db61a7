"""The door in front of every reader: what may be opened, and one place where a reader's failure becomes a sentence."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError, MemoryBudgetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\\\x01\0\0", "NIfTI"),
    (b"\0\0\x01\\", "NIfTI"),
    (b"\x1c\x02\0\0", "NIfTI"),
    (b"\0\0\x02\x1c", "NIfTI"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WebP or AVI"),
    (b"%PDF", "PDF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\x89HDF", "HDF5"),
    (b"ZISRAWFILE", "CZI"),
)


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Turn whatever a reader raises in the block into an InputError that names the file and the stage.

    Parameters
    ----------
    path : the file that is read
    stage : what is read, after "cannot read": "the pixels", "the header"
    """
    try:
        yield
    except CellmonaiError:
        raise
    except MemoryError as error:
        raise MemoryBudgetError(
            f"there is not enough memory to read {stage}", where=str(path), cure="close other programs or cut the image"
        ) from error
    except Exception as error:  # decoders raise anything on damaged files
        reason = _reason(error)
        raise InputError(
            f"cannot read {stage} ({reason})", where=str(path), cure="the file is damaged or of an unknown kind"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:160]}" if words else type(error).__name__


def require_regular_file(path: Path, *, follow_links: bool = True) -> int:
    """Return the size of `path` in bytes when it is an ordinary file with something in it, or a link to one.

    Parameters
    ----------
    follow_links : False refuses links too, for files that lie inside an image and could lead out of it

    Raises
    ------
    InputError
        Nothing is there, or a folder, a pipe, a device, an empty file, a link to one of these, or a link to nothing.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) and follow_links:
            status = _target_of(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError("no such file", where=str(path), cure="check the path") from error
    problem = _not_regular(status.st_mode)
    if problem is not None:
        what, cure = problem
        raise InputError(what, where=str(path), cure=cure)
    if status.st_size == 0:
        raise InputError("the file is empty", where=str(path), cure="export the image again")
    return status.st_size


def _target_of(link: Path) -> os.stat_result:
    try:
        return link.stat()
    except OSError as error:
        loops = error.errno == errno.ELOOP
        what = "this is a link that leads back to itself" if loops else "this is a link to a file that cannot be found"
        raise InputError(what, where=str(link), cure="pass the file itself, or make the link anew") from error


def _not_regular(mode: int) -> tuple[str, str] | None:
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "this is a folder, not an image", "name an image in it"
    if stat.S_ISLNK(mode):
        return "this is a link, and links inside an image are not followed", "copy the file that it points to"
    return "this is a pipe, a socket or a device, not a file", "pass an ordinary file"


def kind_of_content(path: Path) -> str:
    """Say what the first bytes of a file are: "TIFF", "PNG", …, "text", or "unknown"."""
    with reading(path, "the file"), path.open("rb") as stream:
        start = stream.read(512)
    if start[344:348] in {b"n+1\0", b"ni1\0"}:
        return "NIfTI"
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    return "text" if _is_text(start) else "unknown"


def _is_text(start: bytes) -> bool:
    control = sum(byte < 9 or 13 < byte < 32 for byte in start)
    return control == 0 and b"\0" not in start
