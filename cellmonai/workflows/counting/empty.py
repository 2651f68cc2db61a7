"""No cells in any image: the likely reasons, with what was measured for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.image_rows import ImageRows
from cellmonai.images.open import open_image
from cellmonai.images.rows import strips
from cellmonai.measure.objects import measure_objects
from cellmonai.workflows.counting.objects import objects_of
from cellmonai.workflows.counting.survey import READ_FAILURES

if TYPE_CHECKING:
    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.counting.every_plane import Counted
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.plane import CountedPlane


def warn_without_cells(done: Counted, plan: CountPlan, reporter: Reporter) -> None:
    """Warn where no image holds a cell, with the reasons that are likely and the measurements that tell them apart."""
    if any(plane.count.count for plane in done.planes) or any(told.code == "dots" for told in reporter.warnings):
        return
    choice = plan.settings.choice
    if choice.is_given and not any(plane.foreground_px for plane in done.planes):
        raise InputError(
            f"no pixel of any mask {choice.words}",
            where=str(done.planes[0].job.mask.path),
            cure="look at the values of the masks and name those of cells",
            code="no_such_value",
        )
    removed = sum(sum(plane.count.removed.values()) for plane in done.planes)
    fullest = max(done.planes, key=lambda plane: plane.foreground_px)
    reporter.warn(
        "no_cells",
        f"no cells in any image ({100 * done.foreground_share:.1f} % of the pixels are foreground, {removed} "
        f"object{'s were' if removed != 1 else ' was'} removed by the filters). Three likely reasons: the model saw "
        f"the wrong channel{_of_intensity(fullest)}; the scale is off by more than a factor of two, so that cells fall "
        f"under the smallest area of {fullest.how.min_area_px:g} px{_of_size(fullest, plan)}; the contrast is inverted"
        f"{_of_maps(fullest, plan)}",
    )


def _of_size(plane: CountedPlane, plan: CountPlan) -> str:
    """Measure the largest object that there would be without filters."""
    if not plane.foreground_px or plane.count.planes is not None:
        return ""
    how = replace(plane.how, min_area_px=0, max_area_px=None, border="keep")
    job = plane.job
    try:
        with (
            plan.reader.open(job.mask.path) as mask,
            objects_of(job, mask.rows[job.index], how, plan) as found,
        ):
            areas = measure_objects(found.labels, pixel_size_um=None)["area_px"]
    except READ_FAILURES:
        return ""
    largest = int(areas.max(initial=0))
    return f" (the largest object, in {job.mask.name}, has {largest:,} px)" if largest else ""


def _of_maps(plane: CountedPlane, plan: CountPlan) -> str:
    """Look for the greatest probability where the model's maps are known."""
    if plane.job.mask.maps is None:
        return ""
    from cellmonai.images.map_rows import map_rows  # brings zarr

    try:
        rows = map_rows(plane.job.mask.maps, "foreground")
        highest = max(float(rows.rows(top, bottom).max()) for top, bottom in strips(rows.shape))
    except READ_FAILURES:
        return ""
    threshold = plan.settings.threshold if plan.settings.threshold is not None else plane.how.threshold
    return f" (the greatest probability in {plane.job.mask.name} is {highest:.2f} and the threshold {threshold:g})"


def _of_intensity(plane: CountedPlane) -> str:
    """Say which values the image holds, where it is known."""
    job = plane.job
    if job.mask.image is None or job.image_plane is None:
        return ""
    try:
        with open_image(job.mask.image, as_stored=job.image_as_stored) as source:
            image = ImageRows(source, job.image_plane)
            parts = [image.rows(top, bottom) for top, bottom in list(strips(job.shape))[:1]]
            low, high = (float(np.percentile(parts[0], share)) for share in (1, 99))
    except READ_FAILURES:
        return ""
    return f" (the image of {job.mask.name} has {len(job.channels)} channels with values from {low:g} to {high:g})"
