"""Filters on finished cells: by area and by the image border. What they remove, they count."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from cellmonai.instances.regions import AREA, BOTTOM, LEFT, RIGHT, TOP
from cellmonai.instances.settings import Border

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.basin_graph import Cells
    from cellmonai.instances.settings import InstanceSettings


def choose_cells(cells: Cells, settings: InstanceSettings) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Tell which cells the filters keep, and how many each of them removes.

    Parameters
    ----------
    cells : before any filter
    settings : `min_area_px`, `max_area_px` and `border` are used

    Returns
    -------
    bool, shape (N,); and the numbers removed by `min_area`, `max_area` and `border`: each cell counts once, under the
    first of them that it falls to
    """
    too_small, too_large = _out_by_area(cells, settings)
    at_border = out_by_border(cells.table, cells.shape, settings.border)
    at_border &= ~(too_small | too_large)
    removed = {"min_area": int(too_small.sum()), "max_area": int(too_large.sum()), "border": int(at_border.sum())}
    return ~(too_small | too_large | at_border), removed


def count_at_border_rules(cells: Cells, settings: InstanceSettings) -> dict[str, int]:
    """Give how many cells of a fitting area there are under each border rule, whichever rule the settings name.

    Parameters
    ----------
    cells : before any filter
    settings : `min_area_px` and `max_area_px` are used
    """
    too_small, too_large = _out_by_area(cells, settings)
    fits = ~(too_small | too_large)
    rules: tuple[Border, ...] = get_args(Border)
    return {rule: int(np.count_nonzero(fits & ~out_by_border(cells.table, cells.shape, rule))) for rule in rules}


def out_by_border(table: NDArray[np.int64], shape: tuple[int, int], border: Border) -> NDArray[np.bool_]:
    """Tell which cells a border rule removes; bool, shape (N,).

    Notes
    -----
    `frame` takes the image itself for an unbiased counting frame (Gundersen 1977): cells on its top or left line are
    out, those on the other two are in. What the rule needs beyond the image is not seen: a cell that an image cuts into
    pieces, or that reaches round a corner, may be counted by two neighbouring images or by none. Where tiles of one
    image must add up exactly, each cell belongs to the tile that holds its middle, as in an audit.
    """
    if border == "keep":
        return np.zeros(table.shape[0], np.bool_)
    out: NDArray[np.bool_] = (table[:, TOP] == 0) | (table[:, LEFT] == 0)
    if border == "exclude":
        out |= (table[:, BOTTOM] == shape[0]) | (table[:, RIGHT] == shape[1])
    return out


def _out_by_area(cells: Cells, settings: InstanceSettings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which cells are too small, and which are too large."""
    area = cells.table[:, AREA]
    too_small = area < settings.min_area_px
    too_large = np.zeros_like(too_small) if settings.max_area_px is None else area > settings.max_area_px
    return too_small, too_large & ~too_small
