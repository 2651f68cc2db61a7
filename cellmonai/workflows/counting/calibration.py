"""The calibrations behind the masks of a run, and the interval of each plane that is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.images.rows import strips
from cellmonai.workflows.counting.intervals import (
    NO_TOTAL,
    CountedImage,
    CountInterval,
    KnownCalibration,
    count_interval,
    find_calibration,
    folder_warning,
)
from cellmonai.workflows.counting.survey import READ_FAILURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.images.image_rows import ImageRows
    from cellmonai.images.rows import Rows
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.measure.objects import ObjectTable
    from cellmonai.workflows.counting.inputs import MaskInput
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.survey import PlaneJob
    from cellmonai.workflows.inferring.record import RecordedModel


def calibrations_of(
    masks: Sequence[MaskInput], level: float, reporter: Reporter
) -> dict[RecordedModel | None, KnownCalibration]:
    """Find the calibration of every model behind the masks, each once, and tell what its intervals promise."""
    known = {model: find_calibration(model, level=level) for model in dict.fromkeys(mask.made_by for mask in masks)}
    for calibration in known.values():
        for warning in calibration.warnings:
            reporter.warn("not_compared", warning)
        if calibration.sentence is not None:
            reporter.note(calibration.sentence)
    return known


def interval_of(
    plan: CountPlan,
    job: PlaneJob,
    how: InstanceSettings,
    table: ObjectTable,
    labels: Rows,
    image: ImageRows | None,
) -> CountInterval:
    """Give the interval of one plane's count, or the reason why there is none."""
    calibration = plan.calibrations[job.mask.made_by]
    return count_interval(
        calibration,
        CountedImage(
            settings=how,
            areas_px=table["area_px"],
            shape=job.shape,
            pixel_size_um=job.pixel_size_um,
            image=image,
            channels=job.mask.channels,
            confidence=_confidence(job, labels) if calibration.calibration is not None else None,
            instead=plan.instead,
            split_along=plan.split_along,
        ),
    )


def tell_intervals(intervals: Sequence[CountInterval], reporter: Reporter) -> None:
    """Say what holds for all intervals together: that they do not add up, and how many images are unlike the rest."""
    if any(interval.ends for interval in intervals):
        reporter.note(NO_TOTAL)
    if (unlike := folder_warning(intervals)) is not None:
        reporter.warn("unlike_calibration", unlike)


def _confidence(job: PlaneJob, labels: Rows) -> float | None:
    """Measure the mean foreground probability over the cells; None where there are no maps or no cells."""
    if job.mask.maps is None:
        return None
    from cellmonai.images.map_rows import map_rows  # brings zarr

    total, pixels = 0.0, 0
    try:
        probability = map_rows(job.mask.maps, "foreground")
        if probability.shape != job.shape:
            return None
        for top, bottom in strips(job.shape):
            inside = labels.rows(top, bottom) > 0
            total += float(probability.rows(top, bottom)[inside].sum(dtype=np.float64))
            pixels += int(np.count_nonzero(inside))
    except READ_FAILURES:
        return None
    return total / pixels if pixels else None
