"""Opening, closing and hole filling of masks that are read row by row, with the same result as on the whole mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import strips
from cellmonai.instances.basin_graph import strip_components
from cellmonai.instances.join import ComponentJoiner
from cellmonai.instances.morphology import close_mask, open_mask
from cellmonai.instances.regions import BOTTOM, LEFT, RIGHT, TOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.instances.settings import InstanceSettings


def clean_rows(mask: Rows, settings: InstanceSettings, *, strip_rows: int | None = None) -> Rows:
    """Apply the morphology of the settings: opening, then closing, then holes.

    Parameters
    ----------
    mask : (Y, X), not 0 on foreground
    settings : `opening`, `closing` and `fill_holes` are used
    strip_rows : rows that are worked on at a time; never changes a pixel

    Notes
    -----
    Filling holes reads the mask twice: only at its end is it known which background is enclosed.
    """
    if settings.opening:
        mask = OpenedRows(mask, open_mask, settings.opening)
    if settings.closing:
        mask = OpenedRows(mask, close_mask, settings.closing)
    return FilledRows(mask, strip_rows=strip_rows) if settings.fill_holes else mask


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


class FilledRows:
    """A mask with its holes filled: background whose 4-connected region does not reach the border of the plane.

    Foreground is 8-connected, so background must be 4-connected: a closed ring one pixel wide then holds its hole in.

    Parameters
    ----------
    mask : (Y, X), read once when this is made, and once more by `rows`
    strip_rows : rows that are worked on at a time
    """

    def __init__(self, mask: Rows, *, strip_rows: int | None = None) -> None:
        self.mask = mask
        self.shape = mask.shape
        self._strips = list(strips(mask.shape, strip_rows=strip_rows))
        joiner = ComponentJoiner(mask.shape[1], diagonal=False)
        for top, bottom in self._strips:
            background = _as_values(mask.rows(top, bottom))
            joiner.add(strip_components(background, top, diagonal=False))
        graph = joiner.finish()
        box = graph.table
        inner = (box[:, TOP] > 0) & (box[:, LEFT] > 0) & (box[:, BOTTOM] < self.shape[0])
        inner &= box[:, RIGHT] < self.shape[1]
        self._is_hole = [np.concatenate(([False], inner[region_of])) for region_of in graph.region_of]
        self._latest: tuple[int, NDArray[np.bool_]] = (-1, np.zeros((0, 0), np.bool_))

    def rows(self, top: int, bottom: int) -> NDArray[np.bool_]:
        """Give rows of the result."""
        parts = [np.zeros((0, self.shape[1]), np.bool_)]
        for index, (first, last) in enumerate(self._strips):
            low, high = max(first, top), min(last, bottom)
            if low < high:
                parts.append(self._strip(index)[low - first : high - first])
        return np.concatenate(parts)

    def _strip(self, index: int) -> NDArray[np.bool_]:
        """Fill one strip; the latest is kept, as rows are asked for in smaller steps."""
        known, filled = self._latest
        if known != index:
            rows = self.mask.rows(*self._strips[index])
            ids = strip_components(_as_values(rows), 0, diagonal=False).ids
            filled = (rows != 0) | self._is_hole[index][ids]
            self._latest = (index, filled)
        return filled


def _as_values(rows: NDArray[Any]) -> NDArray[np.int32]:
    """Give 1 on background, int32."""
    background: NDArray[np.bool_] = rows == 0
    return background.astype(np.int32)
