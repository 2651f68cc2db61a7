"""Count one label volume: its cells over all planes, each measured where it is largest, and the files of planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from cellmonai.images.write import write_label_stack
from cellmonai.instances.filters import out_by_border
from cellmonai.instances.volume import FoundVolume
from cellmonai.measure.objects import ObjectTable, flag_objects, measure_objects
from cellmonai.workflows.counting.files import label_name, output_names, report_picture, write_files
from cellmonai.workflows.counting.intervals import CountInterval
from cellmonai.workflows.counting.objects import ChangedRows, label_rows
from cellmonai.workflows.counting.plane import CountedPlane, count_row, image_of
from cellmonai.workflows.counting.survey import STOPPED
from cellmonai.workflows.counting.suspicions import check_labels, refuse_unclear_values, warn_of_cover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.rows import Rows
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.masks import OpenMask
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.survey import PlaneJob
    from cellmonai.workflows.counting.volumes import VolumeJob

VOLUME_COLUMNS = ("planes", "first_plane", "last_plane", "volume_px")
VOLUME_UM3 = "volume_um3"

_NO_INTERVAL = "the count is one of a volume, and models are calibrated for the planes of an image"


def volume_columns(job: PlaneJob) -> tuple[str, ...]:
    """Give the columns that cells of a volume have beside those of a plane."""
    return VOLUME_COLUMNS + ((VOLUME_UM3,) if _voxel_um3(job) is not None else ())


def count_volume(volume: VolumeJob, how: InstanceSettings, plan: CountPlan, reporter: Reporter) -> CountedPlane:
    """Count a volume, and write its label images as a stack, and overlays and what else was asked for by plane.

    Raises
    ------
    InputError
        A plane or its image cannot be read.
    OutputError
        A result exists or cannot be written.
    """
    job, settings = volume.job, plan.settings
    for plane in volume.planes:
        refuse_unclear_values(plane, plan.kind, settings)
    found = FoundVolume(volume.cells, how)
    check_labels(job, found, settings, reporter)
    _warn_of_pieces(volume, found, reporter)
    tables: list[ObjectTable] = []
    with plan.reader.open(job.mask.path) as mask:
        stack = _LabelStack(volume.planes, mask, found)
        write_label_stack(
            settings.output / label_name(volume.stem),
            stack,
            count=found.count,
            pixel_size_um=job.pixel_size_um,
            z_step_um=job.z_step_um,
            overwrite=settings.overwrite,
        )
        for depth, (plane, labels) in enumerate(zip(volume.planes, stack, strict=True)):
            plan.wish.check(STOPPED)
            with image_of(plane) as image:
                table = measure_objects(
                    labels, pixel_size_um=plane.pixel_size_um, image=image, channel_names=plane.channels
                )
                if image is not None:
                    image.require_unchanged()
                write_files(plane, labels, None, table, flag_objects(table), image, settings, reporter)
            tables.append(_rows_of(table, found.cells.largest[table["label"] - 1] == depth))
        mask.require_unchanged()
        table = _with_borders(_joined(tables), found)
        flags = flag_objects(table)
        warn_of_cover(job, table.columns["area_px"], reporter)
        interval = CountInterval(settings.level, reason=_NO_INTERVAL)
        row = count_row(job, how, table.columns["area_px"], found, flags, interval, plan)
        row = replace(
            row,
            planes=len(volume.planes),
            outputs=(
                label_name(volume.stem),
                *(name for plane in volume.planes for name in output_names(plane, settings, with_labels=False)),
            ),
        )
        shown = _fullest(found, len(volume.planes))
        with image_of(volume.planes[shown]) as image:
            thumbnail = report_picture(job, row, stack[shown], image, settings)
    return CountedPlane(
        job=job,
        how=how,
        count=row,
        interval=interval,
        cells={**table.columns, **flags, **_depths(volume, found)},
        foreground_px=min(found.foreground_px, job.pixels),  # sections of other planes lie over each other
        thumbnail=thumbnail,
        inputs=plan.digests.of(job, plan),
    )


class _LabelStack(Sequence["Rows"]):
    """The label images of all planes, each made when it is asked for."""

    def __init__(self, planes: Sequence[PlaneJob], mask: OpenMask, found: FoundVolume) -> None:
        self._planes, self._mask, self._found = planes, mask, found

    def __len__(self) -> int:
        return len(self._planes)

    @overload
    def __getitem__(self, index: int) -> Rows: ...

    @overload
    def __getitem__(self, index: slice) -> list[Rows]: ...

    def __getitem__(self, index: int | slice) -> Rows | list[Rows]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        plane = self._planes[index]
        return ChangedRows(label_rows(self._mask.rows[plane.index], plane), self._found.numbered)


def _rows_of(table: ObjectTable, which: NDArray[Any]) -> ObjectTable:
    return replace(table, columns={name: values[which] for name, values in table.columns.items()})


def _joined(tables: list[ObjectTable]) -> ObjectTable:
    """Put the rows of all planes together, in order of labels."""
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0].columns}
    return _rows_of(replace(tables[0], columns=columns), np.argsort(columns["label"], kind="stable"))


def _with_borders(table: ObjectTable, found: FoundVolume) -> ObjectTable:
    """Tell of the whole cell, not only of its largest section, whether it touches the border."""
    touches = out_by_border(found.cells.table, found.cells.shape, "exclude")
    return replace(table, columns={**table.columns, "touches_border": touches})


def _depths(volume: VolumeJob, found: FoundVolume) -> dict[str, NDArray[Any]]:
    """Give the columns that tell where in the volume a cell lies; `plane` is that of its largest section."""
    cells, names = found.cells, np.array([plane.plane for plane in volume.planes], object)
    columns: dict[str, NDArray[Any]] = {
        "plane": names[cells.largest],
        "planes": cells.planes,
        "first_plane": names[cells.first],
        "last_plane": names[cells.last],
        "volume_px": cells.volume_px,
    }
    voxel_um3 = _voxel_um3(volume.planes[0])
    return columns if voxel_um3 is None else {**columns, VOLUME_UM3: cells.volume_px * voxel_um3}


def _voxel_um3(job: PlaneJob) -> float | None:
    if job.pixel_size_um is None or job.z_step_um is None:
        return None
    return job.pixel_size_um[0] * job.pixel_size_um[1] * job.z_step_um


def _fullest(found: FoundVolume, planes: int) -> int:
    """Give the plane on which most cells are largest."""
    return int(np.argmax(np.bincount(found.cells.largest, minlength=planes)))


def _warn_of_pieces(volume: VolumeJob, found: FoundVolume, reporter: Reporter) -> None:
    """Warn of cells that may be several: a section in pieces, or a plane left out between two others."""
    if apart := int(np.count_nonzero(found.cells.in_pieces)):
        reporter.warn(
            "extra_pieces",
            f"{apart:,} label{'s lie' if apart != 1 else ' lies'} in several pieces on a plane, or on planes that do "
            "not follow each other; each label is counted as one cell",
            "_".join(part for part in (volume.job.mask.name, volume.name) if part),
        )
