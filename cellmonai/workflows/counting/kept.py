"""Planes that are counted, noted on disk one after the other, so that the same command after a kill goes on from there.

A plane that is noted is not counted again: its row of the table, its cells and what was said about it are read back,
exactly as they were. Its files lie in the staging folder, or have their names already where a run was killed as it
ended.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import zlib
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cellmonai.core.errors import OutputError
from cellmonai.core.files import make_folder, not_writable
from cellmonai.core.journal import AGAIN, ANEW, CANNOT_CONTINUE, Journal, read_journal, require_same
from cellmonai.kernels.library import kernel_name
from cellmonai.measure.intervals.shift import ShiftResult
from cellmonai.report.counts import ImageCount
from cellmonai.workflows.counting.intervals import CountInterval
from cellmonai.workflows.counting.plane import CountedPlane
from cellmonai.workflows.in_order import Heard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.survey import PlaneJob

JOURNAL = "count.journal"
CELLS = ".cells"
"""Folder of the measurements of planes that are noted, a file for each."""

GROUP_SECONDS = 1.0
"""Planes are noted together when the last time is so long ago: a short run waits for the disk once."""

_NO_RESULT = ("output", "overwrite", "threads", "memory")


class KeptPlanes:
    """The journal of a count in work; `open` makes it, `close` ends it.

    One thread adds planes; any thread may ask for one.
    """

    def __init__(self, journal: Journal, before: Mapping[tuple[str, int], dict[str, Any]], plan: CountPlan) -> None:
        self._journal, self._before, self._plan = journal, before, plan
        self._waiting: list[dict[str, Any]] = []
        self._noted = time.monotonic()
        self._has_noted = False

    @classmethod
    def open(cls, plan: CountPlan, *, overwrite: bool) -> Self:
        """Go on with what a killed run left in the staging folder, or begin.

        Parameters
        ----------
        plan : what is counted; its settings name the staging folder as output
        overwrite : a run of something else, or a damaged journal, gives way instead of being refused

        Raises
        ------
        OutputError
            A run was stopped here that counted something else or in another way, or its journal is damaged or cannot be
            written.
        """
        path, header = plan.settings.output / JOURNAL, _header(plan)
        if path.exists():
            try:
                contents = read_journal(path)
                entries = [plane for entry in contents.entries for plane in entry["planes"]]
                before = {(str(plane["image"]), int(plane["index"])): plane for plane in entries}
                if before:
                    require_same(contents.header, header, where=plan.final)
                    return cls(Journal.reopen(path, contents), before, plan)
            except (KeyError, TypeError, ValueError) as error:
                if not overwrite:
                    what = "the journal of an unfinished count is damaged"
                    raise OutputError(what, where=str(plan.final), cure=ANEW, code=CANNOT_CONTINUE) from error
            except OutputError:
                if not overwrite:
                    raise
        return cls(Journal.create(path, header), {}, plan)

    @property
    def is_worth_keeping(self) -> bool:
        """Whether the same command has something to continue: at least one plane is on disk."""
        return bool(self._before) or self._has_noted

    @property
    def amount(self) -> int:
        """How many planes an earlier run noted."""
        return len(self._before)

    def find(self, job: PlaneJob, how: InstanceSettings) -> tuple[CountedPlane, Heard] | None:
        """Give a plane that an earlier run counted, None where it did not, or where what it noted is gone.

        Raises
        ------
        OutputError
            The mask or its image were changed since, and older results are not to be overwritten.
        """
        noted = self._before.get((job.mask.name, job.index))
        if noted is None:
            return None
        if noted["inputs"] != self._plan.digests.of(job, self._plan):
            if self._plan.overwrite:
                return None
            raise OutputError(
                "it, its image or its maps were changed since the run that is continued",
                where=str(job.mask.path),
                cure=ANEW,
                code=CANNOT_CONTINUE,
            )
        if not all(self._has(name, length) for name, length in noted["files"].items()):
            return None
        arrays = _read_arrays(self._cells_path(job), noted["cells"])
        if arrays is None:
            return None
        thumbnail = arrays.pop("", None)
        counted = CountedPlane(
            job=job,
            how=how,
            count=_count_of(noted["count"]),
            cells=arrays,
            foreground_px=int(noted["foreground_px"]),
            interval=_interval_of(noted["interval"]),
            thumbnail=thumbnail,
            inputs=dict(noted["inputs"]),
        )
        return counted, Heard.of(noted["said"])

    def add(self, counted: CountedPlane, said: Heard) -> None:
        """Note a plane of which every file is on disk.

        Raises
        ------
        OutputError
            The disk refuses.
        """
        job = counted.job
        if (job.mask.name, job.index) in self._before:
            return
        pictures = {} if counted.thumbnail is None else {"": counted.thumbnail}
        entry = {
            "image": job.mask.name,
            "index": job.index,
            "inputs": dict(counted.inputs),
            "files": {name: (self._folder / name).stat().st_size for name in counted.count.outputs},
            "cells": _write_arrays(self._cells_path(job), {**counted.cells, **pictures}),
            "count": _count_as_json(counted.count),
            "foreground_px": counted.foreground_px,
            "interval": _interval_as_json(counted.interval),
            "said": said.as_json(),
        }
        self._waiting.append(entry)
        if time.monotonic() - self._noted >= GROUP_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Bring what was added to the disk."""
        if self._waiting:
            entries, self._waiting = self._waiting, []
            self._journal.append({"planes": entries})
            self._has_noted = True
        self._noted = time.monotonic()

    def close(self) -> None:
        """Bring what was added to the disk, as far as it takes it, and free the file."""
        with suppress(OutputError, ValueError):  # the failure that ends the run is the one to tell
            self.commit()
        self._journal.close()

    @property
    def _folder(self) -> Path:
        return self._plan.settings.output

    def _has(self, name: str, length: int) -> bool:
        """Tell whether a result is there, under its final name where results were being put in place."""
        places = [self._folder, self._plan.final] if self._plan.is_placed else [self._folder]
        for place in places:
            path = place / name
            if path.is_file() and path.stat().st_size == length:
                return True
        return False

    def _cells_path(self, job: PlaneJob) -> Path:
        return self._folder / CELLS / f"{job.rank:06}.bin"


