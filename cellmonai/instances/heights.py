"""The landscape that basins are found in: smoothed distance to the background, in whole numbers.

Only integers are added and multiplied, so that the heights depend on the mask alone: not on the strip they were
computed in, the order of additions, the processor or the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances import compiled
from cellmonai.instances.distance import DISTANCE_CAP_PX, sweep_down, sweep_up, widen_to_squared
from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.windows import StripWindow

HEIGHT_PER_PX = 1 << 24
"""Height of one pixel of distance: 256 (depth) times 256 times 256 (sums of the smoothing weights, twice)."""

SMOOTHING_WEIGHTS = (106, 61, 13, 1)
"""Gaussian of sigma 1 px at 0, ±1, ±2, ±3 px in 1/256, rounded down (to 0 at ±4 px); the centre takes what is left."""

REACH_PX = len(SMOOTHING_WEIGHTS) - 1

MAP_LEVELS = 1 << 16

# 256 times the distance, rounded; no root falls on a half, so the rounding has no ties
_DEPTH = np.rint(256.0 * np.sqrt(np.arange(DISTANCE_CAP_PX**2 + 1))).astype(np.uint16)


@dataclass(frozen=True, slots=True)
class HeightStrip:
    """Heights of full-width rows, with a frame around them.

    Parameters
    ----------
    top : row of the image that the strip starts with
    rows, columns : size of the strip
    margin : width of the frame in px; it holds the neighbours' heights above and below, and 0 outside the image
    heights : uint32, shape (rows + 2 margin, columns + 2 margin), 0 on background
    """

    top: int
    rows: int
    columns: int
    margin: int
    heights: NDArray[np.uint32]

    @property
    def centre(self) -> NDArray[np.uint32]:
        """The heights without the frame, shape (rows, columns)."""
        return self.heights[self.margin : self.margin + self.rows, self.margin : self.margin + self.columns]


def strip_heights(window: StripWindow, *, margin: int = 1) -> HeightStrip:
    """Compute the heights of a strip of a mask.

    Parameters
    ----------
    window : the strip's rows of a mask, bool, with `look_ahead(margin)` rows above and below
    margin : frame of neighbouring heights that the strip carries, px
    """
    inside = np.ascontiguousarray(window.pixels, dtype=np.bool_).view(np.uint8)
    framed = _frame(window, margin)
    lowest, highest = max(window.top - margin, 0), min(window.bottom + margin, window.image_rows)
    rows = range(lowest - window.first, highest - window.first)
    if inside[rows.start : rows.stop].any():
        out = framed[lowest - window.top + margin : highest - window.top + margin, margin : margin + window.columns]
        if (kernels := library()) is not None:
            compiled.heights(kernels, inside, rows, _DEPTH, out)
        else:
            out[...] = _heights_of(inside, rows)
    return HeightStrip(window.top, window.bottom - window.top, window.columns, margin, framed)


def strip_map_heights(window: StripWindow, landscape: StripWindow, *, margin: int = 1) -> HeightStrip:
    """Take heights from a map in [0, 1], such as a network's distance or centre map, instead of the distance.

    Parameters
    ----------
    window : the strip's rows of a mask, bool, with at least `margin` rows above and below
    landscape : the same rows of the map, float; what is not a number counts as 0
    margin : frame of neighbouring heights that the strip carries, px

    Notes
    -----
    The map is rounded to 65,536ths, as the threshold is, so that engines that differ by 1e-6 rarely differ here.
    """
    framed = _frame(window, margin)
    lowest, highest = max(window.top - margin, 0), min(window.bottom + margin, window.image_rows)
    inside = window.pixels[lowest - window.first : highest - window.first].astype(np.bool_)
    level = np.nan_to_num(landscape.pixels[lowest - landscape.first : highest - landscape.first].astype(np.float64))
    step = np.floor(np.clip(level, 0.0, 1.0) * MAP_LEVELS + 0.5).astype(np.uint32)
    out = framed[lowest - window.top + margin : highest - window.top + margin, margin : margin + window.columns]
    # one step more for all, as 0 is the height of background
    np.copyto(out, (step + np.uint32(1)) * np.uint32(HEIGHT_PER_PX // MAP_LEVELS), where=inside)
    return HeightStrip(window.top, window.bottom - window.top, window.columns, margin, framed)


def look_ahead(margin: int) -> int:
    """Rows above and below a strip that its heights, with a frame of `margin`, depend on."""
    return margin + REACH_PX + DISTANCE_CAP_PX


def _frame(window: StripWindow, margin: int) -> NDArray[np.uint32]:
    return np.zeros((window.bottom - window.top + 2 * margin, window.columns + 2 * margin), np.uint32)


def _heights_of(inside: NDArray[np.uint8], rows: range) -> NDArray[np.uint32]:
    """Give the heights of some rows of a window; the twin of kernels/heights.c."""
    first, last = max(rows.start - REACH_PX, 0), min(rows.stop + REACH_PX, inside.shape[0])
    above = np.full(inside.shape[1], DISTANCE_CAP_PX, np.uint8)
    if first:
        above = sweep_down(inside[:first], above)[-1]
    near = inside[first:last]
    down, up = sweep_down(near, above), sweep_up(near, inside[last:])
    depth = _DEPTH[widen_to_squared(np.minimum(down, up))]
    mirror = (first == 0, last == inside.shape[0])
    smooth = smooth_rows(depth, range(rows.start - first, rows.stop - first), mirror=mirror)
    smooth *= inside[rows.start : rows.stop]
    return smooth


def smooth_rows(depth: NDArray[np.uint16], rows: range, *, mirror: tuple[bool, bool]) -> NDArray[np.uint32]:
    """Smooth some rows of a depth image, down the columns and then along the rows.

    Parameters
    ----------
    depth : uint16, shape (Y, X), in 1/256 px
    rows : rows to smooth; three rows before and after them lie in `depth`, except at an image border
    mirror : whether the first and the last row of `depth` are the image's; it is continued there as its mirror image

    Returns
    -------
    uint32, shape (len(rows), X), in 2⁻²⁴ px; the largest possible sum, 65,280 · 65,536, still fits
    """
    if any(mirror):
        depth = np.pad(depth, ((REACH_PX * mirror[0], REACH_PX * mirror[1]), (0, 0)), mode="symmetric")
    start = rows.start + REACH_PX * mirror[0]
    tall = depth[start - REACH_PX : start + len(rows) + REACH_PX].astype(np.uint32)
    columns_done = _weigh(tall, axis=0)
    wide = np.pad(columns_done, ((0, 0), (REACH_PX, REACH_PX)), mode="symmetric")
    return _weigh(wide, axis=1)


def _weigh(image: NDArray[np.uint32], *, axis: int) -> NDArray[np.uint32]:
    """Take the weighted sum over seven pixels along one axis, where all seven exist."""
    length = image.shape[axis] - 2 * REACH_PX

    def moved(offset: int) -> NDArray[np.uint32]:
        kept = slice(REACH_PX + offset, REACH_PX + offset + length)
        return image[kept] if axis == 0 else image[:, kept]

    total = moved(0) * np.uint32(SMOOTHING_WEIGHTS[0])
    for offset, weight in enumerate(SMOOTHING_WEIGHTS[1:], start=1):
        pair = moved(-offset) + moved(offset)
        pair *= np.uint32(weight)
        total += pair
    return total
