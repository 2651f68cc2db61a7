"""Results that replace others only when all of them are there.

A run writes into a hidden folder in the output folder. When everything is complete, a record lists what gets a final
name and what older files go; from then on the end can be repeated until it is reached. A kill or a full disk before the
record leaves the older results as they were. One after it leaves a folder that says that its results are being put in
place: readers refuse it, and the next run there ends it first.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError, OutputError
from cellmonai.core.files import (
    make_folder,
    not_writable,
    read_ordinary,
    remove_any,
    remove_orphans,
    sync_folder,
    write_json,
)
from cellmonai.core.journal import AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

NAME = ".cellmonai.new"
"""Of the folder in which new results lie until all of them are there."""

RECORD = ".cellmonai.placing.json"
"""Of the file in the output folder that lies there while results get their names; it is the last thing to go."""

_FORMAT = 1
_LARGEST_BYTES = 2**28


class Staging:
    """The hidden folder of one run; only for the holder of the lock of the output folder.

    Parameters
    ----------
    output : where results get their final names; it exists
    what : what the run is, JSON; another run that finds results on their way is told by it whether they are its own

    Attributes
    ----------
    folder : where to write
    """

    def __init__(self, output: Path, what: Mapping[str, Any]) -> None:
        self.output, self.folder = output, staging_folder(output)
        self._what = json.loads(json.dumps(what))

    def open(self) -> Mapping[str, Any] | None:
        """Make the folder, or take up the one that is there.

        Results of a killed run that were on their way get their names first. Where they are of the very same run, its
        facts are given and everything else stays in the folder, until `place` or `discard`; else the folder is made
        anew, and None is given.

        Raises
        ------
        OutputError
            A link or file is in the way, or the folder cannot be written.
        """
        facts = None
        _require_folder(self.folder)
        record = _read(self.output)
        if record is not None:
            _rename_all(self.output, record)
            if record["what"] == self._what:
                facts = record["facts"]
            else:
                self.discard()
        make_folder(self.folder)
        remove_orphans(self.folder)
        return facts

    def place(self, names: Iterable[str], *, stale: Iterable[str] = (), facts: Mapping[str, Any] | None = None) -> None:
        """Give results their final names and take the folder away; a kill on the way is made good by the next run.

        Parameters
        ----------
        names : files and folders in the staging folder, relative and with forward slashes; those that make the results
            a finished run come last. What is not there any more has its name already
        stale : older results, relative to the output folder, that go; what is among `names` is replaced anyway
        facts : what the same run wants to know when it finds these results on their way, JSON

        Raises
        ------
        OutputError
            The disk refuses; the same command ends it.
        """
        names = list(dict.fromkeys(names))
        record = {
            "format": _FORMAT,
            "what": self._what,
            "names": names,
            "stale": [name for name in dict.fromkeys(stale) if name not in names],
            "facts": dict(facts or {}),
        }
        write_json(self.output / RECORD, record, overwrite=True)
        _rename_all(self.output, record)
        self.discard()

    def discard(self) -> None:
        """Take the folder away with all that is in it, the record last.

        Raises
        ------
        OutputError
            Something cannot be removed.
        """
        try:
            remove_any(self.folder)
            (self.output / RECORD).unlink(missing_ok=True)  # what is done again should the disk lose this is done
        except OSError as error:
            raise not_writable(self.folder, error, cure=AGAIN) from error


@contextmanager
def staged(
    output: Path, what: Mapping[str, Any], *, refuse: Callable[[], None]
) -> Iterator[tuple[Staging, Mapping[str, Any] | None]]:
    """Give the staging folder of a run that writes everything at its end, and the facts of `Staging.open`.

    What the block leaves in the folder goes, unless results are on their way from there.

    Parameters
    ----------
    output, what : as for `Staging`
    refuse : raises where older results are in the way; called unless they are those of this very run
    """
    staging = Staging(output, what)
    facts = staging.open()
    try:
        if facts is None:
            refuse()
        yield staging, facts
    finally:
        if os.path.lexists(staging.folder) and not is_half_placed(output):
            staging.discard()


def staging_folder(output: Path) -> Path:
    """Give the folder in which a run writes before its results get their names."""
    return output / NAME


def is_half_placed(output: Path) -> bool:
    """Tell whether a run was stopped while its results got their names, or is at it now."""
    return os.path.lexists(output / RECORD)


def refuse_half_placed(folder: Path) -> None:
    """Refuse to read a folder in which some results are of one run and some of another.

    Raises
    ------
    InputError
        A run was stopped while it put its results in place, or is at it now.
    """
    if is_half_placed(folder):
        raise InputError(
            "a run was stopped while it put its results in place, so that older and newer ones may be mixed",
            where=str(folder),
            cure="run the command that made them again, which ends that",
            code="unfinished",
        )


def end_placing(output: Path) -> bool:
    """End what a killed run began: give its results their names; tells whether there was something to end.

    Raises
    ------
    OutputError
        The disk refuses.
    """
    _require_folder(staging_folder(output))
    record = _read(output)
    if record is None:
        return False
    _rename_all(output, record)
    Staging(output, record["what"]).discard()
    return True


def _require_folder(folder: Path) -> None:
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
        raise OutputError("a link or a file is in the way", where=str(folder), cure="move it away")


def _read(output: Path) -> dict[str, Any] | None:
    """Read the record of results on their way, None where there is none."""
    path = output / RECORD
    if not os.path.lexists(path):
        return None
    try:
        record = json.loads(read_ordinary(path, _LARGEST_BYTES))
        found = {key: record[key] for key in ("what", "names", "stale", "facts")}
        is_ours = record["format"] == _FORMAT and all(_is_inner(name) for name in [*record["names"], *record["stale"]])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    if not is_ours:
        raise _damaged(path)
    return found


def _damaged(path: Path) -> OutputError:
    return OutputError(
        "the record of results that are being put in place is damaged",
        where=str(path),
        cure="remove it, and run the command again with --overwrite",
    )


def _is_inner(name: object) -> bool:
    if not isinstance(name, str):
        return False
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.parts[0] not in (NAME, RECORD)
    )


def _rename_all(output: Path, record: Mapping[str, Any]) -> None:
    """Take older files away and give new ones their names; what was done before is left as it is."""
    folder = staging_folder(output)
    try:
        for name in record["stale"]:
            remove_any(output / name)
        for name in record["names"]:
            if os.path.lexists(folder / name):
                _replace(folder / name, output / name, aside=folder)
        sync_folder(output)
    except OSError as error:
        raise not_writable(output, error, cure=AGAIN) from error


def _replace(source: Path, target: Path, *, aside: Path) -> None:
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True)
    if target.is_dir() and not target.is_symlink():  # no system replaces a folder that holds something
        target.rename(aside / f"replaced-{secrets.token_hex(4)}")
    elif source.is_dir():
        target.unlink(missing_ok=True)
    os.replace(source, target)  # noqa: PTH105 - replaces on every platform
    if target.parent != aside.parent:
        sync_folder(target.parent)


def remove_if_idle(output: Path) -> None:
    """Remove a staging folder in which nothing lies, as a run leaves it that ended before it made anything."""
    folder = staging_folder(output)
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        remove_any(folder)
