"""How far counts are off: error is predicted minus true, so positive means too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.matching import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NORMAL_95 = 1.959963984540054  # half width of the central 95 % of a normal distribution, in standard deviations


@dataclass(frozen=True, slots=True)
class CountErrors:
    """Count errors over images, in cells unless the name says otherwise; undefined values are None.

    Parameters
    ----------
    images : number of images
    bias : mean error
    bias_percent : 100 (sum of predicted - sum of true) / sum of true; None without true cells
    mae : mean absolute error
    rmse : root of the mean squared error
    r2 : 1 - SSE / SST about the identity line (not a fitted one, which would hide a constant factor);
        None when all true counts are equal
    limits_of_agreement : bias -/+ 1.96 standard deviations of the errors (n - 1); None for fewer than two images

    References
    ----------
    Bland and Altman 1986, Statistical methods for assessing agreement between two methods of clinical measurement.
    """

    images: int
    bias: float | None
    bias_percent: float | None
    mae: float | None
    rmse: float | None
    r2: float | None
    limits_of_agreement: tuple[float, float] | None


def count_errors(
    true: Sequence[float] | NDArray[np.float64], predicted: Sequence[float] | NDArray[np.float64]
) -> CountErrors:
    """Compare the counts of the same images, in the same order.

    Raises
    ------
    ValueError
        The lengths differ.

    Examples
    --------
    >>> count_errors([10, 20], [11, 23]).bias
    2.0
    """
    truth, found = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    if truth.shape != found.shape:
        raise ValueError(f"{truth.size} true counts and {found.size} predicted ones")
    if not truth.size:
        return CountErrors(0, None, None, None, None, None, None)
    error = found - truth
    squares = float(np.square(error).sum())
    unexplained = ratio(squares, float(np.square(truth - truth.mean()).sum()))
    percent = ratio(100.0 * float(error.sum()), float(truth.sum()))
    return CountErrors(
        images=truth.size,
        bias=float(error.mean()),
        bias_percent=percent,
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(squares / truth.size)),
        r2=None if unexplained is None else 1.0 - unexplained,
        limits_of_agreement=_limits(error),
    )


def _limits(error: NDArray[np.float64]) -> tuple[float, float] | None:
    if error.size < 2:
        return None
    middle, spread = float(error.mean()), _NORMAL_95 * float(error.std(ddof=1))
    return middle - spread, middle + spread
