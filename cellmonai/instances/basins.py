"""Basins of one strip: where pixels point, which of them end in the same peak, and where two basins touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cellmonai.instances.unite import follow_to_roots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.heights import HeightStrip

_Kind = TypeVar("_Kind", bound=np.generic)


@dataclass(frozen=True, slots=True)
class StripBasins:
    """The basins of a strip, numbered from 0 in raster order of their roots.

    A root is a peak, or an exit: a pixel whose greatest neighbour lies in the strip above or below.

    Parameters
    ----------
    basin : intp, one per foreground pixel in raster order
    position : intp, each foreground pixel as row * columns + column of the strip
    root : intp, place of each basin's root in `position`
    exit_to : intp, position that the root points to; negative in the strip above, from rows * columns on in the one
        below, and the root's own position for a peak
    """

    basin: NDArray[np.intp]
    position: NDArray[np.intp]
    root: NDArray[np.intp]
    exit_to: NDArray[np.intp]


def find_strip_basins(strip: HeightStrip) -> StripBasins:
    """Let every foreground pixel point to the greatest of its 3 x 3 neighbours and follow the pointers to their ends.

    Greater means higher, and among equally high pixels the earlier one in raster order; so no two pixels are equal,
    pointers never run in circles, and a flat top has one peak.
    """
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
    number = np.empty_like(end)
    number[root] = np.arange(root.size)
    return StripBasins(number[end], position, root, target[root])


def _greatest_neighbour(strip: HeightStrip) -> NDArray[np.uint8]:
    """Give the greatest pixel of each 3 x 3 neighbourhood as 0..8 in raster order.

    Rows first: the leftmost of the highest three, then the uppermost of the three rows' highest. A later pixel wins
    only by being strictly higher, which is the order of `find_strip_basins`.
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


def touching_pairs(basins: NDArray[np.int32], heights: NDArray[np.uint32]) -> Edges:
    """Find the edges between the basins of some rows.

    Parameters
    ----------
    basins : int32, shape (Y, X), basin of each pixel, 0 on background
    heights : uint32, shape (Y, X)
    """
    parts = []
    for row_step, column_step in ((0, 1), (1, -1), (1, 0), (1, 1)):  # each of the 8 directions, or its opposite
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
