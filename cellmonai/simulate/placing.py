"""Where the cells lie: alone with a gap around them, or pushed against a neighbour, always each one visible region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.simulate.outlines import is_one_region, rasterise, widen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.simulate.outlines import Outlines
    from cellmonai.simulate.settings import FieldSettings

_VISIBLE_SHARE = 0.6  # of a cell inside the image stays visible, however many others cover it
_SMALLEST_VISIBLE_PX = 4
_TRIES = 400
_PIXELS_AT_A_TIME = 250_000  # boxes are drawn in blocks that fit a processor's cache, whatever the number of cells


@dataclass(frozen=True, slots=True)
class Placed:
    """Cells on their canvas: the image with a margin of `outlines.half` pixels on every side.

    `canvas` is int32, -1 on the margin, 0 on the background, i + 1 where cell i is seen. `centres` are rows and columns
    of the central pixels on the image; `areas_px` are the cells' areas inside the image, hidden parts included.
    """

    canvas: NDArray[np.int32]
    centres: NDArray[np.int64]
    areas_px: NDArray[np.int64]
    outlines: Outlines

    def window(self, cell: int) -> NDArray[np.int32]:
        """Give the cell's box on the canvas, as a view."""
        return self.canvas[self.box(cell)]

    def box(self, cell: int) -> tuple[slice, slice]:
        """Give the cell's box in canvas coordinates."""
        row, column = self.centres[cell].tolist()
        side = 2 * self.outlines.half + 1
        return slice(row, row + side), slice(column, column + side)

    def labels(self) -> NDArray[np.int32]:
        """Give the label image, numbered by each cell's first pixel in raster order."""
        margin = self.outlines.half
        seen = self.canvas[margin:-margin, margin:-margin]
        pixels = np.flatnonzero(seen)
        numbers = seen.ravel()[pixels]
        first = np.zeros(len(self.centres) + 1, np.int64)
        first[numbers[::-1]] = pixels[::-1]  # of repeated numbers the last assignment stays: the first pixel
        renumber = np.zeros(len(first), np.int32)
        renumber[1 + np.argsort(first[1:])] = np.arange(1, len(first))
        return renumber[seen]


@dataclass(frozen=True, slots=True)
class _Body:
    """A cell's pixels in its box, their number, and the same with a rim of one pixel where the cell must lie alone."""

    inside: NDArray[np.bool_]
    area_px: int
    with_rim: NDArray[np.bool_] | None


def place_cells(outlines: Outlines, settings: FieldSettings, random: np.random.Generator) -> Placed:
    """Find a place for every cell.

    Raises
    ------
    ValueError
        The cells do not fit into the image.
    """
    canvas = np.full([side + 2 * outlines.half for side in settings.shape], -1, np.int32)
    canvas[outlines.half : -outlines.half, outlines.half : -outlines.half] = 0
    n = settings.cells
    placed = Placed(canvas, np.zeros((n, 2), np.int64), np.zeros(n, np.int64), outlines)
    alone = random.random(n) >= settings.clustering
    for cells in blocks(outlines, n):
        inside, _ = rasterise(outlines, cells)
        areas = inside.sum(axis=(1, 2)).tolist()
        for cell, body, rim, area in zip(range(n)[cells], inside, widen(inside), areas, strict=True):
            _place(cell, _Body(body, area, rim if cell == 0 or alone[cell] else None), placed, settings, random)
    return placed


def blocks(outlines: Outlines, count: int) -> Iterator[slice]:
    """Give slices of cells whose boxes together hold a bounded number of pixels."""
    step = max(1, _PIXELS_AT_A_TIME // (2 * outlines.half + 1) ** 2)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _place(cell: int, body: _Body, placed: Placed, settings: FieldSettings, random: np.random.Generator) -> None:
    """Draw places for one cell until it may stay."""
    for _ in range(_TRIES):
        if body.with_rim is None:
            centre = _beside(cell, placed, settings, random)
        else:
            centre = int(random.random() * settings.shape[0]), int(random.random() * settings.shape[1])
        if not (0 <= centre[0] < settings.shape[0] and 0 <= centre[1] < settings.shape[1]):
            continue
        placed.centres[cell] = centre
        if _paint(cell, body, placed, settings):
            return
    raise ValueError(
        f"{settings.cells} cells do not fit into {settings.shape[0]} x {settings.shape[1]} pixels: "
        f"after {cell} no place was found; use fewer or smaller cells"
    )


def _beside(cell: int, placed: Placed, settings: FieldSettings, random: np.random.Generator) -> tuple[int, int]:
    """Draw a neighbour and a side, and move up to it until the outlines meet or overlap a little."""
    draws = random.random(3)
    neighbour, angle = int(draws[0] * cell), 2 * np.pi * draws[1]
    side = np.array([np.sin(angle), np.cos(angle)], np.float32)
    pair, sign = np.array([neighbour, cell]), np.array([1, -1], np.float32)
    reach = placed.outlines.distance_px(pair, sign * side[0], sign * side[1]).sum()
    shift = placed.outlines.shift_px[neighbour] - placed.outlines.shift_px[cell]
    row, column = placed.centres[neighbour] + shift + side * reach * (1.0 - settings.overlap * draws[2])
    return round(float(row)), round(float(column))


def _paint(cell: int, body: _Body, placed: Placed, settings: FieldSettings) -> bool:
    """Paint the cell where its centre is, unless a rule speaks against it; tell whether it was painted."""
    seen = placed.window(cell)
    if body.with_rim is not None and seen[body.with_rim].max() > 0:
        return False
    mine, area = body.inside, body.area_px
    before = seen[mine]
    if before.min() < 0:  # it reaches over the image's edge
        mine = body.inside & (seen >= 0)
        before, area = seen[mine], int(mine.sum())
        if settings.border == "inside" or area < _SMALLEST_VISIBLE_PX or not is_one_region(mine):
            return False
    seen[mine] = cell + 1
    placed.areas_px[cell] = area
    if before.any() and not all(_still_good(number - 1, placed) for number in np.unique(before[before > 0]).tolist()):
        seen[mine] = before
        return False
    return True


def _still_good(cell: int, placed: Placed) -> bool:
    """Tell whether enough of a cell that others cover is still seen, in one piece."""
    rest = placed.window(cell) == cell + 1
    enough = max(_VISIBLE_SHARE * placed.areas_px[cell], _SMALLEST_VISIBLE_PX)
    return int(rest.sum()) >= enough and is_one_region(rest)
