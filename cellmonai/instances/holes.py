"""Which holes belong to a cell, as nucleoli and the inside of a ring do, and which are gaps that cells enclose.

The mask is split twice, as it is and with its holes filled. A hole in a cell makes splitting cut that cell into odd
pieces without necks between them, while the filled cell is round. The cells around a gap are round and have necks,
while the filled gap makes them an odd clump. So the roundness of each cell with its holes filled is compared with the
pieces along the edges of these holes. Roundness is the area over that of the ellipse of equal second moments, a neck is
the highest saddle over the peak; both come from whole-number sums, so the choice is a function of the mask alone.

Most masks have no hole, or only gaps whose cells are rounder than the flower that they make with the gap. These are
known from sums. Regions of foreground that may have holes of cells are gathered on a canvas, and split again there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.basin_graph import (
    Cells,
    build_basin_graph,
    find_cells,
    rows_of_strips,
    unite_cells,
)
from cellmonai.instances.clean import FilledRows, Holes
from cellmonai.instances.hole_canvas import gather
from cellmonai.instances.regions import (
    AREA,
    FIRST_PIXEL,
    LEFT,
    PEAK_HEIGHT,
    SUM_X,
    SUM_XX,
    SUM_XY,
    SUM_Y,
    SUM_YY,
    TOP,
    add_rows,
)
from cellmonai.instances.rules import AUTO, NoSplit, Rule
from cellmonai.instances.strip_store import StripStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.instances.join import RegionGraph

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

_UNIT = 1 << 16
LEAST_GAIN = 0.095
"""By how much the roundness of a filled cell must exceed that of its pieces less a tenth of their necks.

