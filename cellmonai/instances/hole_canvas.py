"""Regions of foreground whose holes are looked at closely, gathered on a canvas of their own.

Splitting a whole slide again for a few holes would take as long as counting it. So the connected regions in question
are laid side by side, each alone and with background around it, and only that canvas is split again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.regions import BOTTOM, FIRST_PIXEL, LEFT, RIGHT, TOP, add_rows
from cellmonai.instances.unite import unite_pairs

if TYPE_CHECKING:
    from typing import Protocol

    from numpy.typing import NDArray

    from cellmonai.instances.clean import Holes
    from cellmonai.instances.join import RegionGraph
    from cellmonai.instances.strip_store import StripStore

    class Touching(Protocol):
        """Pairs of a hole and a cell that touch, int64."""

        hole: NDArray[np.int64]
        cell: NDArray[np.int64]


LARGEST_PX = 32 * 2**20
"""Of a canvas; where more is in question, the whole plane is split again instead, strip by strip."""

_LEAST_WIDTH = 1024
_GAP_PX = 3  # of background between two regions, so that none blurs the heights of another


@dataclass(frozen=True, slots=True)
class Gathered:
    """A canvas, and what lies where on it.

    Parameters
    ----------
    mask : bool, (Y, X)
    first_px : raster index on the canvas of the first pixel of each hole in question, int64, rising
    hole : which hole each is
    """

    mask: NDArray[np.bool_]
    first_px: NDArray[np.int64]
    hole: NDArray[np.int64]

    def holes_at(self, first_px: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the holes whose first pixels on the canvas these are."""
        return self.hole[np.searchsorted(self.first_px, first_px)]


def gather(
    holes: Holes,
    touching: Touching,
    in_question: NDArray[np.bool_],
    graph: RegionGraph,
    store: StripStore,
    cell_of_region: NDArray[np.int32],
) -> Gathered | None:
    """Lay all regions of foreground that have a hole in question on a canvas; None where it would be too large.

    Parameters
    ----------
    holes : of the mask
    touching : which cells each hole touches
    in_question : bool, shape (N,), one per hole
    graph : basins of the mask
    store : the numbered strips that the graph is of
    cell_of_region : the cell of each basin
    """
    group_of_cell = _groups(graph, cell_of_region, touching)
    group_of_hole = np.zeros(len(holes), np.int64)
    group_of_hole[touching.hole] = group_of_cell[touching.cell]
    wanted = np.unique(group_of_hole[in_question])
    group_of_region = group_of_cell[cell_of_region]
    boxes = _boxes(graph, group_of_region, wanted)
    places, shape = _places(boxes)
    if shape[0] * shape[1] > LARGEST_PX:
        return None
    mask = np.zeros(shape, np.bool_)
    for index in range(len(store)):
        top, bottom = store.span(index)
        here = np.flatnonzero((boxes[:, 0] < bottom) & (boxes[:, 2] > top))
        if not here.size:
            continue
        ids = store.strip(index)
        group_of = np.concatenate(([-1], group_of_region[graph.region_of[index]]))
        for one in here:
            row0, col0, row1, col1 = boxes[one]
            low, high = max(row0, top), min(row1, bottom)
            to_row, to_col = int(places[one, 0]) + low - row0, int(places[one, 1])
            part = group_of[ids[low - top : high - top, col0:col1]] == wanted[one]
            mask[to_row : to_row + high - low, to_col : to_col + col1 - col0] = part
    inside = np.flatnonzero(np.isin(group_of_hole, wanted))
    of = np.searchsorted(wanted, group_of_hole[inside])
    row, column = np.divmod(holes.table[inside, FIRST_PIXEL], holes.shape[1])
    shift = places[of] - boxes[of, :2]
    first_px = (row + shift[:, 0]) * shape[1] + column + shift[:, 1]
    order = np.argsort(first_px)
    return Gathered(mask, first_px[order], inside[order])


def _groups(graph: RegionGraph, cell_of_region: NDArray[np.int32], touching: Touching) -> NDArray[np.int64]:
    """Give each cell the number of its region of foreground; islands in a hole go with what lies around it."""
    low, high = (cell_of_region[ends].astype(np.intp) for ends in (graph.edges.low, graph.edges.high))
    first = np.full(int(touching.hole.max(initial=-1)) + 1, -1, np.intp)
    first[touching.hole[::-1]] = touching.cell[::-1]
    low = np.concatenate((low, first[touching.hole]))
    high = np.concatenate((high, touching.cell))
    return unite_pairs(int(cell_of_region.max(initial=-1)) + 1, low, high).astype(np.int64)


def _boxes(graph: RegionGraph, group_of_region: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the boxes of groups, int64, shape (N, 4): first row and column, and those after the last."""
    regions = np.flatnonzero(np.isin(group_of_region, wanted))
    table = np.zeros((wanted.size, graph.table.shape[1]), np.int64)
    table[:, [TOP, LEFT, FIRST_PIXEL]] = np.iinfo(np.int64).max
    add_rows(table, np.searchsorted(wanted, group_of_region[regions]), graph.table[regions])
    return table[:, [TOP, LEFT, BOTTOM, RIGHT]]


def _places(boxes: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Lay boxes on shelves, the highest first; give the corner of each, and rows and columns of the canvas."""
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    width = max(_LEAST_WIDTH, int(widths.max(initial=0)) + 2 * _GAP_PX)
    places = np.zeros((len(boxes), 2), np.int64)
    row = column = _GAP_PX
    shelf = 0
    for one in np.lexsort((np.arange(len(boxes)), -heights)):
        if column + widths[one] + _GAP_PX > width:
            row, column, shelf = row + shelf + _GAP_PX, _GAP_PX, 0
        places[one] = row, column
        column += int(widths[one]) + _GAP_PX
        shelf = max(shelf, int(heights[one]))
    return places, (row + shelf + _GAP_PX, width)
