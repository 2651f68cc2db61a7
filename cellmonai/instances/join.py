"""Strips joined to one plane: what is global is the list of regions and edges, never a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.basins import Edges, highest_saddles, touching_pairs
from cellmonai.instances.regions import COLUMNS, EXIT_TO, add_rows
from cellmonai.instances.unite import follow_to_roots, unite_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.basins import StripRegions

_NOTHING = np.zeros(0, np.int64)


@dataclass(slots=True)
class RegionGraph:
    """The regions of a whole plane and the saddles between them.

    Parameters
    ----------
    shape : rows and columns of the plane
    table : int64, shape (N, COLUMNS), see `regions`; in raster order of roots
    edges : touching regions, numbered from 0
    region_of : for each strip the region of each number in it, int32; number 1 comes first
    """

    shape: tuple[int, int]
    table: NDArray[np.int64]
    edges: Edges
    region_of: list[NDArray[np.int32]]


class BasinJoiner:
    """Takes strips of basins from top to bottom; of the pixels, only the last row is remembered.

    Basins get provisional numbers from 1 on. One whose root points out of its strip is a part of the basin that holds
    the pixel it points to. There are many such parts at every seam, so they are added up as soon as the next strip
    tells what they belong to.

    Parameters
    ----------
    columns : width of the plane
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows = 0
        self._count = 0
        self._leads_to = np.zeros(1 << 12, np.int32)  # what each number is a part of, itself if of nothing; grows
        self._starts: list[int] = []
        self._numbers, self._tables = [_NOTHING], [np.zeros((0, COLUMNS), np.int64)]  # whole basins
        self._owners, self._parts = [_NOTHING], [np.zeros((0, COLUMNS), np.int64)]  # added up parts of them
        self._edges = [Edges(_NOTHING, _NOTHING, _NOTHING)]
        self._fresh = Edges(_NOTHING, _NOTHING, _NOTHING)  # of the last strip, whose parts are not yet known
        # numbers, columns they point to, and rows of the basins that leave the last strip below
        self._leaving = (_NOTHING, _NOTHING, np.zeros((0, COLUMNS), np.int64))
        self._last_ids = np.zeros(columns, np.int64)
        self._last_heights = np.zeros(columns, np.uint32)

    def add(self, strip: StripRegions) -> None:
        """Take the next strip."""
        start, rows = self._count, strip.ids[[0, -1]].astype(np.int64)
        rows[rows > 0] += start
        self._grow(strip)
        exit_to = strip.table[:, EXIT_TO]
        up = np.flatnonzero((exit_to >= 0) & (exit_to < strip.top * self.columns))
        down = np.flatnonzero(exit_to >= self.rows * self.columns)
        whole = np.flatnonzero(exit_to < 0)
        self._numbers.append(whole + start + 1)
        self._tables.append(strip.table[whole])

        left, columns, left_rows = self._leaving
        parts = np.concatenate((left, up + start + 1))
        belongs_to = (rows[0, columns], self._last_ids[exit_to[up] - (strip.top - 1) * self.columns])
        self._leads_to[parts] = np.concatenate(belongs_to)
        self._add_up(parts, np.concatenate((left_rows, strip.table[up])))
        self._leaving = (down + start + 1, exit_to[down] - self.rows * self.columns, strip.table[down])

        self._settle(self._fresh)
        ids, heights = np.stack((self._last_ids, rows[0])), np.stack((self._last_heights, strip.border_values[0]))
        seam, own = touching_pairs(ids, heights, across_rows_only=True), strip.edges
        self._fresh = Edges(
            np.concatenate((seam.low, own.low + start)),
            np.concatenate((seam.high, own.high + start)),
            np.concatenate((seam.saddle, own.saddle)),
        )
        self._last_ids, self._last_heights = rows[1], strip.border_values[1]

    def _grow(self, strip: StripRegions) -> None:
        self._starts.append(self._count)
        self._count += strip.table.shape[0]
        self.rows = strip.top + strip.ids.shape[0]
        if self._count >= self._leads_to.size:
            self._leads_to = np.concatenate((self._leads_to, np.zeros(2 * self._count, np.int32)))
        self._leads_to[self._starts[-1] + 1 : self._count + 1] = np.arange(self._starts[-1] + 1, self._count + 1)

    def _ends(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give what the numbers are a part of, as far as it is known."""
        while True:
            farther = self._leads_to[numbers].astype(np.int64)
            if np.array_equal(farther, numbers):
                return numbers
            numbers = farther

    def _add_up(self, parts: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        if parts.size:
            ends = self._ends(parts)
            self._leads_to[parts] = ends
            owners, which = np.unique(ends, return_inverse=True)
            _, first = np.unique(which, return_index=True)
            sums = rows[first]
            rest = np.ones(parts.size, np.bool_)
            rest[first] = False
            add_rows(sums, which[rest], rows[rest])
            self._owners.append(owners)
            self._parts.append(sums)

    def _settle(self, edges: Edges) -> None:
        self._edges.append(highest_saddles(self._ends(edges.low), self._ends(edges.high), edges.saddle))

    def finish(self) -> RegionGraph:
        """Give the basins, numbered from 0 in raster order of their peaks."""
        self._settle(self._fresh)
        numbers, table = np.concatenate(self._numbers), np.concatenate(self._tables)
        self._tables.clear()
        index = np.zeros(self._count + 1, np.int32)
        index[numbers] = np.arange(numbers.size)
        region = index[follow_to_roots(self._leads_to[: self._count + 1].astype(np.intp))]
        add_rows(table, region[np.concatenate(self._owners)], np.concatenate(self._parts))
        low, high, saddle = (
            np.concatenate([getattr(edges, name) for edges in self._edges]) for name in ("low", "high", "saddle")
        )
        stops = [*self._starts[1:], self._count][: len(self._starts)]
        return RegionGraph(
            shape=(self.rows, self.columns),
            table=table,
            edges=highest_saddles(region[low].astype(np.int64), region[high].astype(np.int64), saddle),
            region_of=[region[start + 1 : stop + 1] for start, stop in zip(self._starts, stops, strict=True)],
        )


class ComponentJoiner:
    """Takes strips of components from top to bottom; those that touch across a seam with equal values are one.

    Parameters
    ----------
    columns : width of the plane
    diagonal : join pixels across a corner
    """

    def __init__(self, columns: int, *, diagonal: bool) -> None:
        self.columns = columns
        self.diagonal = diagonal
        self.rows = 0
        self._starts = [0]
        self._tables = [np.zeros((0, COLUMNS), np.int64)]
        self._first, self._second = [_NOTHING], [_NOTHING]
        self._last_ids = np.zeros(columns, np.int64)
        self._last_values = np.zeros(columns, np.int32)

    def add(self, strip: StripRegions) -> None:
        """Take the next strip."""
        rows = strip.ids[[0, -1]].astype(np.int64)
        rows[rows > 0] += self._starts[-1]
        for step in (-1, 0, 1) if self.diagonal else (0,):
            upper = slice(max(-step, 0), self.columns - max(step, 0))
            lower = slice(max(step, 0), self.columns + min(step, 0))
            above, below = self._last_ids[upper], rows[0, lower]
            same = (above > 0) & (below > 0) & (self._last_values[upper] == strip.border_values[0][lower])
            self._first.append(above[same] - 1)
            self._second.append(below[same] - 1)
        self._starts.append(self._starts[-1] + strip.table.shape[0])
        self._tables.append(strip.table)
        self.rows = strip.top + strip.ids.shape[0]
        self._last_ids, self._last_values = rows[1], strip.border_values[1]

    def finish(self) -> RegionGraph:
        """Unite the components across strips and number them from 0 in raster order of their first pixels."""
        root = unite_pairs(self._starts[-1], np.concatenate(self._first), np.concatenate(self._second))
        table = np.concatenate(self._tables)
        self._tables.clear()
        is_root = root == np.arange(root.size)
        number = (np.cumsum(is_root) - 1).astype(np.int32)[root]
        whole = table[is_root]
        add_rows(whole, number[~is_root], table[~is_root])
        return RegionGraph(
            shape=(self.rows, self.columns),
            table=whole,
            edges=Edges(_NOTHING, _NOTHING, _NOTHING),
            region_of=[number[start:stop] for start, stop in zip(self._starts[:-1], self._starts[1:], strict=True)],
        )