On painted cells with nucleoli, rings and pepper noise the difference is .10 and more; on rings and sheets of discs that
overlap by up to a fifth of their diameter, .09 and less. On touching nuclei of DSB2018 it is nearly always below."""
_PER_NECK = 10
ROUND_HOLE = 0.9
"""From here on a hole is round; the gap between discs has cusps, and .6 to .8."""
MOSTLY_FOREGROUND = 0.9
"""Above this share the mask is inverted or one cell fills the image, and what looks like a hole may be a cell."""
ROUND_PIECES, MANY_PIECES, HIGHEST_NECK = 0.952, 5, 0.85
"""So many pieces that are so round on average, with such necks, are cells around a gap. Roundness is .95 to 1 on rings
of discs that overlap by up to three tenths of their diameter, and less on rings of one cell, except for small ones,
which fall into four round pieces."""
LEAST_ROUND_HOLE_PX = 10
"""Smaller holes have no shape."""
_PIXEL_MOMENT = 1.0 / 12.0  # a pixel is a square, not a point


@dataclass(slots=True)
class _Splitting:
    """A splitting by the distance, with the numbered strips that it lies in."""

    graph: RegionGraph
    store: StripStore
    cells: Cells


class HoleFiller:
    """Finds the cells of a mask whose cells' own holes are filled.

    Parameters
    ----------
    mask : (Y, X), zero on background
    rule, landscape, strip_rows, threads : as for `basin_graph.find_cells`
    new_store : gives an empty store

    Attributes
    ----------
    filled, filled_px : how many holes were filled, and how many pixels they have, after `find`
    """

    def __init__(
        self,
        mask: Rows,
        rule: Rule,
        new_store: Callable[[], StripStore],
        *,
        landscape: Rows | None = None,
        strip_rows: int | None = None,
        threads: int = 1,
    ) -> None:
        self.mask, self.rule, self.landscape = mask, rule, landscape
        self.new_store = new_store
        self.strip_rows = strip_rows or rows_of_strips(mask.shape[1])
        self.threads = threads
        self.filled = self.filled_px = 0
        # the splitting that decides on holes is the result too where nothing else is asked for
        self._is_result = landscape is None and not isinstance(rule, NoSplit)
        self._seeds = AUTO if landscape is not None or isinstance(rule, NoSplit) else rule

    def find(self) -> tuple[Cells, StripStore]:
        """Give the cells and the store that their strips lie in."""
        if not self._is_result and not len(Holes(self.mask, strip_rows=self.strip_rows)):
            return self._cells_of(self.mask)
        plain = self._split(self.mask)
        holes = Holes(_StoredMask(plain.store, self.mask.shape), strip_rows=self.strip_rows)
        chosen = np.zeros(len(holes), np.bool_)
        if len(holes) and plain.cells.foreground_px <= MOSTLY_FOREGROUND * self.mask.shape[0] * self.mask.shape[1]:
            chosen = self._choose(holes, plain)
        self.filled, self.filled_px = int(chosen.sum()), int(holes.table[chosen, AREA].sum())
        if self._is_result and not self.filled:
            return unite_cells(plain.graph, self._seeds), plain.store
        found = self._cells_of(FilledRows(holes, chosen))
        plain.store.close()
        return found

    def _choose(self, holes: Holes, plain: _Splitting) -> NDArray[np.bool_]:
        """Choose the holes to fill; only regions of foreground that may have some are looked at closely."""
        pieces = _Rims(holes, plain, _pieces(plain)[0])
        gathered = gather(
            holes, pieces, _may_gain(pieces, holes, plain), plain.graph, plain.store, plain.cells.cell_of_region
        )
        if gathered is None:
            return self._choose_by_splitting(holes, plain)
        chosen = np.zeros(len(holes), np.bool_)
        if gathered.mask.any():
            canvas = ArrayRows(gathered.mask)
            split = self._split(canvas)
            found = Holes(canvas, strip_rows=rows_of_strips(canvas.shape[1]))
            wanted = self._choose_by_splitting(found, split)
            split.store.close()
            chosen[gathered.holes_at(found.table[wanted, FIRST_PIXEL])] = True
        return chosen

    def _choose_by_splitting(self, holes: Holes, plain: _Splitting) -> NDArray[np.bool_]:
        """Choose by splitting the mask again, with holes filled.

        Round holes are tried first, by themselves: between touching rings, whose own holes are round, lie gaps that are
        not, and with both filled they would look like one large cell.
        """
        round_ones = roundness(holes.table) >= int(ROUND_HOLE * _UNIT)
        round_ones &= holes.table[:, AREA] >= LEAST_ROUND_HOLE_PX
        oneness, apart = _pieces(plain)
        pieces = _Rims(holes, plain, oneness, roundness(plain.cells.table))
        chosen = pieces.in_one.copy()
        chosen[chosen] = apart[pieces.low[chosen]]
        for wanted in (round_ones, np.ones(len(holes), np.bool_)):
            if not (wanted & ~chosen & pieces.leave_room).any():
                continue
            tried = self._split(FilledRows(holes, chosen | wanted))
            gaining = wanted & _gains(pieces, _Rims(holes, tried), roundness(tried.cells.table))
            tried.store.close()
            news = bool((gaining & ~chosen).any())
            chosen |= gaining
            if chosen.all():
                break
            if news and wanted is round_ones:
                split = self._split(FilledRows(holes, chosen))
                pieces = _Rims(holes, split, _pieces(split)[0], roundness(split.cells.table))
                split.store.close()
        return chosen

    def _split(self, mask: Rows) -> _Splitting:
        store = self.new_store() if mask.shape == self.mask.shape else StripStore(mask.shape[1])
        rows = self.strip_rows if mask.shape == self.mask.shape else None
        graph = build_basin_graph(mask, store, self._seeds, strip_rows=rows, threads=self.threads)
        return _Splitting(graph, store, unite_cells(graph, AUTO))

    def _cells_of(self, mask: Rows) -> tuple[Cells, StripStore]:
        store = self.new_store()
        cells = find_cells(
            mask, self.rule, store, landscape=self.landscape, strip_rows=self.strip_rows, threads=self.threads
        )
        return cells, store


class _StoredMask:
    """The foreground of numbered strips, so that the mask itself is read once."""

    def __init__(self, store: StripStore, shape: tuple[int, int]) -> None:
        self.store, self.shape = store, shape

    def rows(self, top: int, bottom: int) -> NDArray[np.int32]:
        """Give rows, not 0 on foreground."""
        parts = [np.zeros((0, self.shape[1]), np.int32)]
        for index in range(len(self.store)):
            first, last = self.store.span(index)
            low, high = max(first, top), min(last, bottom)
            if low < high:
                parts.append(self.store.strip(index)[low - first : high - first])
        return parts[1] if len(parts) == 2 else np.concatenate(parts)


class _Rims:
    """What lies along the edge of each hole, one count for each side of a pixel that the hole and a cell share.

    Parameters
    ----------
    holes, split : of the same mask, in the same strips
    value, round_of : int64 per cell of the splitting, to be added up

    Attributes
    ----------
    low, high : int64 per hole, the lowest and highest number of its cells, from 0
    edges, total, round_total : int64 per hole, sides of pixels, and the sums of the cells' values over them
    hole, cell : int64, the different pairs of a hole and a cell that touch
    """

    def __init__(
        self,
        holes: Holes,
        split: _Splitting,
        value: NDArray[np.int64] | None = None,
        round_of: NDArray[np.int64] | None = None,
    ) -> None:
        count, cells = len(holes), split.cells.table.shape[0]
        pairs = [np.zeros(0, np.int64)]
        pairs += [(number - 1) * np.int64(max(cells, 1)) + cell for number, cell in _touching(holes, split)]
        pair, sides = np.unique(np.concatenate(pairs), return_counts=True)
        self.hole, self.cell = np.divmod(pair, max(cells, 1))
        self.low, self.high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
        np.minimum.at(self.low, self.hole, self.cell)
        np.maximum.at(self.high, self.hole, self.cell)
        self.edges, self.total, self.round_total = (np.zeros(count, np.int64) for _ in range(3))
        np.add.at(self.edges, self.hole, sides)
        for total, added in ((self.total, value), (self.round_total, round_of)):
            if added is not None:
                np.add.at(total, self.hole, sides * added[self.cell])

    @property
    def leave_room(self) -> NDArray[np.bool_]:
        """Whether the cell around a hole could be rounder than its pieces are; none is rounder than an ellipse."""
        return np.asarray(self.total < int((1.0 - LEAST_GAIN) * _UNIT) * self.edges)

    @property
    def are_cells(self) -> NDArray[np.bool_]:
        """Whether the pieces around a hole are cells of their own: many, round, and with necks between them."""
        many = np.bincount(self.hole, minlength=self.low.size) >= MANY_PIECES
        necks = (self.round_total - self.total) * _PER_NECK
        is_round = self.round_total >= int(ROUND_PIECES * _UNIT) * self.edges
        return np.asarray(many & is_round & (necks <= int(HIGHEST_NECK * _UNIT) * self.edges))

    @property
    def in_one(self) -> NDArray[np.bool_]:
        """Whether a hole lies within one cell."""
        return np.asarray(self.low == self.high)


def _may_gain(pieces: _Rims, holes: Holes, split: _Splitting) -> NDArray[np.bool_]:
    """Tell which holes may belong to a cell: the hole and the pieces around it together are rounder than these pieces.

    The cells around a gap make a flower with it, which is less round than they are. That is known from sums, so that
    nothing is split again for the gaps of a dense mask.
    """
    together = holes.table.copy()
    add_rows(together, pieces.hole, split.cells.table[pieces.cell])
    return np.asarray((roundness(together) * pieces.edges > pieces.total) | pieces.in_one)


def _pieces(split: _Splitting) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give, per cell, its roundness less a tenth of its neck, in 65,536ths, and whether it hardly touches others.

    Where rings touch, a piece holds a part of two, and specks in it are filled at the cost of the neck between them.
    """
    graph, of = split.graph, split.cells.cell_of_region
    peak, saddle = np.ones(split.cells.table.shape[0], np.int64), np.zeros(split.cells.table.shape[0], np.int64)
    np.maximum.at(peak, of, graph.table[:, PEAK_HEIGHT])
    low, high = of[graph.edges.low], of[graph.edges.high]
    touching = low != high
    for cell in (low, high):
        np.maximum.at(saddle, cell[touching], graph.edges.saddle[touching])
    return roundness(split.cells.table) - saddle * _UNIT // (_PER_NECK * peak), 2 * saddle <= peak


