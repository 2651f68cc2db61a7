"""Pixels that are not square: which measurements are then those of the pixel grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.counting.survey import PlaneJob


def warn_of_oblong_pixels(jobs: Sequence[PlaneJob], reporter: Reporter) -> None:
    """Warn once where pixels are not square: shapes without a unit are then those of the pixel grid, not of cells."""
    oblong = [job for job in jobs if job.pixel_size_um is not None and job.pixel_size_um[0] != job.pixel_size_um[1]]
    if not oblong or (size := oblong[0].pixel_size_um) is None:
        return
    which = "" if len(oblong) == len(jobs) else f" in {len(oblong):,} of {len(jobs):,} planes, first {oblong[0].stem}"
    reporter.warn(
        "pixels_not_square",
        f"pixels are not square (x {size[1]:.6g} µm, y {size[0]:.6g} µm){which}: circularity, eccentricity, "
        "orientation, solidity and the flag odd_shape are those of the pixel grid, and perimeter_um is empty; all "
        "other columns in µm and µm² use both sizes",
    )
