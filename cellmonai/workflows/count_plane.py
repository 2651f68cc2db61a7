"""Count one plane of one mask: objects, filters, measurements, and the two pictures that show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.open import open_image
from cellmonai.images.write import write_labels
from cellmonai.instances.find import find_instances, foreground, keep_labels
from cellmonai.measure.objects import flag_objects, measure_objects
from cellmonai.report.counts import FILTERS, CellRows, ImageCount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.labels import MaskImage
    from cellmonai.instances.find import Found
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.measure.objects import ObjectTable
    from cellmonai.workflows.count_settings import CountSettings
    from cellmonai.workflows.count_survey import Kind, MaskReader, PlaneJob

_NO_INTERVAL = "no calibration is known for these masks"
_MOSTLY_FOREGROUND = 0.9
_MOST_EXTRA_PIECES = 2  # per label; a photograph taken for a label image has hundreds
_EXTRA_PIECES_ALLOWED = 50


@dataclass(frozen=True, slots=True)
class CountedPlane:
    """A counted plane: its row, its cells, and how much of it was foreground before any filter."""

    count: ImageCount
    cells: CellRows
    foreground_px: int
    pixels: int


def output_names(job: PlaneJob, settings: CountSettings) -> tuple[str, ...]:
    """Give the files that counting this plane writes."""
    labels = f"{job.stem}_labels.tif"
    if settings.pictures == "none" or job.image_plane is None:
        return (labels,)
    return labels, f"{job.stem}_overlay.png"


def count_plane(
    job: PlaneJob,
    how: InstanceSettings,
    kind: Kind,
    reader: MaskReader,
    settings: CountSettings,
    reporter: Reporter,
) -> CountedPlane:
    """Count one plane, and write its label image and overlay.

    Raises
    ------
    InputError
        The values are neither a binary mask nor labels, or the image cannot be read.
    OutputError
        A result exists or cannot be written.
    """
    plane = reader.read(job.mask.path)[job.index]
    found, inside_px = _find(job, plane, how, kind, settings, reporter)
    image, channels = _image(job)
    table = measure_objects(found.labels, pixel_size_um=job.pixel_size_um, image=image, channel_names=channels)
    flags = flag_objects(table)
    names = output_names(job, settings)
    write_labels(
        settings.output / names[0], found.labels, pixel_size_um=job.pixel_size_um, overwrite=settings.overwrite
    )
    if image is not None and len(names) > 1:
        _write_overlay(job, image, found.labels, names[1], settings, reporter)
    return CountedPlane(
        count=_row(job, table, found, flags, names),
        cells=CellRows(job.mask.name, job.plane, {**table.columns, **flags}),
        foreground_px=inside_px,
        pixels=plane.array.size,
    )


def _find(
    job: PlaneJob, plane: MaskImage, how: InstanceSettings, kind: Kind, settings: CountSettings, reporter: Reporter
) -> tuple[Found, int]:
    if kind == "labels":
        array = plane.array.view(np.uint8) if plane.array.dtype == bool else plane.array
        found = keep_labels(array, how)
        _check_labels(job, array, found, settings, reporter)
        return found, int(np.count_nonzero(array))
    inside = _inside(job, plane.array, settings)
    inside_px = int(np.count_nonzero(inside))
    if inside_px > _MOSTLY_FOREGROUND * inside.size:
        share = 100 * inside_px / inside.size
        reporter.warn("mostly_foreground", f"{share:.0f} % is foreground; is the mask inverted?", job.mask.name)
    return find_instances(inside, how), inside_px


def _inside(job: PlaneJob, array: NDArray[Any], settings: CountSettings) -> NDArray[np.bool_]:
    if settings.threshold is not None:
        return _rethresholded(job, settings.threshold)
    if array.dtype == bool:
        return array
    low, high = int(array.min()), int(array.max())
    if settings.kind == "auto" and low != 0 and low != high:
        raise InputError(
            f"the values are {low} and {high}, and it is unclear which one is the background",
            where=str(job.mask.path),
            cure="save the background as 0, or read the file as a label image with --kind labels",
        )
    inside: NDArray[np.bool_] = array != 0
    return inside


def _rethresholded(job: PlaneJob, threshold: float) -> NDArray[np.bool_]:
    from cellmonai.images.maps import read_maps  # brings zarr

    assert job.mask.maps is not None  # CountSettings.refuse_unfit looked
    maps = read_maps(job.mask.maps)
    if "foreground" not in maps.names:
        raise InputError(
            f"holds no foreground map, only {', '.join(maps.names)}",
            where=str(job.mask.maps),
            cure="leave --threshold out",
        )
    probability = maps.maps[list(maps.names).index("foreground")]
    if probability.shape != job.shape:
        raise InputError(
            f"the maps are {probability.shape} px and the mask {job.shape} px",
            where=str(job.mask.maps),
            cure="run cellmonai infer again",
        )
    return foreground(probability, threshold)


def _check_labels(
    job: PlaneJob, array: NDArray[Any], found: Found, settings: CountSettings, reporter: Reporter
) -> None:
    """Refuse a photograph that was taken for a label image, and warn of labels that were cut off at 255 or 65,535."""
    extra = found.notes.get("extra_pieces", 0)
    labels = found.count + sum(found.removed.values()) - extra
    if settings.kind == "auto" and extra > _MOST_EXTRA_PIECES * labels + _EXTRA_PIECES_ALLOWED:
        raise InputError(
            f"looks like a picture, not like a label image: {labels} values lie in {labels + extra} separate pieces",
            where=str(job.mask.path),
            cure="give masks or label images, or say --kind labels or --kind binary if it is one",
        )
    if extra:
        reporter.warn(
            "extra_pieces",
            f"{labels} label{'s lie' if labels != 1 else ' lies'} in {labels + extra} separate pieces; each piece is "
            "counted as a cell",
            job.mask.name,
        )
    if array.dtype.kind == "u" and array.dtype.itemsize < 4 and int(array.max()) == np.iinfo(array.dtype).max == labels:
        reporter.warn(
            "labels_full",
            f"exactly {labels} labels, the most that {array.dtype} holds; some cells may have been lost on saving",
            job.mask.name,
        )


def _image(job: PlaneJob) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    if job.mask.image is None or job.image_plane is None:
        return None, ()
    with open_image(job.mask.image) as source:
        return source.read(plane=job.image_plane), source.channels


def _write_overlay(
    job: PlaneJob,
    image: NDArray[Any],
    labels: NDArray[np.int32],
    name: str,
    settings: CountSettings,
    reporter: Reporter,
) -> None:
    from cellmonai.images.write import write_png
    from cellmonai.report.pictures import overlay, reduction

    if (step := reduction(image.shape)) > 1:
        reporter.note(f"{name}: drawn at 1/{step} of the full size")
    write_png(settings.output / name, overlay(image, labels), overwrite=settings.overwrite)


def _row(
    job: PlaneJob, table: ObjectTable, found: Found, flags: dict[str, NDArray[np.bool_]], outputs: tuple[str, ...]
) -> ImageCount:
    areas_px = table.columns["area_px"]
    count = len(areas_px)
    pixel_um2 = job.pixel_size_um[0] * job.pixel_size_um[1] if job.pixel_size_um else None
    mean, median = (float(np.mean(areas_px)), float(np.median(areas_px))) if count else (None, None)
    field_px = job.shape[0] * job.shape[1]
    return ImageCount(
        image=job.mask.name,
        plane=job.plane,
        count=count,
        density_per_mm2=count / (field_px * pixel_um2 * 1e-6) if pixel_um2 else None,
        area_mean_px=mean,
        area_median_px=median,
        area_mean_um2=mean * pixel_um2 if pixel_um2 and mean is not None else None,
        area_median_um2=median * pixel_um2 if pixel_um2 and median is not None else None,
        removed={name: int(found.removed.get(name, 0)) for name in FILTERS},
        flags={name: int(np.count_nonzero(flagged)) for name, flagged in flags.items()},
        interval_reason=_NO_INTERVAL,
        outputs=outputs,
    )
