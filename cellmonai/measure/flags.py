"""Which objects are unusually large, small or oddly shaped beside the others of their image."""

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

LEAST_SPREAD_SOLIDITY = 0.02
"""Robust standard deviation of the solidity that is taken at least: pixels alone move it by about half of that."""

LEAST_SPREAD_RATIO = 0.15
"""Robust standard deviation of the log ratio of the axes that is taken at least: about 15 % of the ratio."""

_FLATTEST = 1e-12  # 1 - eccentricity² of a line, where the ratio of the axes has no end
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
    away = _robust_deviations(np.log(area_px), whole, LEAST_SPREAD)
    return away > LIMIT, (away < -LIMIT) & whole


def odd_shapes(
    solidity: NDArray[np.float64], eccentricity: NDArray[np.float64], touches_border: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell the objects that are dented or long beside the others: merged cells, debris, fibres.

    Parameters
    ----------
    solidity, eccentricity : float64, shape (N,)
    touches_border : bool, shape (N,); such objects are cut: they are neither judged nor do they say what is usual

    Returns
    -------
    bool, shape (N,)

    Notes
    -----
    Solidity counts as far as it lies below the median, the logarithm of the ratio of the axes as far as it lies above;
    both in robust standard deviations s = max(1.4826 · MAD, floor), floors 0.02 and 0.15 (15 % of the ratio). An object
    is odd where the root of the sum of their squares exceeds 3.5. Two cells in one object are both dented and longer
    than one cell, mostly neither alone far enough. Below ten whole objects nothing is flagged.
    """
    whole = ~touches_border
    if int(whole.sum()) < LEAST_OBJECTS:
        return np.zeros(solidity.size, np.bool_)
    log_ratio = -0.5 * np.log(np.maximum(1 - eccentricity**2, _FLATTEST))
    dented = np.maximum(-_robust_deviations(solidity, whole, LEAST_SPREAD_SOLIDITY), 0.0)
    long = np.maximum(_robust_deviations(log_ratio, whole, LEAST_SPREAD_RATIO), 0.0)
    odd: NDArray[np.bool_] = (dented**2 + long**2 > LIMIT**2) & whole
    return odd


def _robust_deviations(
    values: NDArray[np.float64], whole: NDArray[np.bool_], least_spread: float
) -> NDArray[np.float64]:
    """Give how far values lie from the whole objects' median, in robust standard deviations."""
    middle = np.median(values[whole])
    spread = _NORMAL_PER_MAD * float(np.median(np.abs(values[whole] - middle)))
    return np.asarray((values - middle) / max(spread, least_spread), np.float64)
