"""How many units to count by hand: for a wished interval, to see a rare error, and how many of each stratum."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.audits.estimates import StratumSample, guaranteed_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_OF_A_STRATUM = 2  # one unit has no spread
_DRAWS = 15  # the median half-width over so many made samples is steady to a few percent
_UNITS_MADE = 60_000  # in all samples of a size: the larger they are, the more alike
_FIRST_TRY = 32


def normal_sample_size(standard_deviation: float, *, units: int, half_width: float, level: float = 0.95) -> int:
    """Give the sample size for a wished half-width of the normal interval of a total.

    Parameters
    ----------
    standard_deviation : of the errors of the units, from a pilot
    units : how many units there are
    half_width : in cells of the total, above 0
    level : of the interval, in (0, 1)

    Returns
    -------
    n₀ / (1 + n₀ / N) with n₀ = (z · N · standard_deviation / half_width)², rounded up, z the normal
    quantile (1.96 for 95 %); at least 2, at most N

    References
    ----------
    Cochran 1977, Sampling techniques, section 4.6 (finite population correction of the sample size).
    """
    if half_width <= 0.0:
        raise ValueError(f"half_width is {half_width}, expected more than 0")
    quantile = NormalDist().inv_cdf((1.0 + level) / 2.0)
    endless = (quantile * units * standard_deviation / half_width) ** 2
    return min(max(math.ceil(endless / (1.0 + endless / units)), _LEAST_OF_A_STRATUM), units)


def units_to_see(share: float, *, level: float = 0.95) -> int:
    """Give how many units must be looked at to see an error kind that this share of the units has: about 3 / share.

    Examples
    --------
    >>> [units_to_see(share) for share in (0.1, 0.05, 0.01)]
    [29, 59, 299]
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share is {share}, expected a number in (0, 1)")
    return math.ceil(math.log(1.0 - level) / math.log1p(-share))


def neyman_allocation(units: Sequence[int], spreads: Sequence[float], total: int) -> tuple[int, ...]:
    """Share a sample among strata in proportion to units times spread, at least two of each and at most all of it.

    Parameters
    ----------
    units : how many units each stratum has
    spreads : standard deviation of the errors of each, from a pilot or a guess; all 0 shares by units alone
    total : size of the whole sample, at least two of each stratum (or all, where it has fewer)

    Returns
    -------
    one number per stratum; they add up to `total`

    References
    ----------
    Neyman 1934, On the two different aspects of the representative method, Journal of the Royal Statistical Society 97.
    """
    least = [min(_LEAST_OF_A_STRATUM, n) for n in units]
    if not sum(least) <= total <= sum(units):
        raise ValueError(f"total is {total}, expected {sum(least)} to {sum(units)}")
    weights = [n * spread for n, spread in zip(units, spreads, strict=True)]
    weights = weights if any(weights) else [float(n) for n in units]
    share = list(least)
    for _ in range(total - sum(least)):
        # one after the other to whom lacks most; a stratum without spread comes when the others are full
        lack = [
            (weight / (given + 1), -place) if given < n else (-1.0, -place)
            for place, (weight, given, n) in enumerate(zip(weights, share, units, strict=True))
        ]
        share[lack.index(max(lack))] += 1
    return tuple(share)


def betting_sample_size(
    pilot: Sequence[StratumSample], *, half_width: float, seed: int = 0, level: float = 0.95
) -> int:
    """Give the sample size for a wished half-width of the betting interval, by making samples from a pilot.

    Parameters
    ----------
    pilot : strata with at least one error seen in each and none beyond its bound; a larger sample is shared among the
        strata as this one was
    half_width : in cells of the total, above 0
    seed : of the made samples

    Returns
    -------
    the least size, to about 2 %, at which the median half-width of made samples is as wished; all units at most

    Notes
    -----
    Errors are drawn again from those seen, so what the pilot did not show is not planned for: take some units more.
    """
    if half_width <= 0.0:
        raise ValueError(f"half_width is {half_width}, expected more than 0")
    units = sum(stratum.units for stratum in pilot)
    too_few, enough = len(pilot) - 1, max(_FIRST_TRY, len(pilot))
    while enough < units and _median_half_width(pilot, enough, seed, level) > half_width:
        too_few, enough = enough, 2 * enough  # small sizes first, they are quick to try
    enough = min(enough, units)
    while enough - too_few > max(1, too_few // 50):
        middle = (too_few + enough) // 2
        narrow = _median_half_width(pilot, middle, seed, level) <= half_width
        too_few, enough = (too_few, middle) if narrow else (middle, enough)
    return enough


def _median_half_width(pilot: Sequence[StratumSample], size: int, seed: int, level: float) -> float:
    random = np.random.default_rng(seed)
    drawn = sum(stratum.planned for stratum in pilot)
    shares = [min(max(round(size * s.planned / drawn), 1), s.units) for s in pilot]
    widths = []
    for _ in range(max(1, min(_DRAWS, _UNITS_MADE // size)) | 1):
        made = [
            StratumSample(s.units, n, s.bound, random.choice(s.errors, n)) for s, n in zip(pilot, shares, strict=True)
        ]
        low, high = guaranteed_interval(made, level=level) or (0.0, 0.0)
        widths.append((high - low) / 2.0)
    return float(np.median(widths))