def _header(plan: CountPlan) -> dict[str, Any]:
    """Give what the results depend on, beside the content of the inputs."""
    settings = plan.settings
    asked = {one.name: getattr(settings, one.name) for one in fields(settings) if one.name not in _NO_RESULT}
    planes = [
        [
            *(str(part) for part in (job.mask.path, job.mask.name, job.plane, job.stem, job.mask.image, job.mask.maps)),
            job.mask.made_by.sha256 if job.mask.made_by else "",
            how.as_json(),
            job.pixel_size_um,
            plan.groups.attributes[job.mask.name] if plan.groups else {},
        ]
        for job, how in plan.planes
    ]
    return {
        "format": 1,
        "cellmonai": version("cellmonai"),
        "kernel": kernel_name(),
        "kind": plan.kind,
        "split_along": plan.split_along,
        "settings": {name: _plain(value) for name, value in asked.items()},
        "planes": {"number": len(planes), "names_and_sizes": _digest_of(planes)},
    }


def what_runs(plan: CountPlan) -> dict[str, Any]:
    """Give what the run is, for results that are found on their way to their names."""
    return {"command": "count", **_header(plan)}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _digest_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


_MAPPINGS = ("removed", "flags", "at_border_rule", "attributes")
"""Of `ImageCount`; written as pairs, since a journal sorts names, and tables have columns in the order of these."""


def _count_as_json(count: ImageCount) -> dict[str, Any]:
    facts = {one.name: getattr(count, one.name) for one in fields(count)}
    return facts | {name: list(facts[name].items()) for name in _MAPPINGS}


def _count_of(facts: Mapping[str, Any]) -> ImageCount:
    tuples = ("interval", "interval_conservative", "outputs")
    given: dict[str, Any] = {name: _tuple(value) if name in tuples else value for name, value in facts.items()}
    return ImageCount(**given | {name: dict(given[name]) for name in _MAPPINGS})


def _interval_as_json(interval: CountInterval) -> dict[str, Any]:
    shift = interval.shift
    numbers = None if shift is None else [None if math.isnan(n) else n for n in (shift.p, shift.mads)]
    facts = {one.name: getattr(interval, one.name) for one in fields(interval) if one.name != "shift"}
    return {**facts, "shift": None if shift is None else [shift.feature, numbers]}


def _interval_of(facts: Mapping[str, Any]) -> CountInterval:
    given: dict[str, Any] = {name: _tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
    shift = facts["shift"]
    if shift is not None:
        p, mads = (math.nan if number is None else float(number) for number in shift[1])
        given["shift"] = ShiftResult(p, str(shift[0]), mads)
    return CountInterval(**given)


def _tuple(value: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if value is None else tuple(value)


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write arrays of numbers one after the other; give what it takes to read them and to know a torn file."""
    digest = hashlib.sha256()
    try:
        make_folder(path.parent)
        with path.open("wb") as stream:
            packer = zlib.compressobj(1)  # pictures of a folder take many times what its tables take
            for array in arrays.values():
                content = np.ascontiguousarray(array).tobytes()
                digest.update(content)
                stream.write(packer.compress(content))
            stream.write(packer.flush())
    except OSError as error:
        raise not_writable(path, error, cure=AGAIN) from error
    shapes = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    return {"arrays": shapes, "sha256": digest.hexdigest()}


def _read_arrays(path: Path, facts: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
    """Read them back, None where they are gone or damaged."""
    try:
        content = zlib.decompress(path.read_bytes())
    except (OSError, zlib.error):
        return None
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        return None
    found, at = {}, 0
    for name, kind, shape in facts["arrays"]:
        dtype = np.dtype(str(kind))
        amount = math.prod(shape)
        found[str(name)] = np.frombuffer(content, dtype, amount, at).reshape(shape)
        at += amount * dtype.itemsize
    return found
