"""The user's cache folder: for what can be made again, and is kept because making it takes time."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from atexit import register
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import OutputError
from cellmonai.core.files import require_writable

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "CELLMONAI_CACHE"
"""Environment variable: a folder to use in place of the system's cache folder."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that can be written; where it is one for this process only, `why_temporary` says why."""

    folder: Path
    why_temporary: str = ""


def cache_place(environ: Mapping[str, str], system: str) -> Path:
    """Give the cache folder of a user, whether it exists or not.

    Parameters
    ----------
    environ : environment variables; CELLMONAI_CACHE wins over those of the system
    system : as `sys.platform`

    Raises
    ------
    RuntimeError
        No variable names a folder and the user has no home.

    References
    ----------
    XDG Base Directory Specification 0.8, which says that a relative path is to be ignored.
    """
    if named := environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    if system == "win32" and (local := environ.get("LOCALAPPDATA")):
        return Path(local) / "cellmonai" / "cache"
    if system == "darwin":
        return Path.home() / "Library" / "Caches" / "cellmonai"
    if (named := environ.get("XDG_CACHE_HOME")) and Path(named).is_absolute():
        return Path(named) / "cellmonai"
    return Path.home() / ".cache" / "cellmonai"


def open_cache() -> Cache:
    """Give the cache folder, made for this user alone where it is new.

    A cache that cannot be used is no failure: another folder is given, which is removed when the process ends.

    Raises
    ------
    OutputError
        The folder for temporary files cannot be written either.
    """
    try:
        folder = cache_place(os.environ, sys.platform)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        require_writable(folder)
    except (OSError, RuntimeError) as error:
        return temporary_cache(getattr(error, "strerror", None) or str(error))
    except OutputError as error:
        return temporary_cache(error.what)
    danger = open_to_others(folder)
    return temporary_cache(danger) if danger else Cache(folder)


def readable_caches() -> list[Path]:
    """Give the folders to look into: the user's, which may be one that only root can write, and that of the process."""
    folders = [_temporary_folder()] if _temporary_folder.cache_info().currsize else []
    try:
        folder = cache_place(os.environ, sys.platform)
        if folder.is_dir() and not open_to_others(folder):
            folders.append(folder)
    except (OSError, RuntimeError):  # no home, or no permission to look
        return folders
    return folders


def open_to_others(folder: Path) -> str:
    """Say why another user could plant something in a folder; empty where nobody but the user and root can."""
    if os.name != "posix":
        return ""
    state = folder.stat()
    if state.st_uid not in {0, os.geteuid()}:
        return f"{folder} belongs to another user"
    return f"{folder} can be written by other users" if state.st_mode & 0o022 else ""


def temporary_cache(why: str) -> Cache:
    """Give a folder that lives as long as the process, the same one every time."""
    return Cache(_temporary_folder(), why)


@cache
def _temporary_folder() -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="cellmonai-"))  # for this user alone
    except OSError as error:
        raise OutputError(
            f"no folder for temporary files can be made ({error.strerror or error})",
            cure=f"let the variable TMPDIR or {VARIABLE} name a folder with space and permission to write",
        ) from error
    register(shutil.rmtree, folder, ignore_errors=True)
    return folder
