"""Which label stacks are volumes, whose cells run through their planes, and what is said of stacks that are none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from cellmonai.images.mask_values import MaskValues
from cellmonai.images.volumes import plane_stacks
from cellmonai.instances.mask_kind import MaskLook, is_mask_among_labels, is_picture
from cellmonai.instances.volume import VolumeTally
from cellmonai.workflows.counting.objects import label_rows
from cellmonai.workflows.counting.survey import READ_FAILURES, STOPPED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.images.volumes import PlaneStack
    from cellmonai.instances.volume import VolumeCells
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.survey import PlaneJob

_MOST = 0.8  # of the ids on two neighbouring planes that lie over themselves, where planes show one volume


@dataclass(frozen=True, slots=True)
class VolumeJob:
    """A label volume to count.

    Parameters
    ----------
    name : what its planes share, as `t0`, "" where the file holds nothing else
    stem : begins the name of its label image
    planes : from the first depth to the last, at least two
    cells : before any filter
    """

    name: str
    stem: str
    planes: tuple[PlaneJob, ...]
    cells: VolumeCells

    @property
    def job(self) -> PlaneJob:
        """A plane that stands for all: their name, the values of all, and else what the first one is."""
        all_values = [job.values for job in self.planes]
        values = MaskValues(
            low=min(values.low for values in all_values),
            high=max(values.high for values in all_values),
            is_label_like=self.cells.ids.size > 1,
            distinct=None,
            foreground_px=sum(values.foreground_px for values in all_values),
            pixels=sum(values.pixels for values in all_values),
        )
        return replace(self.planes[0], plane=self.name, look=MaskLook(values))


def with_volumes(plan: CountPlan, reporter: Reporter) -> CountPlan:
    """Look at every stack of planes, say how it is counted, and give the plan with the volumes among them."""
    volumes: list[VolumeJob] = []

    def file_of(job: PlaneJob) -> Path:
        """Give the file whose planes lie over each other: `infer` writes a mask for every plane of an image."""
        return job.mask.image or job.mask.path if plan.kind == "binary" else job.mask.path

    for _, group in groupby((job for job, _ in plan.planes), key=file_of):
        jobs = list(group)
        stacks = plane_stacks([job.plane for job in jobs])
        if not stacks:
            continue
        if plan.kind == "labels" and not plan.settings.per_plane:
            plan.wish.check(STOPPED)
            volumes += _volumes_of(jobs, stacks, plan, reporter)
        elif stacks[0].is_named:
            _tell_sections(jobs, stacks, plan, reporter)
    stems = Counter(stem.casefold() for stem in [job.stem for job, _ in plan.planes] + [one.stem for one in volumes])
    return replace(
        plan,
        volumes=tuple(
            replace(one, stem=f"{one.stem}_volume{one.job.rank}") if stems[one.stem.casefold()] > 1 else one
            for one in volumes
        ),
    )


def _volumes_of(
    jobs: Sequence[PlaneJob], stacks: Sequence[PlaneStack], plan: CountPlan, reporter: Reporter
) -> list[VolumeJob]:
    try:
        tallies = [_tally([jobs[index] for index in stack.planes], plan) for stack in stacks]
    except READ_FAILURES:
        return []  # told where the planes are counted
    shared, through = (sum(getattr(tally, name) for tally in tallies) for name in ("shared", "through"))
    filled = max(sum(1 for labels, _ in tally.sections if labels) for tally in tallies)
    name, is_named, planes = jobs[0].mask.name, stacks[0].is_named, len(stacks[0].planes)
    if _no_labels(jobs, stacks, tallies, plan):
        return []
    if (through and through >= _MOST * shared) or (is_named and filled <= 1):
        if not is_named:
            reporter.warn(
                "volume_assumed",
                f"ids run through its {planes} pages, so each id is counted once, as a cell of a volume; the file does "
                "not say what its pages are: if they are times or fields, count them with --per-plane",
                name,
            )
        elif shared:
            reporter.note(f"{name}: ids run through its {planes} planes, and each is counted once (else: --per-plane)")
        return [
            VolumeJob(stack.name, _stem(stack, jobs), tuple(jobs[index] for index in stack.planes), tally.finish())
            for stack, tally in zip(stacks, tallies, strict=True)
        ]
    if is_named:
        reporter.warn(
            "planes_apart",
            f"{_reason(shared, through)}, so each of its {planes} z planes is counted by itself: a cell that is seen "
            "on several planes is counted on each, and the total is one of sections, not of cells",
            name,
        )
    elif shared:
        reporter.note(f"{name}: {_reason(shared, through)}, so its {planes} pages are counted one by one")
    return []


def _stem(stack: PlaneStack, jobs: Sequence[PlaneJob]) -> str:
    """Give the stem that the planes share, without their depth."""
    first = jobs[stack.planes[0]]
    return f"{first.mask.name}_{stack.name}" if stack.name else first.mask.name


def _tally(jobs: Sequence[PlaneJob], plan: CountPlan) -> VolumeTally:
    tally = VolumeTally(jobs[0].shape)
    with plan.reader.open(jobs[0].mask.path) as mask:
        for job in jobs:
            plan.wish.check(STOPPED)
            tally.add(label_rows(mask.rows[job.index], job), threads=plan.settings.cores)
    return tally


def _no_labels(
    jobs: Sequence[PlaneJob], stacks: Sequence[PlaneStack], tallies: Sequence[VolumeTally], plan: CountPlan
) -> bool:
    """Tell whether a stack holds pictures or masks, which are judged plane by plane."""
    if plan.settings.kind != "auto":
        return False
    seen = [
        (jobs[index], *section)
        for stack, tally in zip(stacks, tallies, strict=True)
        for index, section in zip(stack.planes, tally.sections, strict=True)
    ]
    if all(job.values.low == 0 and not job.values.is_label_like for job in jobs):
        return len({job.values.high for job in jobs if job.values.high}) <= 1 and any(
            is_mask_among_labels(job.look, extra) for job, _, extra in seen
        )
    return any(is_picture(job.values, labels, extra) for job, labels, extra in seen if job.values.is_label_like)


def _reason(shared: int, through: int) -> str:
    if not shared:
        return "no id is seen on two neighbouring planes"
    return f"ids begin anew on each plane ({through:,} of {shared:,} lie over themselves on the next one)"


def _tell_sections(jobs: Sequence[PlaneJob], stacks: Sequence[PlaneStack], plan: CountPlan, reporter: Reporter) -> None:
    name, planes = jobs[0].mask.name, len(stacks[0].planes)
    if plan.kind == "labels":
        reporter.note(f"{name}: each of its {planes} z planes is counted by itself, as --per-plane asks")
        return
    if len({job.mask.path for job in jobs}) > 1 and jobs[0].mask.image is not None:
        name = jobs[0].mask.image.name
    reporter.warn(
        "planes_apart",
        f"each of its {planes} z planes is counted by itself: a cell that is seen on several planes is counted on "
        "each, and the total is one of sections, not of cells",
        name,
    )
