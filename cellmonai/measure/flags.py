"""Which objects are unusually large or small beside the others of their image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_OBJECTS = 10
"""Fewer whole objects say nothing about what is usual."""

LIMIT = 3.5
"""In robust standard deviations, as Iglewicz and Hoaglin (1993), How to detect and handle outliers."""

LEAST_SPREAD = 0.1
"""Robust standard deviation of the log area that is taken at least: about 10 % of the area."""

_NORMAL_PER_MAD = 1.4826  # standard deviation of a normal distribution in median absolute deviations


def unusual_areas(
    area_px: NDArray[np.int64], touches_border: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell the unusually large and the unusually small objects.

    Parameters
    ----------
    area_px : int64, shape (N,)
    touches_border : bool, shape (N,); such objects are cut: they say nothing about what is usual and may be small

    Returns
    -------
    two bool arrays, shape (N,): large, small

    Notes
    -----
    An object is unusual when its log area lies more than 3.5 s from the median, s = max(1.4826 · MAD, 0.1), median and
    MAD (median absolute deviation) over the objects that do not touch the border. Below ten of these nothing is
    flagged. Logarithms make the rule the same for areas and diameters, and for twice and half the area.
    """
    whole = ~touches_border
    if int(whole.sum()) < LEAST_OBJECTS:
        nothing = np.zeros(area_px.size, np.bool_)
        return nothing, nothing.copy()
    log_area = np.log(area_px)
    middle = np.median(log_area[whole])
    spread = max(_NORMAL_PER_MAD * float(np.median(np.abs(log_area[whole] - middle))), LEAST_SPREAD)
    away = (log_area - middle) / spread
    return away > LIMIT, (away < -LIMIT) & whole
