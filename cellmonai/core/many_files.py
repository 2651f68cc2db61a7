"""Many small files that have to be on disk together: written first, then synced side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cellmonai.core.files import sync, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_AT_ONCE = 8
"""Files that are synced at a time: waiting for the disk side by side took a fifth of the time of one by one."""


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder and give their paths; `sync_all` brings them to the disk.

    Parameters
    ----------
    folder : exists; folders in it are made as needed
    files : content by name relative to `folder`, with forward slashes; a file that exists is replaced in place

    Raises
    ------
    OSError
        No space, or no permission.
    """
    paths = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return paths


def sync_all(files: Iterable[Path], *, below: Path) -> None:
    """Wait until files and their names are on the disk.

    Parameters
    ----------
    files : paths of files that are written and closed
    below : the folder from which on names are new; it is synced itself, what it lies in is not

    Raises
    ------
    OSError
        One of them could not be written.
    """
    files = list(files)
    folders = {folder for file in files for folder in file.parents if folder == below or below in folder.parents}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(sync, files))
        list(threads.map(sync_folder, sorted(folders)))
