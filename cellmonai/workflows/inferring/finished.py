"""Which planes a run has finished, so that the same command after a kill goes on with the others."""

from __future__ import annotations

import threading
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Self

from cellmonai.core.errors import OutputError
from cellmonai.core.files import sha256_of
from cellmonai.core.journal import ANEW, Journal, read_journal, require_same
from cellmonai.workflows.inferring.image import ImageDone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellmonai.workflows.inferring.jobs import ImageJob

_DONE_FIELDS = tuple(field.name for field in fields(ImageDone) if field.name != "job")


class FinishedPlanes:
    """The journal of a folder in work; `open` makes it, `end` takes it away when the run's record is written.

    Attributes
    ----------
    before : entries of planes that an earlier, killed run finished, by path and plane
    """

    def __init__(self, journal: Journal, before: Mapping[tuple[str, str], dict[str, Any]]) -> None:
        self._journal, self.before, self._added = journal, before, 0
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any], *, overwrite: bool) -> Self:
        """Go on with the journal of an unfinished run, or begin one.

        Parameters
        ----------
        path : of the journal
        header : what the results depend on, as JSON
        overwrite : a run of something else, or a damaged journal, gives way instead of being refused

        Raises
        ------
        OutputError
            An unfinished run lies here that was of something else, or its journal is damaged or cannot be written.
        """
        if path.exists():
            try:
                contents = read_journal(path)
                if contents.entries:
                    require_same(contents.header, header, where=path.parent)
                elif contents.header != header:  # nothing was finished by whatever it was
                    return cls(Journal.create(path, header), {})
                try:
                    entries = {_key(entry): entry for entry in contents.entries}
                except KeyError as error:
                    raise _damaged(path.parent) from error
                return cls(Journal.reopen(path, contents), entries)
            except OutputError:
                if not overwrite:
                    raise
        return cls(Journal.create(path, header), {})

    def done(self, job: ImageJob, folder: Path, *, overwrite: bool) -> ImageDone | None:
        """Give what an earlier run made of a plane, None where it did not finish it.

        With `overwrite`, a plane whose mask was changed since then is done again instead of being refused.

        Raises
        ------
        OutputError
            It was changed or removed since.
        """
        entry = self.before.get((str(job.path), job.plane))
        if entry is None or entry.get("mask") != job.mask:
            return None
        mask = folder / job.mask
        if not mask.is_file() or sha256_of(mask) != entry.get("mask_sha256"):
            if overwrite:
                return None
            raise OutputError("the mask was changed since the run that is continued", where=str(mask), cure=ANEW)
        try:
            facts = {name: entry["done"][name] for name in _DONE_FIELDS}
            return ImageDone(job, **(facts | {"outputs": tuple(facts["outputs"])}))
        except (KeyError, TypeError) as error:
            raise _damaged(folder) from error

    def add(self, done: ImageDone, folder: Path) -> None:
        """Note that a plane is finished; from any thread."""
        facts = {name: value for name, value in asdict(done).items() if name in _DONE_FIELDS}
        job = done.job
        digest = sha256_of(folder / job.mask)
        entry = {"image": str(job.path), "plane": job.plane, "mask": job.mask, "mask_sha256": digest, "done": facts}
        with self._lock:
            self._added += 1
            self._journal.append(entry)

    def end(self) -> None:
        """Take the journal away: the run's record tells everything from now on."""
        self._journal.close()
        self._journal.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Free the file; what is in it stays for the next run, and a journal without anything in it goes."""
        self._journal.close()
        if not self.before and not self._added:
            self._journal.path.unlink(missing_ok=True)


def finished_before(path: Path) -> frozenset[tuple[str, str]]:
    """Give path and plane of what the run of a journal finished, without judging whether this run is the same."""
    if not path.exists():
        return frozenset()
    try:
        return frozenset(_key(entry) for entry in read_journal(path).entries)
    except (OutputError, KeyError):  # told when the journal is opened
        return frozenset()


def _damaged(folder: Path) -> OutputError:
    return OutputError("the journal of the unfinished run is damaged", where=str(folder), cure=ANEW)


def _key(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry["image"]), str(entry["plane"])
