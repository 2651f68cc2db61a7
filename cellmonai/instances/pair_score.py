"""What the learned rule looks at: two sides of a saddle, described without regard to scale.

The score is a logistic regression on pairs of basins of annotated nuclei; above 0, the two are more likely one cell.
Everything is computed from whole-number sums with + - * / and sqrt in a fixed order, so that the compiled twin
(kernels/unite.c) decides alike in the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.heights import HEIGHT_PER_PX
from cellmonai.instances.regions import (
    AREA,
    BOTTOM,
    LEFT,
    PEAK_HEIGHT,
    PEAK_PIXEL,
    RIGHT,
    SUM_X,
    SUM_XX,
    SUM_XY,
    SUM_Y,
    SUM_YY,
    TOP,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = (
    "one",
    "relative persistence",  # (lo - s) / lo; lo and hi are the lower and higher peak, s the saddle
    "open area of the union",  # 1 - fill, where positive; fill is the area over that of the ellipse of equal moments
    "open area gained",  # that of the union less the area-weighted mean of the sides
    "smaller area",  # log2 of the smaller side's area over the image's median cell
    "area of the union",  # the same of both together
    "saddle",  # s / hi
    "distance of peaks",  # over lo + hi
    "distance by area",  # over the root of the smaller area
)

LEARNED_WEIGHTS = (
    -6.13141211,
    -3.04737311,
    16.8956698,
    -29.7355579,
    -0.378796608,
    -0.646091411,
    6.01199803,
    0.897005095,
    0.157146158,
)
"""Fitted by tests/benchmarks/fit_split_rule.py on 4,789 saddles in 331 images of DSB2018 stage 1 (BBBC038), corrected
labels, divided by group. On the 333 images that the fit never saw: count bias -1.1 % (auto -1.5 %), mean absolute count
error 1.67 (1.74), F1 at an overlap of one half .964 (.958). It is not the default, as it does not win everywhere: at
twice the scale it counts a little worse (2.19 against 2.05 cells), and on four FNC images it is no better."""

_ELLIPSE = 12.566370614359172  # 4 pi
_PIXEL_MOMENT = 1.0 / 12.0  # a pixel is a square, not a point
_HALF, _WHOLE = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class PairScore:
    """Scores two sides of a saddle.

    Parameters
    ----------
    weights : one per feature
    median_area_px : of the cells that the default rule finds in the image
    columns : width of the image, to turn raster indices of peaks into places
    """

    weights: tuple[float, ...]
    median_area_px: float
    columns: int

    def __call__(self, one: list[int], other: list[int], saddle: int) -> float:
        """Give the score of two rows of sums, see `regions`; above 0 they are one cell."""
        score = 0.0
        for weight, feature in zip(self.weights, self.features(one, other, saddle), strict=True):
            score += weight * feature
        return score

    def features(self, one: list[int], other: list[int], saddle: int) -> tuple[float, ...]:
        """Give the features of two rows of sums in the order of FEATURES."""
        low, high = (one, other) if one[PEAK_HEIGHT] <= other[PEAK_HEIGHT] else (other, one)
        lo, hi, s = low[PEAK_HEIGHT] / HEIGHT_PER_PX, high[PEAK_HEIGHT] / HEIGHT_PER_PX, saddle / HEIGHT_PER_PX
        a, b = float(one[AREA]), float(other[AREA])
        smaller = min(a, b)
        both = one.copy()
        self.add(both, other)
        opened = 1.0 - fill_of(both)
        parts = (a * (1.0 - fill_of(one)) + b * (1.0 - fill_of(other))) / (a + b)
        dy = float(one[PEAK_PIXEL] // self.columns - other[PEAK_PIXEL] // self.columns)
        dx = float(one[PEAK_PIXEL] % self.columns - other[PEAK_PIXEL] % self.columns)
        distance = math.sqrt(dy * dy + dx * dx)
        return (
            1.0,
            (lo - s) / lo,
            max(opened, 0.0),
            opened - parts,
            straight_log2(smaller / self.median_area_px),
            straight_log2((a + b) / self.median_area_px),
            s / hi,
            distance / (lo + hi),
            distance / math.sqrt(smaller),
        )

    @staticmethod
    def add(to: list[int], other: list[int]) -> None:
        """Add the sums of one side to the other's; the peak stays."""
        for column in range(AREA, SUM_XY + 1):
            to[column] = _wrapped(to[column] + other[column])
        for column in (TOP, LEFT):
            to[column] = min(to[column], other[column])
        for column in (BOTTOM, RIGHT):
            to[column] = max(to[column], other[column])


def fill_of(sums: list[int]) -> float:
    """Give the area over that of the ellipse with the same second moments: 1 for an ellipse, less for an eight."""
    area, top, left = sums[AREA], sums[TOP], sums[LEFT]
    a = float(area)
    y = float(_wrapped(sums[SUM_Y] - top * area)) / a
    x = float(_wrapped(sums[SUM_X] - left * area)) / a
    yy = float(_wrapped(sums[SUM_YY] - 2 * top * sums[SUM_Y] + top * top * area)) / a
    xx = float(_wrapped(sums[SUM_XX] - 2 * left * sums[SUM_X] + left * left * area)) / a
    xy = float(_wrapped(sums[SUM_XY] - left * sums[SUM_Y] - top * sums[SUM_X] + top * left * area)) / a
    vy, vx, c = yy - y * y + _PIXEL_MOMENT, xx - x * x + _PIXEL_MOMENT, xy - x * y
    determinant = vy * vx - c * c
    return a / (_ELLIPSE * math.sqrt(determinant)) if determinant > 0.0 else 1.0


def straight_log2(value: float) -> float:
    """Give log2, straight between powers of two: mathematics libraries differ in the last digit of a logarithm."""
    mantissa, exponent = math.frexp(value)
    return (exponent - 1) + (2.0 * mantissa - 1.0)


def median_area_px(table: NDArray[np.int64], root: NDArray[np.intp]) -> float:
    """Give the median area of the cells that stand at `root`; 1 where there is none."""
    area = np.zeros(root.size, np.int64)
    np.add.at(area, root, table[:, AREA])
    area = area[area > 0]
    return float(np.median(area)) if area.size else 1.0


def _wrapped(value: int) -> int:
    """Bring a sum back into the range of int64, as the sums are taken modulo 2⁶⁴."""
    return (value + _HALF) % _WHOLE - _HALF
