"""Count one plane of one mask: its objects, their measurements, and every file about it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.image_rows import ImageRows
from cellmonai.images.open import open_image
from cellmonai.measure.objects import flag_objects, measure_objects
from cellmonai.report.counts import FILTERS, ImageCount
from cellmonai.workflows.counting.calibration import interval_of
from cellmonai.workflows.counting.files import output_names, report_picture, write_files
from cellmonai.workflows.counting.objects import objects_of
from cellmonai.workflows.counting.suspicions import (
    check_labels,
    refuse_unclear_values,
    warn_of_cover,
    warn_of_dots,
    warn_of_foreground,
    warn_of_holes,
    warn_of_pieces,
    warn_of_values,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.instances.find import FoundRows
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.instances.volume import FoundVolume
    from cellmonai.workflows.counting.intervals import CountInterval
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.survey import PlaneJob


@dataclass(frozen=True, slots=True)
class CountedPlane:
    """A counted plane: its row, its cells, and how much of it was foreground before any filter.

    `thumbnail` is a small picture for the report, uint8 (h, w, 3), None where none is wanted. `inputs` are the digests
    of the files that it was counted from: `mask`, and `image` and `maps` where they were read.
    """

    job: PlaneJob
    how: InstanceSettings
    count: ImageCount
    cells: Mapping[str, NDArray[Any]]
    foreground_px: int
    interval: CountInterval
    thumbnail: NDArray[np.uint8] | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def areas_px(self) -> NDArray[np.int64]:
        """The areas of its cells, shape (N,)."""
        areas: NDArray[np.int64] = self.cells["area_px"]
        return areas

    def lighter(self, *, columns: Sequence[str] | None, with_thumbnail: bool) -> CountedPlane:
        """Give the plane with what is still needed, so that many planes take little memory; None keeps all columns."""
        cells = self.cells if columns is None else {name: self.cells[name] for name in columns}
        return replace(self, cells=cells, thumbnail=self.thumbnail if with_thumbnail else None)


def count_plane(
    job: PlaneJob,
    how: InstanceSettings,
    plan: CountPlan,
    reporter: Reporter,
    *,
    threads: int = 1,
) -> CountedPlane:
    """Count one plane, and write its label image, its overlay and what else was asked for.

    Raises
    ------
    InputError
        The values are neither a binary mask nor labels, or the image cannot be read.
    OutputError
        A result exists or cannot be written.
    """
    kind, settings = plan.kind, plan.settings
    refuse_unclear_values(job, kind, settings)
    with ExitStack() as stack:
        mask = stack.enter_context(plan.reader.open(job.mask.path))
        found = stack.enter_context(objects_of(job, mask.rows[job.index], how, plan, threads=threads))
        if kind == "labels":
            check_labels(job, found, settings, reporter)
        else:
            warn_of_values(job, kind, settings, reporter)
            warn_of_foreground(job, found, reporter)
            warn_of_holes(job, found, reporter)
            warn_of_pieces(job.mask.name, found.notes, reporter)  # of a preset: others number no two regions alike
        warn_of_dots(job, found, reporter)
        image = stack.enter_context(image_of(job))
        table = measure_objects(found.labels, pixel_size_um=job.pixel_size_um, image=image, channel_names=job.channels)
        if kind == "labels":
            warn_of_cover(job, table.columns["area_px"], reporter)
        flags = flag_objects(table)
        interval = interval_of(plan, job, how, table, found.labels, image)
        row = count_row(job, how, table.columns["area_px"], found, flags, interval, plan)
        mask.require_unchanged()
        if image is not None:
            image.require_unchanged()
        write_files(job, found.labels, found.count, table, flags, image, settings, reporter)
        return CountedPlane(
            job=job,
            how=how,
            count=row,
            interval=interval,
            cells={**table.columns, **flags},
            foreground_px=found.foreground_px,
            thumbnail=report_picture(job, row, found.labels, image, settings),
            inputs=plan.digests.of(job, plan),
        )


def cell_columns(job: PlaneJob) -> list[str]:
    """Give the names of the columns that the cells of a plane will have, before any is measured."""
    nothing = np.zeros((1, 1), np.int32)
    image = np.zeros((len(job.channels), 1, 1), np.float32) if job.channels else None
    table = measure_objects(nothing, pixel_size_um=job.pixel_size_um, image=image, channel_names=job.channels)
    return list({**table.columns, **flag_objects(table)})


@contextmanager
def image_of(job: PlaneJob) -> Iterator[ImageRows | None]:
    """Open the image of a plane, where it is known, while the block runs."""
    if job.mask.image is None or job.image_plane is None:
        yield None
        return
    with open_image(job.mask.image, as_stored=job.image_as_stored) as source:
        yield ImageRows(source, job.image_plane)


def count_row(
    job: PlaneJob,
    how: InstanceSettings,
    areas_px: NDArray[np.int64],
    found: FoundRows | FoundVolume,
    flags: Mapping[str, NDArray[np.bool_]],
    interval: CountInterval,
    plan: CountPlan,
) -> ImageCount:
    """Give the row of a plane, or of a volume by the plane that stands for it."""
    count = len(areas_px)
    pixel_um2 = job.pixel_size_um[0] * job.pixel_size_um[1] if job.pixel_size_um else None
    mean, median = (float(np.mean(areas_px)), float(np.median(areas_px))) if count else (None, None)
    area_mm2 = job.pixels * pixel_um2 * 1e-6 if pixel_um2 else None
    removed = {name: int(found.removed.get(name, 0)) for name in FILTERS}
    return ImageCount(
        image=job.mask.name,
        plane=job.plane,
        count=count,
        density_per_mm2=count / area_mm2 if area_mm2 else None,
        area_mean_px=mean,
        area_median_px=median,
        area_mean_um2=mean * pixel_um2 if pixel_um2 and mean is not None else None,
        area_median_um2=median * pixel_um2 if pixel_um2 and median is not None else None,
        removed=removed,
        flags={name: int(np.count_nonzero(flagged)) for name, flagged in flags.items()},
        interval=interval.ends,
        interval_reason=interval.reason,
        interval_conservative=interval.conservative,
        outputs=output_names(job, plan.settings),
        analysed_area_mm2=area_mm2,
        border_rule=how.border,
        at_border_rule=dict(found.at_border_rule),
        attributes=plan.groups.attributes[job.mask.name] if plan.groups else {},
        is_partial=job.mask.is_partial,
        holes_filled=int(found.notes.get("holes_filled", 0)),
    )