def _gains(pieces: _Rims, whole: _Rims, round_whole: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which holes lie in cells that are rounder with all of these holes filled than their pieces are."""
    inside = np.flatnonzero(whole.in_one)
    cell = whole.low[inside]
    edges, total = np.zeros_like(round_whole), np.zeros_like(round_whole)
    np.add.at(edges, cell, pieces.edges[inside])
    np.add.at(total, cell, pieces.total[inside])
    gains = round_whole * edges - total > int(LEAST_GAIN * _UNIT) * edges
    gains[cell[pieces.are_cells[inside]]] = False
    found = np.zeros(whole.low.size, np.bool_)
    found[inside] = gains[cell]
    return found


def _touching(holes: Holes, split: _Splitting) -> Iterator[Pairs]:
    """Give, strip by strip, the numbers of hole and cell, from 1 and from 0, for each side that two pixels share."""
    columns = holes.shape[1]
    for index in range(len(holes.spans)):
        at, number = holes.pixels(index)
        if not at.size:
            continue
        ids = split.store.strip(index)
        size = ids.size
        for step in (-1, 1, -columns, columns):  # holes do not reach the left and right border
            to = at + step
            inside = (to >= 0) & (to < size)
            yield _cells_at(ids.reshape(-1)[to[inside]], number[inside], split, index)
        # the rows of pixels beyond the strip's first and last row lie in its neighbours
        for beside, row in ((index - 1, -1), (index + 1, 0)):
            if 0 <= beside < len(holes.spans):
                edge = at < columns if row == -1 else at >= size - columns
                to = at[edge] % columns
                yield _cells_at(split.store.strip(beside)[row][to], number[edge], split, beside)


def _cells_at(ids: NDArray[np.int32], number: NDArray[np.int32], split: _Splitting, index: int) -> Pairs:
    inside = ids > 0
    return number[inside].astype(np.int64), split.cells.cell_of[index][ids[inside] - 1].astype(np.int64)


def roundness(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give area over that of the ellipse of equal second moments, in 65,536ths: 1 for an ellipse, less for an eight.

    Parameters
    ----------
    table : int64, shape (N, COLUMNS), see `regions`; sums that wrapped are right again as seen from the region's corner
    """
    area, top, left = table[:, AREA], table[:, TOP], table[:, LEFT]
    a = area.astype(np.float64)
    y, x = (table[:, SUM_Y] - top * area) / a, (table[:, SUM_X] - left * area) / a
    yy = (table[:, SUM_YY] - 2 * top * table[:, SUM_Y] + top * top * area) / a
    xx = (table[:, SUM_XX] - 2 * left * table[:, SUM_X] + left * left * area) / a
    xy = (table[:, SUM_XY] - left * table[:, SUM_Y] - top * table[:, SUM_X] + top * left * area) / a
    determinant = (yy - y * y + _PIXEL_MOMENT) * (xx - x * x + _PIXEL_MOMENT) - (xy - x * y) * (xy - x * y)
    root = np.sqrt(np.maximum(determinant, _PIXEL_MOMENT * _PIXEL_MOMENT))
    found: NDArray[np.int64] = np.floor(a / (4.0 * np.pi * root) * _UNIT + 0.5).astype(np.int64)
    return found
