"""Label images that lie over each other: an id that runs through several planes is one cell of the volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import strips
from cellmonai.instances.basin_graph import Cells, find_labels
from cellmonai.instances.filters import choose_cells, count_at_border_rules
from cellmonai.instances.regions import AREA, BOTTOM, COLUMNS, FIRST_PIXEL, LEFT, RIGHT, TOP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.instances.settings import InstanceSettings

_LARGEST_TABLE = 1 << 24  # ids up to here are renumbered by a table of 4 bytes each, others by bisection


@dataclass(frozen=True, slots=True)
class VolumeCells:
    """The cells of a label volume before any filter, in order of their first voxels; arrays of shape (N,).

    Parameters
    ----------
    shape : rows and columns of every plane
    ids : int64, as in the file
    volume_px : int64, voxels
    planes : int64, on how many planes each is seen
    first, last : int64, the outermost of these planes, from 0
    largest : int64, the plane where its section has the greatest area, the first of several
    table : int64, shape (N, COLUMNS), see `regions`: the area of the largest section, and the box over all planes
    in_pieces : bool, whether a section lies in several 8-connected pieces, or a plane between the outermost is left out
    """

    shape: tuple[int, int]
    ids: NDArray[np.int64]
    volume_px: NDArray[np.int64]
    planes: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    largest: NDArray[np.int64]
    table: NDArray[np.int64]
    in_pieces: NDArray[np.bool_]

    def take(self, which: NDArray[Any]) -> VolumeCells:
        """Give some of the cells, by index or mask."""
        columns = ("ids", "volume_px", "planes", "first", "last", "largest", "table", "in_pieces")
        return replace(self, **{name: getattr(self, name)[which] for name in columns})


class VolumeTally:
    """Adds up the cells of a volume, plane by plane; of the pixels nothing is remembered.

    Attributes
    ----------
    shared : how often an id occurs on two planes that follow each other
    through : how often it then also lies over itself, by a pixel at least
    sections : for each plane, how many ids it has, and how many pieces more than ids
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.shared = self.through = 0
        self.sections: list[tuple[int, int]] = []
        self._before: tuple[Rows, NDArray[np.int64]] | None = None
        none = np.zeros(0, np.int64)
        nowhere = np.zeros((0, COLUMNS), np.int64)
        self._cells = VolumeCells(shape, none, none, none, none, none, none, nowhere, np.zeros(0, np.bool_))

    def add(self, ids: Rows, *, threads: int = 1) -> None:
        """Take the next plane, integer (Y, X) as for `keep_in_rows`; the one before it is read once more."""
        found = find_labels(ids, None, threads=threads)
        if self._before is not None:
            self.shared += np.intersect1d(self._before[1], found.ids, assume_unique=True).size
            self.through += _lying_over_themselves(self._before[0], ids).size
        self._before = (ids, found.ids)
        here = np.full(found.ids.size, len(self.sections))
        section = VolumeCells(
            self.shape,
            found.ids,
            volume_px=found.cells.table[:, AREA],
            planes=np.ones_like(here),
            first=here,
            last=here,
            largest=here,
            table=found.cells.table,
            in_pieces=found.pieces > 1,
        )
        self._cells = _joined(self._cells, section)
        self.sections.append((found.ids.size, int(found.pieces.sum()) - found.pieces.size))

    def finish(self) -> VolumeCells:
        """Give the cells in order of their first voxels: by plane, then in raster order."""
        self._before = None
        cells = self._cells.take(np.lexsort((self._cells.table[:, FIRST_PIXEL], self._cells.first)))
        return replace(cells, in_pieces=cells.in_pieces | (cells.planes < cells.last - cells.first + 1))


