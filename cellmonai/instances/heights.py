"""The landscape that basins are found in: smoothed distance to the background, in whole numbers.

Only integers are added and multiplied, so that the heights depend on the mask alone: not on the strip they were
computed in, the order of additions, the processor or the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.distance import DISTANCE_CAP_PX, sweep_down, sweep_up, widen_to_squared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

HEIGHT_PER_PX = 1 << 24
"""Height of one pixel of distance: 256 (depth) times 256 times 256 (sums of the smoothing weights, twice)."""

SMOOTHING_WEIGHTS = (106, 61, 13, 1)
"""Gaussian of sigma 1 px at 0, ±1, ±2, ±3 px in 1/256, rounded down (to 0 at ±4 px); the centre takes what is left."""

REACH_PX = len(SMOOTHING_WEIGHTS) - 1
STRIP_PIXELS = 1 << 18  # a strip's working arrays stay in the second-level cache
LEAST_STRIP_ROWS = 64

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


def height_strips(mask: NDArray[np.bool_], *, margin: int = 1, strip_rows: int | None = None) -> Iterator[HeightStrip]:
    """Compute the heights of a mask from top to bottom, one strip of rows after the other.

    Parameters
    ----------
    mask : bool, shape (Y, X); only slices of rows are taken, at most 255 + 3 + margin rows ahead of a strip
    margin : frame of neighbouring heights that each strip carries, px
    strip_rows : rows of a strip; changes memory and speed, never a height
    """
    height, width = mask.shape
    strip_rows = strip_rows or max(LEAST_STRIP_ROWS, STRIP_PIXELS // max(width, 1))
    reach = margin + REACH_PX
    above = np.full(width, DISTANCE_CAP_PX, np.uint8)
    for top in range(0, height, strip_rows):
        bottom = min(top + strip_rows, height)
        first, last = max(top - reach, 0), min(bottom + reach, height)
        inside = np.ascontiguousarray(mask[first:last]).view(np.uint8)
        ahead = np.ascontiguousarray(mask[last : last + DISTANCE_CAP_PX]).view(np.uint8)
        down = sweep_down(inside, above)
        if (next_first := bottom - reach) > 0:
            above = down[next_first - 1 - first].copy()
        framed = np.zeros((bottom - top + 2 * margin, width + 2 * margin), np.uint32)
        if inside.any():
            depth = _DEPTH[widen_to_squared(np.minimum(down, sweep_up(inside, ahead)))]
            lowest, highest = max(top - margin, 0), min(bottom + margin, height)
            smooth = smooth_rows(depth, range(lowest - first, highest - first), mirror=(first == 0, last == height))
            smooth *= inside[lowest - first : highest - first]
            framed[lowest - top + margin : highest - top + margin, margin : margin + width] = smooth
        yield HeightStrip(top, bottom - top, width, margin, framed)


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
