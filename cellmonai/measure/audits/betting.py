"""Intervals for a sum over finitely many units of which a few were looked at, by betting against wrong sums.

Errors of counts are rare and skewed. An interval from the spread of a sample has no width when no error was seen; this
one has, and covers for every population whose errors keep to the bound declared before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GRID_STEPS = 800
"""Candidates for the mean lie at k / 800 of the range from -bound to +bound, k = 0 to 800."""

LARGEST_BET = 0.95
"""Share of the capital that one unit may cost at most (c in the paper); fixed, as choosing it by the result cheats."""

_ROUNDING = 1e-9  # a mean that is impossible by less than this is possible but for rounding


def betting_interval(
    errors: Sequence[float] | NDArray[np.float64],
    *,
    units: int,
    bound: float,
    planned: int | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Give the interval for the sum of the errors of all units, from those of a simple random sample.

    Parameters
    ----------
    errors : shape (n,), in the random order of the draw, each within -bound to bound
    units : how many units there are, at least n
    bound : greatest absolute error of any unit, declared before the first unit was looked at; above 0
    planned : size of the sample that was planned, at least n; n when None. Stopping early, for whatever reason, leaves
        the interval valid as long as this stays what it was at the draw.
    level : chance at least with which the interval holds the true sum, in (0, 1)

    Returns
    -------
    low and high end; the true sum exactly when every unit was looked at

    Raises
    ------
    ValueError
        More errors than units, an error beyond the bound, or settings out of range.

    Notes
    -----
    The hedged capital process without replacement, on x = (error + bound) / (2 bound) in [0, 1]. A candidate mean is
    rejected when one of two gamblers, who bet that the true mean is higher or lower, has multiplied half of the stake
    by 1 / (1 - level), or when the units left cannot make it true. The gambler on "higher" never earns more against a
    greater candidate, so what is kept is an interval and its ends are found by bisection of the grid; each is moved out
    by one step for what lies between grid points. What every unit seen and the bound of the others imply is cut off.

    References
    ----------
    Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by betting, Journal of the Royal
    Statistical Society B 86, sections 4.4 and 5 (hedged capital, predictable plug-in bets, without replacement).
    """
    seen = np.asarray(errors, np.float64)
    planned = seen.size if planned is None else planned
    _check(seen, units, bound, planned, level)
    shares = (seen + bound) / (2.0 * bound)
    low = _least_kept(shares, units, planned, level)
    high = GRID_STEPS - _least_kept(1.0 - shares, units, planned, level)
    low, high = max(min(low, high) - 1, 0), min(max(low, high) + 1, GRID_STEPS)
    unseen = bound * (units - seen.size)
    possible = float(seen.sum()) - unseen, float(seen.sum()) + unseen
    ends = (units * bound * (2.0 * step / GRID_STEPS - 1.0) for step in (low, high))
    first, last = (min(max(end, possible[0]), possible[1]) for end in ends)
    return first, last


def _least_kept(shares: NDArray[np.float64], units: int, planned: int, level: float) -> int:
    """Give the least grid step that the gambler on a higher mean cannot reject.

    Parameters
    ----------
    shares : shape (n,), in [0, 1]
    """
    seen_before = np.concatenate([[0.0], np.cumsum(shares)[:-1]]) if shares.size else np.zeros(0)
    left = units - np.arange(shares.size)
    bets = _bets(shares, planned, level)
    limit = math.log(2.0 / (1.0 - level))

    def rejected(step: int) -> bool:
        """Tell whether the mean step / GRID_STEPS is too low."""
        mean_of_left = (units * (step / GRID_STEPS) - seen_before) / left
        if (mean_of_left < -_ROUNDING).any():
            return True
        mean = np.maximum(mean_of_left, 1e-300)  # no division by zero
        capital = np.cumsum(np.log1p(np.minimum(bets, LARGEST_BET / mean) * (shares - mean)))
        return bool(capital.max(initial=0.0) >= limit)

    too_low, kept = -1, GRID_STEPS
    while kept - too_low > 1:
        middle = (too_low + kept) // 2
        too_low, kept = (middle, kept) if rejected(middle) else (too_low, middle)
    return kept


def _bets(shares: NDArray[np.float64], planned: int, level: float) -> NDArray[np.float64]:
    """Give how much is bet on each unit, shape (n,): known before it is seen, the more the less units have varied."""
    number = np.arange(1, shares.size + 1)
    mean = (0.5 + np.cumsum(shares)) / (number + 1)
    variance = (0.25 + np.cumsum(np.square(shares - mean))) / (number + 1)
    variance_before = np.concatenate([[0.25], variance[:-1]])[: shares.size]
    bets: NDArray[np.float64] = np.sqrt(2.0 * math.log(2.0 / (1.0 - level)) / (planned * variance_before))
    return bets


def _check(errors: NDArray[np.float64], units: int, bound: float, planned: int, level: float) -> None:
    if not 0.0 < level < 1.0 or not bound > 0.0 or units < 1:
        raise ValueError(f"level is {level}, bound {bound}, units {units}, expected in (0, 1), above 0, at least 1")
    if not errors.size <= planned <= units:
        raise ValueError(f"{errors.size} errors of {planned} planned and {units} units, expected rising numbers")
    if not (np.abs(errors) <= bound).all():
        raise ValueError(f"an error is beyond the declared bound of {bound}, which voids the interval")
