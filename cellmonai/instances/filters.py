"""Filters on finished cells: by area and by the image border. What they remove, they count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.regions import AREA, BOTTOM, LEFT, RIGHT, TOP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.basin_graph import Cells
    from cellmonai.instances.settings import Border, InstanceSettings


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
    area = cells.table[:, AREA]
    too_small = area < settings.min_area_px
    too_large = np.zeros_like(too_small) if settings.max_area_px is None else area > settings.max_area_px
    at_border = out_by_border(cells.table, cells.shape, settings.border)
    too_large &= ~too_small
    at_border &= ~(too_small | too_large)
    removed = {"min_area": int(too_small.sum()), "max_area": int(too_large.sum()), "border": int(at_border.sum())}
    return ~(too_small | too_large | at_border), removed


def out_by_border(table: NDArray[np.int64], shape: tuple[int, int], border: Border) -> NDArray[np.bool_]:
    """Tell which cells a border rule removes; bool, shape (N,).

    Notes
    -----
    `frame` takes the image itself for an unbiased counting frame (Gundersen 1977): cells on its top or left line are
    out, those on the other two are in. Over frames that tile a plane, each cell is then counted once.
    """
    if border == "keep":
        return np.zeros(table.shape[0], np.bool_)
    out: NDArray[np.bool_] = (table[:, TOP] == 0) | (table[:, LEFT] == 0)
    if border == "exclude":
        out |= (table[:, BOTTOM] == shape[0]) | (table[:, RIGHT] == shape[1])
    return out
