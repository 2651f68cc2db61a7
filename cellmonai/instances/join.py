"""Strips joined to one plane: what is global is the list of regions and edges, never a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.basins import Edges, highest_saddles, touching_pairs
from cellmonai.instances.regions import COLUMNS, EXIT_TO, add_parts
from cellmonai.instances.unite import follow_to_roots, unite_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.basins import StripRegions


@dataclass(frozen=True, slots=True)
class RegionGraph:
    """The regions of a whole plane and the saddles between them.

    Parameters
    ----------
    shape : rows and columns of the plane
    table : int64, shape (N, COLUMNS), see `regions`; in raster order of roots
    edges : touching regions, numbered from 0
    region_of : for each strip the region of each number in it, intp; number 1 comes first
    """

    shape: tuple[int, int]
    table: NDArray[np.int64]
    edges: Edges
    region_of: list[NDArray[np.intp]]


class Joiner:
    """Takes strips from top to bottom; of the pixels, only the last row is remembered.

    Regions get provisional numbers from 1 on. A basin whose root points out of its strip is a part of the basin that
    holds the pixel it points to. Components that touch across a seam and have equal values are one.

    Parameters
    ----------
    columns : width of the plane
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows = 0
        self._starts = [0]
        self._tables = [np.zeros((0, COLUMNS), np.int64)]
        nothing = np.zeros(0, np.int64)
        self._edges = [Edges(nothing, nothing, nothing)]
        self._parts, self._wholes = [nothing], [nothing]
        self._leaving = (nothing, nothing)  # basins that leave the last strip below, and in which columns
        self._last_ids = np.zeros(columns, np.int64)
        self._last_values = np.zeros(columns, np.uint32)

    def add_basins(self, strip: StripRegions) -> None:
        """Take the next strip of basins."""
        first_ids, last_ids = self._number(strip)
        exit_to, start = strip.table[:, EXIT_TO], self._starts[-2]
        up = np.flatnonzero((exit_to >= 0) & (exit_to < strip.top * self.columns))
        self._note(up + start + 1, self._last_ids[exit_to[up] - (strip.top - 1) * self.columns])
        basins, columns = self._leaving
        self._note(basins, first_ids[columns])
        down = np.flatnonzero(exit_to >= self.rows * self.columns)
        self._leaving = (down + start + 1, exit_to[down] - self.rows * self.columns)
        ids, heights = np.stack((self._last_ids, first_ids)), np.stack((self._last_values, strip.border_values[0]))
        self._edges.append(touching_pairs(ids, heights, across_rows_only=True))
        self._last_ids, self._last_values = last_ids, strip.border_values[1]

    def add_components(self, strip: StripRegions, *, diagonal: bool) -> None:
        """Take the next strip of components."""
        first_ids, last_ids = self._number(strip)
        for step in (-1, 0, 1) if diagonal else (0,):
            upper, lower = (
                slice(max(-step, 0), self.columns - max(step, 0)),
                slice(max(step, 0), self.columns + min(step, 0)),
            )
            above, below = self._last_ids[upper], first_ids[lower]
            same = (above > 0) & (below > 0) & (self._last_values[upper] == strip.border_values[0][lower])
            self._note(above[same], below[same])
        self._last_ids, self._last_values = last_ids, strip.border_values[1]

    def _number(self, strip: StripRegions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number the strip's regions on; gives the numbers in its first and last row."""
        start = self._starts[-1]
        self._starts.append(start + strip.table.shape[0])
        self.rows = strip.top + strip.ids.shape[0]
        self._tables.append(strip.table)
        edges = strip.edges
        self._edges.append(Edges(edges.low + start, edges.high + start, edges.saddle))
        rows = strip.ids[[0, -1]].astype(np.int64)
        rows[rows > 0] += start
        return rows[0], rows[1]

    def _note(self, part: NDArray[np.int64], whole: NDArray[np.int64]) -> None:
        self._parts.append(part)
        self._wholes.append(whole)

    def finish_basins(self) -> RegionGraph:
        """Follow the basins across strips and number them from 0 in raster order of their peaks."""
        leads_to = np.arange(self._starts[-1] + 1)
        leads_to[np.concatenate(self._parts)] = np.concatenate(self._wholes)
        return self._finish(follow_to_roots(leads_to)[1:] - 1)

    def finish_components(self) -> RegionGraph:
        """Unite the components across strips and number them from 0 in raster order of their first pixels."""
        parts, wholes = np.concatenate(self._parts), np.concatenate(self._wholes)
        return self._finish(unite_pairs(self._starts[-1], parts - 1, wholes - 1))

    def _finish(self, root: NDArray[np.intp]) -> RegionGraph:
        table = np.concatenate(self._tables)
        self._tables.clear()  # a large plane has many, and one copy is enough
        add_parts(table, root)
        is_root = root == np.arange(root.size)
        number = (np.cumsum(is_root) - 1)[root]
        low, high, saddle = (
            np.concatenate([getattr(edges, name) for edges in self._edges]) for name in ("low", "high", "saddle")
        )
        return RegionGraph(
            shape=(self.rows, self.columns),
            table=table if is_root.all() else table[is_root],
            edges=highest_saddles(number[low - 1], number[high - 1], saddle),
            region_of=[number[start:stop] for start, stop in zip(self._starts[:-1], self._starts[1:], strict=True)],
        )
