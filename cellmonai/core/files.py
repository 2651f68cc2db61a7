"""Files that appear whole or not at all: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp(?:\.[^.]+)?")


@contextmanager
def atomic_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `target`; it becomes `target` when the block ends without an exception.

    The temporary name is hidden and keeps the suffix of `target`, because writers choose the format by it.

    Raises
    ------
    OutputError
        `target` exists and `overwrite` is not set, or the folder cannot be written.
    """
    refuse_existing([target], overwrite=overwrite)
    temporary = target.with_name(_temporary_name(target.suffix))
    try:
        make_folder(target.parent)
        yield temporary
        sync(temporary)
        os.replace(temporary, target)  # noqa: PTH105 - os.replace is the atomic one on every platform
        sync_folder(target.parent)
    except OSError as error:
        _discard(temporary)
        raise not_writable(target, error) from error
    except BaseException:
        _discard(temporary)
        raise


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """As `atomic_file`, for an output that is a folder, such as a Zarr store."""
    refuse_existing([target], overwrite=overwrite)
    temporary = target.with_name(_temporary_name(target.suffix))
    try:
        make_folder(temporary)
        yield temporary
        if target.exists():  # a folder cannot be replaced in one step where it is not empty
            old = target.with_name(_temporary_name())
            target.rename(old)
            temporary.rename(target)
            _discard(old)
        else:
            temporary.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        _discard(temporary)
        raise not_writable(target, error) from error
    except BaseException:
        _discard(temporary)
        raise


def write_text(target: Path, text: str, *, overwrite: bool = False) -> None:
    """Write `text` as UTF-8 with LF line ends, atomically; lone surrogates of file names are escaped."""
    with atomic_file(target, overwrite=overwrite) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def write_json(target: Path, document: Any, *, overwrite: bool = False) -> None:  # noqa: ANN401 - any JSON value
    """Write a JSON document, atomically; NaN and infinity are refused, as JSON has no such numbers."""
    write_text(target, json.dumps(document, indent=2, allow_nan=False) + "\n", overwrite=overwrite)


def refuse_existing(targets: Iterable[Path], *, overwrite: bool) -> None:
    """Raise OutputError for the first of `targets` that exists, unless `overwrite` is set."""
    if overwrite:
        return
    for target in targets:
        if os.path.lexists(target):
            raise OutputError(
                "the output exists already", where=str(target), cure="choose another --output or add --overwrite"
            )


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents.

    Raises
    ------
    OutputError
        The folder cannot be made: a file is in the way, or no permission.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from error


def require_writable(folder: Path) -> None:
    """Fail at once, before any work, when nothing can be written into `folder`."""
    make_folder(folder)
    probe = folder / _temporary_name()
    try:
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)  # the holder of the lock may have taken it for an orphan
    except OSError as error:
        raise not_writable(folder, error) from error


def require_possible(folder: Path) -> None:
    """Fail at once where a folder can surely not be made or written, and leave nothing behind.

    For a look before work that takes long, as loading a model; `folder_lock` makes the folder when that is done.

    Raises
    ------
    OutputError
        A file or a link that leads nowhere is in the way, or there is no permission.
    """
    place = folder
    try:
        while not _is_there(place):
            if place == place.parent:
                break
            place = place.parent
        if not place.is_dir():
            raise OutputError(
                "a file, or a link that leads nowhere, is in the way", where=str(place), cure="choose another --output"
            )
        probe = place / _temporary_name()
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from error


def _is_there(path: Path) -> bool:
    """Tell whether something has this name; a name that cannot be looked for is a failure."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove_orphans(folder: Path, *inside: str) -> None:
    """Remove what killed runs left: files under a temporary name of `atomic_file`, directly in `folder`.

    Only for the holder of the lock of `folder`: other runs are still writing theirs. Links and folders stay.

    Parameters
    ----------
    folder : an output folder
    inside : names of folders in it that belong to the same lock; links to folders are not followed
    """
    for place in (folder, *(path for name in inside if not (path := folder / name).is_symlink())):
        with suppress(OSError), os.scandir(place) as entries:
            orphans = [e for e in entries if _TEMPORARY.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
            for orphan in orphans:
                os.unlink(orphan.path)  # noqa: PTH108 - the path of an entry is a text


def resolved(path: Path) -> Path:
    """Give the absolute path without links, as `Path.resolve`, which fails where links lead in a circle."""
    return Path(os.path.realpath(path))


def read_ordinary(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes; a pipe would be waited for, and a device read without end.

    Raises
    ------
    OSError
        It cannot be read, is no ordinary file, or is longer.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, a device or a socket, not a file", str(path))
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def sha256_of(path: Path) -> str:
    """Give the SHA-256 digest of a file, or of every file in a folder in name order, in hexadecimal."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink()):
            digest.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\0")
            digest.update(bytes.fromhex(sha256_of(file)))
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _temporary_name(suffix: str = "") -> str:
    """Give a name that no other file has; `_TEMPORARY` knows it again."""
    return f".{secrets.token_hex(8)}.tmp{suffix}"


def not_writable(
    target: Path, error: OSError, *, cure: str = "choose a folder with space and permission to write"
) -> OutputError:
    """Give the failure to raise when the system refuses to write `target`: no space, no permission."""
    reason = error.strerror or str(error)
    return OutputError(f"cannot be written ({reason})", where=str(target), cure=cure)


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk.

    Raises
    ------
    OSError
        They could not be written; the system reports it once, so that trying again proves nothing.
    """
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    if os.name == "posix":
        with suppress(OSError):  # some network file systems refuse to sync folders
            sync(folder)


def remove_any(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing where there is none.

    Raises
    ------
    OutputError
        It cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"it is of an earlier run and cannot be removed ({error.strerror or error})",
            where=str(path),
            cure="remove it, or choose another --output",
        ) from error


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
