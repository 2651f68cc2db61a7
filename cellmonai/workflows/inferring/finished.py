"""Which planes a run has finished, so that the same command after a kill goes on with the others."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from cellmonai.core.errors import OutputError
from cellmonai.core.files import remove_any, sha256_of
from cellmonai.core.journal import ANEW, Journal, read_journal, require_same
from cellmonai.workflows.inferring.image import ImageDone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.settings import InferSettings

_DONE_FIELDS = tuple(one.name for one in fields(ImageDone) if one.name != "job")


_NO_RESULT = (
    *("model", "output", "memory", "device", "precision", "engine", "stitch"),
    *("workers", "scheduler", "shard", "recursive"),
)
"""Settings that change no result, or only through what was chosen by them, which is told beside them."""


def decisive_settings(settings: InferSettings) -> dict[str, Any]:
    """Give the settings that results depend on, as a journal holds them."""
    return {key: value for key, value in settings.as_json().items() if key not in _NO_RESULT}


@dataclass(frozen=True, slots=True)
class Before:
    """What a killed run noted: entries of finished planes by path and plane, and names of files that are its own."""

    planes: Mapping[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    claimed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Iterable[Mapping[str, Any]]) -> Self:
        """Read the lines of a journal; raises KeyError or TypeError where one of them is damaged."""
        planes: dict[tuple[str, str], dict[str, Any]] = {}
        claimed: set[str] = set()
        for entry in entries:
            if "claimed" in entry:
                claimed.update(str(name) for name in entry["claimed"])
            else:
                planes[str(entry["image"]), str(entry["plane"])] = dict(entry)
        return cls(planes, frozenset(claimed))


class FinishedPlanes:
    """The journal of a folder in work; `open` makes it, `end` takes it away when the run's record is written.

    Attributes
    ----------
    before : what an earlier, killed run noted
    """

    def __init__(self, journal: Journal, before: Before) -> None:
        self._journal, self.before, self._added = journal, before, 0
        self._claimed = set(before.claimed)
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
                try:
                    before = Before.of(contents.entries)
                except (KeyError, TypeError) as error:
                    raise _damaged(path.parent) from error
                if before.planes:
                    require_same(contents.header, header, where=path.parent)
                elif contents.header != header:  # nothing was finished by whatever it was
                    return cls._begin(path, header, before.claimed)
                return cls(Journal.reopen(path, contents), before)
            except OutputError:
                if not overwrite:
                    raise
        return cls._begin(path, header, frozenset())

    @classmethod
    def _begin(cls, path: Path, header: Mapping[str, Any], claimed: frozenset[str]) -> Self:
        finished = cls(Journal.create(path, header), Before())
        finished.claim(claimed)
        return finished

    def claim(self, names: Iterable[str]) -> None:
        """Note that files under these names, which nobody else had, are of this run from now on.

        Without that note, files of a run that was killed before it could say that their plane is finished would look
        like those of somebody else, and be in the way of the same command.

        Parameters
        ----------
        names : relative to the output folder
        """
        new = sorted({*names} - self._claimed)
        if new:
            self._journal.append({"claimed": new})
            self._claimed.update(new)

    def clear(self, names: Iterable[str], folder: Path) -> None:
        """Remove files of a plane that a killed run did not finish, as far as they are claimed.

        Raises
        ------
        OutputError
            One cannot be removed.
        """
        for name in self.before.claimed.intersection(names):
            remove_any(folder / name)

    def done(self, job: ImageJob, folder: Path, *, overwrite: bool) -> ImageDone | None:
        """Give what an earlier run made of a plane, None where it did not finish it.

        With `overwrite`, a plane whose mask was changed since then is done again instead of being refused. One whose
        mask is gone is done again in any case.

        Raises
        ------
        OutputError
            It was changed since.
        """
        entry = self.before.planes.get((str(job.path), job.plane))
        if entry is None or entry.get("mask") != job.mask:
            return None
        mask = folder / job.mask
        if not mask.is_file():
            return None
        if sha256_of(mask) != entry.get("mask_sha256"):
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

    def close(self, folder: Path) -> None:
        """Free the file; what is in it stays for the next run, and a journal that tells of nothing on the disk goes."""
        self._journal.close()
        has_files = any(os.path.lexists(folder / name) for name in self._claimed)
        if not self.before.planes and not self._added and not has_files:
            self._journal.path.unlink(missing_ok=True)


def finished_before(path: Path) -> Before:
    """Give what the journal of a killed run tells, without judging whether this run is the same."""
    if not path.exists():
        return Before()
    try:
        return Before.of(read_journal(path).entries)
    except (OutputError, KeyError, TypeError):  # told when the journal is opened
        return Before()


def _damaged(folder: Path) -> OutputError:
    return OutputError("the journal of the unfinished run is damaged", where=str(folder), cure=ANEW)
