"""Opening, closing and hole filling of masks that are read row by row, with the same result as on the whole mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellmonai.images.rows import strips
from cellmonai.instances.basin_graph import strip_components
from cellmonai.instances.components import label_components
from cellmonai.instances.join import ComponentJoiner
from cellmonai.instances.morphology import close_mask, open_mask
from cellmonai.instances.regions import AREA, BOTTOM, LEFT, RIGHT, TOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.instances.settings import InstanceSettings

_LISTED_SHARE = 32  # strips of which holes cover less than one pixel in so many keep them as a list


def clean_rows(mask: Rows, settings: InstanceSettings) -> Rows:
    """Apply the morphology of the settings: opening, then closing.

    Parameters
    ----------
    mask : (Y, X), not 0 on foreground
    settings : `opening` and `closing` are used
    """
    if settings.opening:
        mask = OpenedRows(mask, open_mask, settings.opening)
    if settings.closing:
        mask = OpenedRows(mask, close_mask, settings.closing)
    return mask


class OpenedRows:
    """A mask after an opening or a closing with a disc.

    Parameters
    ----------
    mask : (Y, X)
    operation : `open_mask` or `close_mask`
    radius_px : of the disc; each pixel depends on rows up to twice as far away
    """

    def __init__(
        self, mask: Rows, operation: Callable[[NDArray[np.bool_], int], NDArray[np.bool_]], radius_px: int
    ) -> None:
        self.mask = mask
        self.shape = mask.shape
        self.operation = operation
        self.radius_px = radius_px

    def rows(self, top: int, bottom: int) -> NDArray[np.bool_]:
        """Give rows of the result."""
        if bottom <= top:
            return np.zeros((0, self.shape[1]), np.bool_)
        first, last = max(top - 2 * self.radius_px, 0), min(bottom + 2 * self.radius_px, self.shape[0])
        done = self.operation(self.mask.rows(first, last) != 0, self.radius_px)
        return done[top - first : bottom - first]


class Holes:
    """The holes of a mask: background whose 4-connected region does not reach the border of the plane.

    Foreground is 8-connected, so background must be 4-connected: a closed ring one pixel wide then holds its hole in.
    Where holes cover little of a strip, which is the rule, their pixels are kept as a list; else they are found again
    each time they are asked for, so that memory stays bounded on noise too.

    Parameters
    ----------
    mask : (Y, X), read once when this is made, and again strip by strip when it is asked for
    strip_rows : rows that are worked on at a time

    Attributes
    ----------
    table : int64, shape (N, COLUMNS), the sums of each hole, in order of first pixels, see `regions`
    spans : the strips' rows, half-open
    """

    def __init__(self, mask: Rows, *, strip_rows: int | None = None) -> None:
        self.mask = mask
        self.shape = mask.shape
        self.spans = list(strips(mask.shape, strip_rows=strip_rows))
        joiner = ComponentJoiner(mask.shape[1], diagonal=False)
        self._pixels: list[_Pixels | None] = []
        for top, bottom in self.spans:
            strip = strip_components(_background(mask.rows(top, bottom)), top, diagonal=False)
            joiner.add(strip)
            self._pixels.append(_few_pixels(strip.ids, strip.table, mask.shape[1]))
        graph = joiner.finish()
        box = graph.table
        inner = (box[:, TOP] > 0) & (box[:, LEFT] > 0) & (box[:, BOTTOM] < self.shape[0])
        inner &= box[:, RIGHT] < self.shape[1]
        self.table = graph.table[inner]
        number = np.where(inner, np.cumsum(inner), 0).astype(np.int32)
        self._number_of = [np.concatenate((np.zeros(1, np.int32), number[regions])) for regions in graph.region_of]

    def __len__(self) -> int:
        """How many holes there are."""
        return int(self.table.shape[0])

    def pixels(self, index: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Give the pixels of holes in a strip: their raster indices in it, rising, and the number of each hole."""
        number_of = self._number_of[index]
        if not number_of.any():
            return np.zeros(0, np.intp), np.zeros(0, np.int32)
        kept = self._pixels[index]
        if kept is not None:
            number = number_of[kept.region]
            return kept.at[number > 0], number[number > 0]
        background = _background(self.mask.rows(*self.spans[index]))
        numbers = number_of[label_components(background, connectivity=4)].reshape(-1)
        at = np.flatnonzero(numbers)
        return at, numbers[at]

    def filled(self, index: int, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give a strip of the mask with the holes filled that are chosen, bool, shape (N,)."""
        filled: NDArray[np.bool_] = self.mask.rows(*self.spans[index]) != 0
        at, number = self.pixels(index)
        filled.reshape(-1)[at[chosen[number - 1]]] = True
        return filled


class _Pixels(NamedTuple):
    """Raster indices in a strip, and the region of background that each belongs to."""

    at: NDArray[np.intp]
    region: NDArray[np.int32]


def _few_pixels(ids: NDArray[np.int32], table: NDArray[np.int64], columns: int) -> _Pixels | None:
    """Give the pixels of all regions that may be holes; None where they cover too much of the strip."""
    may_be = (table[:, LEFT] > 0) & (table[:, RIGHT] < columns)
    if int(table[may_be, AREA].sum()) > ids.size // _LISTED_SHARE:
        return None
    at = np.flatnonzero(np.concatenate(([False], may_be))[ids]) if may_be.any() else np.zeros(0, np.intp)
    return _Pixels(at, ids.reshape(-1)[at])


class FilledRows:
    """A mask with some of its holes filled.

    Parameters
    ----------
    holes : of the mask
    chosen : bool, shape (N,), the holes to fill
    """

    def __init__(self, holes: Holes, chosen: NDArray[np.bool_]) -> None:
        self.holes = holes
        self.chosen = chosen
        self.shape = holes.shape
        self._latest: tuple[int, NDArray[np.bool_]] = (-1, np.zeros((0, 0), np.bool_))

    def rows(self, top: int, bottom: int) -> NDArray[np.bool_]:
        """Give rows of the result."""
        parts = [np.zeros((0, self.shape[1]), np.bool_)]
        for index, (first, last) in enumerate(self.holes.spans):
            low, high = max(first, top), min(last, bottom)
            if low < high:
                parts.append(self._strip(index)[low - first : high - first])
        return np.concatenate(parts)

    def _strip(self, index: int) -> NDArray[np.bool_]:
        """Fill one strip; the latest is kept, as rows are asked for in smaller steps."""
        known, filled = self._latest
        if known != index:
            filled = self.holes.filled(index, self.chosen)
            self._latest = (index, filled)
        return filled


def _background(rows: NDArray[Any]) -> NDArray[np.int32]:
    """Give 1 on background, int32."""
    background: NDArray[np.bool_] = rows == 0
    return background.astype(np.int32)
