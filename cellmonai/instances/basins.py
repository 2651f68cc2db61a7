"""Basins of one strip: where pixels point, which of them end in the same peak, and where two basins touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cellmonai.instances import compiled
from cellmonai.instances.regions import COLUMNS, EXIT_TO, IS_SEED, PEAK_HEIGHT, PEAK_PIXEL, add_sums
from cellmonai.instances.unite import follow_to_roots
from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.heights import HeightStrip

_Kind = TypeVar("_Kind", bound=np.generic)


@dataclass(frozen=True, slots=True)
class StripRegions:
    """The regions of a strip, and what the strips above and below must know to join them.

    Parameters
    ----------
    top : row of the image that the strip begins with
    ids : int32, shape (rows, X), regions 1..N, 0 is background
    table : int64, shape (N, COLUMNS), see `regions`
    edges : touching regions of the strip with their saddles, numbered from 1
    border_values : the strip's first and last row of what decides on touching across strips: heights of basins
    """

    top: int
    ids: NDArray[np.int32]
    table: NDArray[np.int64]
    edges: Edges
    border_values: tuple[NDArray[Any], NDArray[Any]]


def strip_basins(strip: HeightStrip, *, seed_distance_px: int = 0) -> StripRegions:
    """Let every foreground pixel point to the greatest of its 3 x 3 neighbours and follow the pointers to their ends.

    Greater means higher, and among equally high pixels the earlier one in raster order; so no two pixels are equal,
    pointers never run in circles, and a flat top has one peak. Basins are numbered in raster order of their roots. A
    root is a peak, or an exit: a pixel whose greatest neighbour lies in the strip above or below.
    """
    kernels = library()
    if kernels is not None:
        ids, table = compiled.basins(kernels, strip.heights, strip.margin, strip.top, seed_distance_px)
        found = compiled.edges(kernels, strip.heights, strip.margin, ids, table.shape[0])
        edges = highest_saddles(*found)
    else:
        ids, table = _basins_of(strip, seed_distance_px)
        edges = touching_pairs(ids, strip.centre)
    return StripRegions(strip.top, ids, table, edges, (strip.centre[0].copy(), strip.centre[-1].copy()))


def _basins_of(strip: HeightStrip, seed_distance_px: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Find the basins of a strip; the twin of kernels/basins.c."""
    columns = strip.columns
    position = np.flatnonzero(strip.centre)
    step = np.array([row * columns + column for row in (-1, 0, 1) for column in (-1, 0, 1)])
    target = position + step[_greatest_neighbour(strip).ravel()[position]]

    place = np.empty((strip.rows + 2) * columns, np.intp)  # place in `position`, with one row around the strip
    place[:columns] = place[-columns:] = -1
    place[position + columns] = np.arange(position.size)
    pointer = place[target + columns]
    exits = np.flatnonzero(pointer < 0)
    pointer[exits] = exits

    end = follow_to_roots(pointer)
    root = np.flatnonzero(end == np.arange(end.size))
    number = np.empty(end.size, np.int32)
    number[root] = np.arange(1, root.size + 1, dtype=np.int32)
    ids = np.zeros((strip.rows, columns), np.int32)
    ids.reshape(-1)[position] = number[end]

    table = np.zeros((root.size, COLUMNS), np.int64)
    at = position[root]
    row, column = np.divmod(at, columns)
    table[:, PEAK_HEIGHT] = strip.centre[row, column]
    table[:, PEAK_PIXEL] = at + strip.top * columns
    table[:, EXIT_TO] = np.where(target[root] == at, -1, target[root] + strip.top * columns)
    table[:, IS_SEED] = greatest_in_window(strip, row, column, seed_distance_px)
    add_sums(ids, strip.top, table)
    return ids, table


def greatest_in_window(
    strip: HeightStrip, row: NDArray[np.intp], column: NDArray[np.intp], distance_px: int
) -> NDArray[np.bool_]:
    """Tell which of some pixels are the greatest of the square window around them.

    Parameters
    ----------
    strip : heights with a margin of at least `distance_px`
    row, column : intp, pixels of the strip
    distance_px : half the window's width, rounded down; 0 asks for no seeds and gives False for all
    """
    greatest = np.full(row.size, distance_px > 0)
    centre = strip.heights[row + strip.margin, column + strip.margin]
    for down in range(-distance_px, distance_px + 1):
        for right in range(-distance_px, distance_px + 1):
            other = strip.heights[row + (strip.margin + down), column + (strip.margin + right)]
            # of equally high pixels the earlier one in raster order is greater
            greatest &= (other < centre) if (down, right) < (0, 0) else (other <= centre)
    return greatest


