"""Totals from a random sample of units counted by hand: what the sample says about all units, and how surely."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.audits.betting import betting_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NORMAL_LABEL = "approximate, too short when errors are rare"
"""Stands beside every normal interval."""


@dataclass(frozen=True, slots=True)
class StratumSample:
    """A simple random sample without replacement from the units of one stratum.

    Parameters
    ----------
    units : how many units the stratum has
    planned : how many of them were drawn, at most `units`
    bound : greatest absolute error of any of its units, declared at the draw; above 0
    errors : float64, shape (n,), true minus predicted count of the first n units drawn, in that order; n <= planned
    """

    units: int
    planned: int
    bound: float
    errors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not self.errors.size <= self.planned <= self.units or self.bound <= 0:
            raise ValueError(
                f"{self.errors.size} errors of {self.planned} planned and {self.units} units with bound {self.bound}, "
                "expected rising numbers and a bound above 0"
            )

    @property
    def is_whole(self) -> bool:
        """Whether every unit was counted, so that nothing is left to infer."""
        return self.errors.size == self.units

    @property
    def within_bound(self) -> bool:
        """Whether no error seen is beyond the declared bound; of no matter where every unit was counted."""
        return self.is_whole or bool((np.abs(self.errors) <= self.bound).all())


def estimated_error(strata: Sequence[StratumSample]) -> float | None:
    """Estimate the sum of the errors of all units: without bias whatever the errors are.

    Returns
    -------
    Σ N_h · (mean error in stratum h); None where a stratum has no unit counted

    References
    ----------
    Särndal, Swensson and Wretman 1992, Model assisted survey sampling, section 6.3 (difference estimator).
    """
    if any(not stratum.errors.size for stratum in strata):
        return None
    return sum(stratum.units * float(stratum.errors.mean()) for stratum in strata)


def normal_interval(strata: Sequence[StratumSample], *, level: float = 0.95) -> tuple[float, float] | None:
    """Give the textbook interval for the sum of all errors: estimate ± t √variance, n - H degrees of freedom.

    n and H are the units counted in, and the number of, strata that were not counted whole.

    Returns
    -------
    low and high end; None where a stratum has fewer than two units counted and is not counted whole

    Notes
    -----
    With errors in one unit of a hundred and 30 units counted it covers in a quarter of the cases, not in 95 %: show it
    only with `NORMAL_LABEL` beside it.
    """
    middle = estimated_error(strata)
    if middle is None or any(stratum.errors.size < 2 and stratum.errors.size < stratum.units for stratum in strata):
        return None
    spread = math.sqrt(sum(_variance(stratum) for stratum in strata))
    if spread == 0.0:
        return middle, middle
    from scipy.special import stdtrit  # the quantile of Student's t; slow to import, and only wanted here

    sampled = [stratum for stratum in strata if not stratum.is_whole]  # the others have no error left
    freedom = sum(stratum.errors.size for stratum in sampled) - len(sampled)
    reach = spread * float(stdtrit(max(freedom, 1), (1.0 + level) / 2.0))
    return middle - reach, middle + reach


def _variance(stratum: StratumSample) -> float:
    """Give N² (1 - n / N) s² / n."""
    counted = stratum.errors.size
    if counted == stratum.units:
        return 0.0
    return stratum.units * (stratum.units - counted) * float(stratum.errors.var(ddof=1)) / counted


def guaranteed_interval(strata: Sequence[StratumSample], *, level: float = 0.95) -> tuple[float, float] | None:
    """Give the betting interval for the sum of all errors; strata share the risk and their ends are added.

    Returns
    -------
    low and high end; None when an error seen is beyond its declared bound, which voids the interval
    """
    if not all(stratum.within_bound for stratum in strata):
        return None
    each = 1.0 - (1.0 - level) / len(strata)
    ends = [_guaranteed_ends(stratum, each) for stratum in strata]
    return sum(low for low, _ in ends), sum(high for _, high in ends)


def _guaranteed_ends(stratum: StratumSample, level: float) -> tuple[float, float]:
    if stratum.is_whole:
        return float(stratum.errors.sum()), float(stratum.errors.sum())
    return betting_interval(
        stratum.errors, units=stratum.units, bound=stratum.bound, planned=stratum.planned, level=level
    )


def most_wrong_units(strata: Sequence[StratumSample], *, level: float = 0.95) -> int:
    """Give how many units of all may be wrong at most, after those seen: none seen wrong does not mean none."""
    each = 1.0 - (1.0 - level) / len(strata)
    return sum(
        hypergeometric_bound(s.units, s.errors.size, int(np.count_nonzero(s.errors)), level=each) for s in strata
    )


def hypergeometric_bound(units: int, drawn: int, wrong: int, *, level: float = 0.95) -> int:
    """Give the greatest number of wrong units among all that still leaves a fair chance to see so few.

    Parameters
    ----------
    units, drawn : all units, and those drawn from them without replacement
    wrong : how many of those drawn were wrong
    level : the bound holds with at least this chance, in (0, 1)

    Returns
    -------
    the greatest M with P(at most `wrong` among `drawn` | M of `units` are wrong) > 1 - level; exact

    Examples
    --------
    >>> hypergeometric_bound(1000, 30, 0)
    93
    """
    if not 0 <= wrong <= drawn <= units:
        raise ValueError(f"{wrong} wrong of {drawn} drawn of {units} units, expected rising numbers")
    possible, impossible = wrong, units - (drawn - wrong) + 1
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        chance = _chance_of_at_most(wrong, wrong_in_all=middle, units=units, drawn=drawn)
        possible, impossible = (middle, impossible) if chance > 1.0 - level else (possible, middle)
    return possible


def _chance_of_at_most(wrong: int, *, wrong_in_all: int, units: int, drawn: int) -> float:
    """Give the hypergeometric distribution function."""
    everything = _log_choose(units, drawn)
    right = units - wrong_in_all
    return math.fsum(
        math.exp(_log_choose(wrong_in_all, seen) + _log_choose(right, drawn - seen) - everything)
        for seen in range(max(0, drawn - right), min(wrong, wrong_in_all) + 1)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
