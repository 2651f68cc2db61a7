"""Beginning a plane in work, and taking one up that a run left unfinished."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import OutputError
from cellmonai.core.files import make_folder, not_writable, remove_orphans
from cellmonai.core.journal import AGAIN, Journal, read_journal, require_same
from cellmonai.core.many_files import sync_all, write_files
from cellmonai.images.block_files import (
    JOURNAL,
    MAPS,
    MASKS,
    clear,
    contents_of_folder,
    damaged_blocks,
    require_folder,
)
from cellmonai.images.block_records import PlaneFacts, Progress, not_of_a_plane, progress_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellmonai.core.journal import Contents
    from cellmonai.images.source import Region

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Opened:
    """A plane in work: what it is, its open journal, how far it is, and the blocks that were found damaged."""

    plane: PlaneFacts
    journal: Journal
    progress: Progress
    damaged: tuple[Region, ...] = ()


def is_unfinished(folder: Path) -> bool:
    """Tell whether a run left a plane in work here, which the same command continues or ends.

    Until it does, results under the final names may be older ones, or those of this plane already.
    """
    return os.path.lexists(folder / JOURNAL)


def begin(folder: Path, plane: PlaneFacts, header: Mapping[str, Any]) -> Opened:
    """Begin a plane, in place of one that lies there.

    Raises
    ------
    OutputError
        There are files that no run wrote, or it cannot be written.
    """
    clear(folder)
    make_folder(folder / MASKS)
    _write_metadata(folder, plane)
    # the journal comes last: without it, nothing was begun
    facts = {"format": _FORMAT, "plane": plane.as_json(), "run": dict(header)}
    return Opened(plane, Journal.create(folder / JOURNAL, facts), Progress())


def take_up(folder: Path, header: Mapping[str, Any], *, plane: PlaneFacts | None, verify: bool) -> Opened:
    """Continue a plane: check that it is the same, cut the torn end of its journal, look which blocks are whole.

    Parameters
    ----------
    header : what the run is
    plane : what is wanted; what is there when None
    verify : look at the digests of all blocks; else of those written last, and at the lengths of the others

    Raises
    ------
    OutputError
        There is no unfinished run, its header differs, its journal is damaged, the folder holds what no run wrote, or
        it cannot be written.
    """
    if not is_unfinished(folder):
        raise OutputError("no unfinished run lies here", where=str(folder), cure="start it anew")
    require_folder(folder)
    remove_orphans(folder)
    try:
        present = contents_of_folder(folder)
    except OSError as error:
        raise OutputError("its blocks cannot be read", where=str(folder), cure="check the disk") from error
    contents = read_journal(folder / JOURNAL)
    found = _require_same(contents, header, plane, folder)
    progress = progress_of(contents.entries, found, where=folder)
    has_name = progress.finished is not None and not os.path.lexists(folder / MAPS)
    damaged = () if has_name else damaged_blocks(folder, present, found, progress, verify=verify)
    journal = Journal.reopen(folder / JOURNAL, contents)
    try:
        if not has_name:
            _write_metadata(folder, found)
        if damaged:
            journal.append({"damaged": [list(box) for box in damaged]})
            progress.forget(damaged)
    except BaseException:
        journal.close()
        raise
    return Opened(found, journal, progress, damaged)


def _require_same(contents: Contents, header: Mapping[str, Any], plane: PlaneFacts | None, folder: Path) -> PlaneFacts:
    """Give the plane of a journal after comparing the run with this one."""
    try:
        facts, run = contents.header["plane"], contents.header["run"]
        found = PlaneFacts.from_json(facts)
        before = {"format": contents.header["format"], **facts, **run}
        now = {"format": _FORMAT, **(plane or found).as_json(), **header}
    except (KeyError, TypeError, ValueError) as error:
        raise not_of_a_plane(folder) from error
    require_same(before, now, where=folder)
    return found


def _write_metadata(folder: Path, plane: PlaneFacts) -> None:
    try:
        sync_all(write_files(folder / MAPS, plane.encoder().metadata), below=folder)
    except OSError as error:
        raise not_writable(folder, error, cure=AGAIN) from error
