"""Count every plane on all cores, with tables, warnings and failures in the order of the planes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from cellmonai.images.budget import budget_of
from cellmonai.report.counts import CellsFile
from cellmonai.report.html.thumbnails import PictureChoice
from cellmonai.report.words import needs_a_look
from cellmonai.workflows.counting.audit import AUDIT_COLUMNS
from cellmonai.workflows.counting.failures import nothing_worked
from cellmonai.workflows.counting.plane import CountedPlane, cell_columns, count_plane
from cellmonai.workflows.counting.survey import READ_FAILURES, STOPPED, PlaneJob
from cellmonai.workflows.counting.volume import count_volume, volume_columns
from cellmonai.workflows.in_order import Heard, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cellmonai.core.errors import CellmonaiError
    from cellmonai.core.progress import Reporter
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.kept import KeptPlanes
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.volumes import VolumeJob

    _Work = tuple[PlaneJob | VolumeJob, InstanceSettings]

_LARGE_PX = 16 * 2**20  # planes from here on are counted one by one, each on all cores
_BYTES_PER_PX = 32  # of a plane that is counted in memory, with its label image and pictures


@dataclass
class Counted:
    """Every plane that could be counted, without its cells, and why the others could not."""

    planes: list[CountedPlane] = field(default_factory=list)
    failures: dict[str, CellmonaiError] = field(default_factory=dict)

    @property
    def foreground_share(self) -> float:
        """How much of all pixels was foreground before any filter, in [0, 1]."""
        pixels = sum(plane.job.pixels for plane in self.planes)
        return sum(plane.foreground_px for plane in self.planes) / pixels if pixels else 0.0


@dataclass(frozen=True, slots=True)
class _Tried:
    """One plane after its turn."""

    job: PlaneJob
    counted: CountedPlane | None
    failure: CellmonaiError | None
    said: Heard


def count_all(
    plan: CountPlan,
    kept: KeptPlanes,
    failures: Mapping[str, CellmonaiError],
    missing: Mapping[str, str],
    reporter: Reporter,
) -> Counted:
    """Count all planes and write `cells.csv`, plane by plane.

    Parameters
    ----------
    plan : what is counted
    kept : planes that a killed run counted, which are not counted again; those of this run are added
    failures : of the survey; they are passed on
    missing : images that `infer` could not do, and why

    Raises
    ------
    InputError, MemoryBudgetError
        Every plane failed; no table is written then.
    InterruptedRunError
        Ctrl-C; what was counted is kept for the same command.
    """
    done = Counted(failures=dict(failures))
    settings = plan.settings
    columns = None if "parquet" in settings.save else ("area_px", *(AUDIT_COLUMNS if settings.audit else ()))
    pictures = PictureChoice()
    with (
        CellsFile(settings.output / "cells.csv", _columns(plan), overwrite=settings.overwrite) as cells,
        reporter.stage("counting", len(work := _work_of(plan))) as stage,
    ):
        for tried in _tried(work, plan, kept):
            tried.said.repeat_to(reporter)
            if tried.counted is not None:
                row = tried.counted.count
                if row.planes is None:  # a volume is counted again
                    kept.add(tried.counted, tried.said)
                cells.add(row.image, row.plane, tried.counted.cells)
                shown = tried.counted.thumbnail is not None and pictures.wants(flagged=needs_a_look(row))
                done.planes.append(tried.counted.lighter(columns=columns, with_thumbnail=shown))
            elif tried.failure is not None:
                done.failures.setdefault(tried.job.mask.name, tried.failure)
            stage.advance(note=tried.job.stem)
            plan.wish.check(STOPPED)
        kept.commit()
        if not done.planes:
            raise nothing_worked(done.failures, missing, reporter)
    return done


def _columns(plan: CountPlan) -> list[str]:
    """Give every column that any plane will fill, those of the planes that know most first."""
    kinds = {(job.pixel_size_um is not None, job.channels): job for job, _ in plan.planes}
    in_order_of_knowledge = sorted(kinds.items(), key=lambda item: (not item[0][0], -len(item[0][1])))
    columns = [name for _, job in in_order_of_knowledge for name in cell_columns(job)]
    columns += [name for volume in plan.volumes for name in volume_columns(volume.planes[0])]
    return list(dict.fromkeys(columns))


def _work_of(plan: CountPlan) -> list[_Work]:
    """Give what is counted at a time: planes, and volumes in the place of their first planes."""
    volume_of = {plane.rank: volume for volume in plan.volumes for plane in volume.planes}
    work = [(volume_of.get(job.rank, job), how) for job, how in plan.planes]
    return list({id(item): (item, how) for item, how in work}.values())


def _plane_of(item: PlaneJob | VolumeJob) -> PlaneJob:
    return item if isinstance(item, PlaneJob) else item.planes[0]


def _tried(everything: Sequence[_Work], plan: CountPlan, kept: KeptPlanes) -> Iterator[_Tried]:
    """Count small planes side by side, and large ones by themselves."""
    threads = plan.settings.cores
    for is_large, group in groupby(everything, key=lambda item: _plane_of(item[0]).pixels >= _LARGE_PX):
        planes = list(group)
        within, beside = (threads, 1) if is_large else (1, _fitting(planes, threads, plan))

        def work(item: _Work, within: int = within) -> _Tried:
            return _try(item, plan, kept, within)

        yield from in_order(work, planes, threads=beside)


def _fitting(planes: Sequence[_Work], threads: int, plan: CountPlan) -> int:
    """Give how many planes fit into the memory budget at a time, at most `threads`."""
    largest = max(_plane_of(item).pixels for item, _ in planes) * _BYTES_PER_PX
    return max(1, min(threads, budget_of(plan.settings.memory).amount // max(largest, 1)))


def _try(item: _Work, plan: CountPlan, kept: KeptPlanes, threads: int) -> _Tried:
    what, how = item
    job, said = _plane_of(what), Heard()
    if isinstance(what, PlaneJob) and (before := kept.find(what, how)) is not None:
        return _Tried(job, before[0], None, before[1])
    try:
        if isinstance(what, PlaneJob):
            counted = count_plane(what, how, plan, said, threads=threads)
        else:
            counted = count_volume(what, how, plan, said)
    except READ_FAILURES as error:
        return _Tried(job, None, error, said)
    return _Tried(job, counted, None, said)
