"""The folder of a plane in work: what lies in it, whether that is ours and whole, and taking it away."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from typing import TYPE_CHECKING

from cellmonai.core.errors import OutputError
from cellmonai.core.files import not_writable, remove_orphans, sync_folder
from cellmonai.images.block_records import FileSum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cellmonai.images.block_records import BlockRecord, PlaneFacts, Progress
    from cellmonai.images.source import Region

JOURNAL = "journal.jsonl"
MAPS = "maps.zarr"
MASKS = "masks"
MASK = "mask.tif"
REPLACED = "replaced"
"""Older results lie here from the moment that new ones take their names until the folder goes."""

REDO = "run the same command again, which does again what is damaged"

_OURS = re.compile(
    rf"{re.escape(JOURNAL)}|{re.escape(MASK)}|{MASKS}(/[0-9]+_[0-9]+\.bits)?|{REPLACED}"
    rf"|{re.escape(MAPS)}(/zarr\.json|/0|/0/zarr\.json|/0/c(/[0-9]+){{0,3}})?"
)


def contents_of_folder(folder: Path, name: str = "") -> dict[str, int]:
    """Give the bytes of each file in a folder and below, by its name relative to the folder of the plane.

    Parameters
    ----------
    folder : that of the plane, or one in it that may have been moved
    name : what `folder` is called in that of the plane, "" for itself

    Raises
    ------
    OutputError
        There is something that no run of ours writes: a link, a device, a file or folder of another name.
    """
    found: dict[str, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            inner = f"{name}/{entry.name}" if name else entry.name
            is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
            if not (is_folder or is_file) or not _OURS.fullmatch(inner):
                raise OutputError(
                    f"the folder of an unfinished run holds {entry.name}, which no run wrote",
                    where=str(folder),
                    cure="move it away and run the same command again",
                )
            if is_file:
                found[inner] = entry.stat(follow_symlinks=False).st_size
            elif inner != REPLACED:  # older results may hold anything
                found |= contents_of_folder(folder / entry.name, inner)
    return found


def require_folder(folder: Path) -> None:
    """Refuse a link or a file in place of the folder.

    Raises
    ------
    OutputError
        That is what is there.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise OutputError("a link or a file is in the way", where=str(folder), cure="move it away")


def clear(folder: Path) -> None:
    """Take away what an earlier run left in the folder, and nothing else.

    Raises
    ------
    OutputError
        It holds what no run wrote, or cannot be removed.
    """
    if not os.path.lexists(folder):
        return
    require_folder(folder)
    try:
        remove_orphans(folder)
        contents_of_folder(folder)
        remove(folder)
    except OSError as error:
        raise not_writable(folder, error) from error


def remove(folder: Path) -> None:
    """Take the folder away, the journal last: as long as it lies there, the same command can end what was begun.

    Raises
    ------
    OSError
        Something cannot be removed.
    """
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != JOURNAL:
            path.unlink()
    (folder / JOURNAL).unlink(missing_ok=True)
    folder.rmdir()
    sync_folder(folder.parent)


def sum_of_bytes(contents: Iterable[bytes]) -> FileSum:
    """Give lengths and digest of what goes into files."""
    digest, lengths = hashlib.sha256(), []
    for content in contents:
        digest.update(content)
        lengths.append(len(content))
    return FileSum(tuple(lengths), digest.hexdigest())


def sum_of_file(path: Path) -> FileSum | None:
    """Give length and digest of one file, None where there is none that can be read."""
    try:
        with path.open("rb") as stream:
            return FileSum((os.fstat(stream.fileno()).st_size,), hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError:
        return None


def damaged_blocks(
    folder: Path, present: Mapping[str, int], plane: PlaneFacts, progress: Progress, *, verify: bool
) -> tuple[Region, ...]:
    """Give the blocks whose files are not what the journal says.

    Parameters
    ----------
    present : from `contents_of_folder`
    verify : look at the digests of all blocks; else of those that came last, and at the lengths of the others
    """
    last = set(progress.last_round)

    def is_whole(record: BlockRecord) -> bool:
        if not _has_lengths(present, plane, record):
            return False
        if not (verify or record.box in last):
            return True
        return _has_maps(folder / MAPS, plane, record) and has_mask(folder / MASKS, record)

    return tuple(record.box for record in progress.records.values() if not is_whole(record))


def _has_lengths(present: Mapping[str, int], plane: PlaneFacts, record: BlockRecord) -> bool:
    lengths = {f"{MAPS}/{name}": length for name, length in record.map_lengths(len(plane.names)).items()}
    if record.mask is not None:
        lengths[f"{MASKS}/{record.mask_name}"] = record.mask.lengths[0]
    return all(present.get(name) == length for name, length in lengths.items())


def _has_maps(maps: Path, plane: PlaneFacts, record: BlockRecord) -> bool:
    names = record.map_lengths(len(plane.names))
    try:
        return sum_of_bytes((maps / name).read_bytes() for name in names) == record.maps
    except OSError:
        return False


def has_mask(masks: Path, record: BlockRecord) -> bool:
    """Tell whether the bits of a block are what the journal says."""
    return record.mask is None or sum_of_file(masks / record.mask_name) == record.mask


def require_whole_maps(maps: Path, plane: PlaneFacts, records: Iterable[BlockRecord]) -> None:
    """Check that a folder of maps holds every chunk in its length, and nothing else.

    Raises
    ------
    OutputError
        A chunk is lost or cut, or there is a file that no run wrote.
    """
    expected = {f"{MAPS}/{name}": len(content) for name, content in plane.encoder().metadata.items()}
    for record in records:
        expected |= {f"{MAPS}/{name}": length for name, length in record.map_lengths(len(plane.names)).items()}
    found = contents_of_folder(maps, MAPS) if maps.is_dir() else {}
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            raise OutputError(
                f"{name} was lost, changed or added while the run went on", where=str(maps.parent), cure=REDO
            )
