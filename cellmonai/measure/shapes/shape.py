"""Size, place and second moments of objects, from whole-number sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.shapes.tally import STRAIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAFE_PRODUCT = 2.0**62


@dataclass(frozen=True, slots=True)
class Moments:
    """Area, box, centroid and covariances of N objects, in px; each array has shape (N,).

    Parameters
    ----------
    area : int64
    top, left, bottom, right : int64, half-open boxes
    row, column : float64, centroid; pixel centres at whole numbers
    row_variance, column_variance, covariance : float64, px², of the pixel centres about the centroid
    """

    area: NDArray[np.int64]
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    bottom: NDArray[np.int64]
    right: NDArray[np.int64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    row_variance: NDArray[np.float64]
    column_variance: NDArray[np.float64]
    covariance: NDArray[np.float64]


def moments_of(table: NDArray[np.int64]) -> Moments:
    """Turn whole-number sums, int64, shape (N, 13), see `shapes.tally`, into moments.

    Sums are moved to each object's own box corner and stay integers until the last division, so that an object far from
    the image's origin keeps all its digits. Sums that wrapped at 2⁶⁴ unwrap by that.
    """
    area, x, y, xx, yy, xy, top, left, bottom, right = table.T[:STRAIGHT]
    sum_x, sum_y = x - left * area, y - top * area
    return Moments(
        area=area,
        top=top,
        left=left,
        bottom=bottom,
        right=right,
        row=top + sum_y / area,
        column=left + sum_x / area,
        row_variance=_central(area, yy - top * (y + sum_y), sum_y, sum_y),
        column_variance=_central(area, xx - left * (x + sum_x), sum_x, sum_x),
        covariance=_central(area, xy - top * x - left * sum_y, sum_x, sum_y),
    )


def _central(
    area: NDArray[np.int64], products: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(area · products - first · second) / area², the numerator without any rounding."""
    numerator = (area * products - first * second).astype(np.float64)
    # objects of many million pixels leave int64; the few there can be are done with Python's unlimited integers
    for i in np.flatnonzero(area.astype(np.float64) * products.astype(np.float64) >= _SAFE_PRODUCT):
        numerator[i] = int(area[i]) * int(products[i]) - int(first[i]) * int(second[i])
    return numerator / area.astype(np.float64) ** 2


@dataclass(frozen=True, slots=True)
class Axes:
    """The ellipse with an object's second moments; float64 arrays, shape (N,).

    Parameters
    ----------
    major, minor : full lengths of the axes, 4 times the root of the eigenvalues of the covariance matrix
    eccentricity : 0 for a circle, towards 1 for a line
    orientation_rad : angle from the row axis (down) to the major axis, counter-clockwise, -π/2 to π/2
    """

    major: NDArray[np.float64]
    minor: NDArray[np.float64]
    eccentricity: NDArray[np.float64]
    orientation_rad: NDArray[np.float64]


def axes_of(
    row_variance: NDArray[np.float64], column_variance: NDArray[np.float64], covariance: NDArray[np.float64]
) -> Axes:
    """Give the axes of the ellipse with these second moments; the definitions are scikit-image's.

    An object of equal variances has no direction of its own beyond the sign of its covariance: π/4 where that is
    positive, else -π/4.
    """
    mean = (row_variance + column_variance) / 2
    half_gap = np.hypot((row_variance - column_variance) / 2, covariance)
    large, small = mean + half_gap, np.maximum(mean - half_gap, 0.0)
    share = np.divide(2 * half_gap, large, out=np.zeros_like(large), where=large > 0)
    orientation = 0.5 * np.arctan2(2 * covariance, row_variance - column_variance)
    diagonal = np.where(covariance > 0, np.pi / 4, -np.pi / 4)
    return Axes(
        major=4 * np.sqrt(large),
        minor=4 * np.sqrt(small),
        eccentricity=np.sqrt(np.minimum(share, 1.0)),
        orientation_rad=np.where(row_variance == column_variance, diagonal, orientation),
    )