def _greatest_neighbour(strip: HeightStrip) -> NDArray[np.uint8]:
    """Give the greatest pixel of each 3 x 3 neighbourhood as 0..8 in raster order.

    Rows first: the leftmost of the highest three, then the uppermost of the three rows' highest. A later pixel wins
    only by being strictly higher, which is the order of `strip_basins`.
    """
    margin, columns = strip.margin, strip.columns
    heights = strip.heights[margin - 1 : margin + strip.rows + 1, margin - 1 : margin + columns + 1]
    left, middle, right = heights[:, :-2], heights[:, 1:-1], heights[:, 2:]
    column = (middle > left).view(np.uint8)
    highest = np.maximum(left, middle)
    np.maximum(column, (right > highest).view(np.uint8) * np.uint8(2), out=column)
    np.maximum(highest, right, out=highest)

    neighbour = column[:-2].copy()
    best = highest[:-2].copy()
    for row in (1, 2):
        rival = highest[row : row + strip.rows]
        np.copyto(neighbour, column[row : row + strip.rows] + np.uint8(3 * row), where=rival > best)
        np.maximum(best, rival, out=best)
    return neighbour


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of touching basins, each with its saddle: the highest of min(height p, height q) over touching pixels.

    Parameters
    ----------
    low, high : int64, basins with low < high, every pair once, sorted
    saddle : int64, in 2⁻²⁴ px
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    saddle: NDArray[np.int64]


def highest_saddles(first: NDArray[np.int64], second: NDArray[np.int64], saddle: NDArray[np.int64]) -> Edges:
    """Keep one edge per pair of different basins, with its highest saddle."""
    different = first != second
    first, second, saddle = first[different], second[different], saddle[different]
    if first.size == 0:
        return Edges(first, second, saddle)
    pair = (np.minimum(first, second) << 32) | np.maximum(first, second)
    order = np.argsort(pair)
    pair = pair[order]
    starts = np.flatnonzero(np.concatenate(([True], pair[1:] != pair[:-1])))
    pair = pair[starts]
    return Edges(pair >> 32, pair & 0xFFFFFFFF, np.maximum.reduceat(saddle[order], starts))


def touching_pairs(
    basins: NDArray[np.integer], heights: NDArray[np.uint32], *, across_rows_only: bool = False
) -> Edges:
    """Find the edges between the basins of some rows.

    Parameters
    ----------
    basins : integer, shape (Y, X), basin of each pixel, 0 on background
    heights : uint32, shape (Y, X)
    across_rows_only : leave out pairs of pixels of one row
    """
    parts = []
    steps = ((0, 1), (1, -1), (1, 0), (1, 1))  # each of the 8 directions, or its opposite
    for row_step, column_step in steps[across_rows_only:]:
        here, there = _overlap(basins, row_step, column_step)
        differ = here != there
        differ &= here > 0
        differ &= there > 0
        at = np.flatnonzero(differ)
        if at.size:
            height_here, height_there = _overlap(heights, row_step, column_step)
            row, column = np.divmod(at, differ.shape[1])
            lower = np.minimum(height_here[row, column], height_there[row, column])
            parts.append((here[row, column], there[row, column], lower))
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Edges(nothing, nothing, nothing)
    first, second, saddle = (np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True))
    return highest_saddles(first, second, saddle)


def _overlap(image: NDArray[_Kind], row_step: int, column_step: int) -> tuple[NDArray[_Kind], NDArray[_Kind]]:
    """Give two views of one image, the second moved by a step, over the part where both exist."""
    rows, columns = image.shape
    here = image[: rows - row_step, max(-column_step, 0) : columns - max(column_step, 0)]
    there = image[row_step:, max(column_step, 0) : columns + min(column_step, 0)]
    return here, there