def _joined(above: VolumeCells, section: VolumeCells) -> VolumeCells:
    """Add the sections of a plane to the cells of the planes before it; cells stay in order of ids."""
    ids = np.union1d(above.ids, section.ids)
    old, new = np.searchsorted(ids, above.ids), np.searchsorted(ids, section.ids)

    def filled(name: str, empty: int) -> NDArray[Any]:
        values = getattr(above, name)
        column = np.full((ids.size, *values.shape[1:]), empty, values.dtype)
        column[old] = values
        return column

    volume, planes, last, table = (filled(name, 0) for name in ("volume_px", "planes", "last", "table"))
    first, largest, in_pieces = filled("first", -1), filled("largest", -1), filled("in_pieces", 0)
    is_new = first[new] < 0
    volume[new] += section.volume_px
    planes[new] += 1
    last[new] = section.last
    in_pieces[new] |= section.in_pieces
    is_larger = section.table[:, AREA] > table[new, AREA]
    largest[new[is_larger]] = section.largest[is_larger]
    table[new[is_larger], AREA] = section.table[is_larger, AREA]
    for column in (TOP, LEFT):
        table[new, column] = np.where(
            is_new, section.table[:, column], np.minimum(table[new, column], section.table[:, column])
        )
    for column in (BOTTOM, RIGHT):
        table[new, column] = np.maximum(table[new, column], section.table[:, column])
    table[new[is_new], FIRST_PIXEL] = section.table[is_new, FIRST_PIXEL]
    first[new[is_new]] = section.first[is_new]
    return VolumeCells(above.shape, ids, volume, planes, first, last, largest, table, in_pieces)


def _lying_over_themselves(upper: Rows, lower: Rows) -> NDArray[np.int64]:
    """Give the ids that have a pixel on both planes at the same place."""
    found = np.zeros(0, np.int64)
    for top, bottom in strips(upper.shape):
        above, below = upper.rows(top, bottom), lower.rows(top, bottom)
        equal = (above == below) & (above != 0)
        equal[:, 1:] &= ~equal[:, :-1] | (above[:, 1:] != above[:, :-1])  # one pixel of each run tells it
        found = np.union1d(found, above[equal].astype(np.int64))
    return found


class FoundVolume:
    """The cells of a volume after the filters, numbered 1..N by their first voxels.

    The filters by area look at the largest section of a cell, the border rule at its box over all planes.

    Attributes
    ----------
    cells : those that are kept; the first one has number 1
    removed, at_border_rule, notes : as of `FoundRows`
    foreground_px : pixels of the largest sections of all cells before the filters
    """

    def __init__(self, cells: VolumeCells, settings: InstanceSettings) -> None:
        nothing = np.zeros(0, np.int32)
        flat = Cells(cells.shape, cells.table, [], nothing, int(cells.table[:, AREA].sum()))
        kept, removed = choose_cells(flat, settings)
        self.cells = cells.take(kept)
        self.removed: Mapping[str, int] = removed
        self.at_border_rule: Mapping[str, int] = count_at_border_rules(flat, settings)
        self.notes: Mapping[str, int] = {}
        self.foreground_px = flat.foreground_px
        order = np.argsort(self.cells.ids)
        self._ids, self._numbers = self.cells.ids[order], (order + 1).astype(np.int32)
        self._table = self._as_table(int(cells.ids.max(initial=0)))

    @property
    def count(self) -> int:
        """How many cells there are."""
        return self.cells.ids.size

    def numbered(self, ids: NDArray[Any]) -> NDArray[np.int32]:
        """Give the numbers of ids, int32 of the same shape; 0 for the background and for what was removed."""
        if self._table is not None:
            numbers: NDArray[np.int32] = self._table[ids]
            return numbers
        if not self._ids.size:
            return np.zeros(ids.shape, np.int32)
        place = np.minimum(np.searchsorted(self._ids, ids), self._ids.size - 1)
        return np.where(self._ids[place] == ids, self._numbers[place], np.int32(0))

    def _as_table(self, largest: int) -> NDArray[np.int32] | None:
        if largest >= _LARGEST_TABLE:
            return None
        table = np.zeros(largest + 1, np.int32)
        table[self._ids] = self._numbers
        return table
