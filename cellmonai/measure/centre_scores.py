"""Scores of matched centres over many images, in our form and in those of the literature.

The forms differ where something is zero, and published numbers carry the difference: one false cell on an empty image
adds 1,000,000 / N to the mean percentage error of Morelli et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.measure.matching import MatchCounts, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ScoreForm = Literal["exact", "morelli2021", "fnc_v2"]


@dataclass(frozen=True, slots=True)
class CentreScores:
    """Scores over images; undefined values are None.

    Parameters
    ----------
    images : number of images
    matches : TP, FP and FN of all images
    precision, recall, accuracy, f1 : of the summed matches; accuracy is TP / (TP + FP + FN)
    mae, medae : mean and median of |predicted - true| per image, in cells
    mpe : mean of (predicted - true) / true, a fraction; positive is over-counting
    images_without_true : images that `mpe` leaves out under `exact`
    """

    images: int
    matches: MatchCounts
    precision: float | None
    recall: float | None
    accuracy: float | None
    f1: float | None
    mae: float | None
    medae: float | None
    mpe: float | None
    images_without_true: int


def score_centres(
    matches: Sequence[MatchCounts],
    true_counts: Sequence[int],
    predicted_counts: Sequence[int],
    *,
    form: ScoreForm = "exact",
) -> CentreScores:
    """Summarise the matches and counts of the same images, in the same order.

    Parameters
    ----------
    matches : one per image
    true_counts, predicted_counts : cells per image; under the `proximity` rule they do not follow from the matches
    form : `exact` leaves ratios of nothing undefined, and `mpe` to images that hold true cells.
        `morelli2021` adds 0.001 above and below each ratio, so that nothing at all scores 1, and 1e-6 to each true
        count. `fnc_v2` adds 0.01 below, and takes 1 for a true count of 0; the published tool also takes TP + FN for
        the predicted count, which is the true one, and that is not repeated here.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    if not len(matches) == len(true_counts) == len(predicted_counts):
        raise ValueError(
            f"{len(matches)} matches, {len(true_counts)} true and {len(predicted_counts)} predicted counts"
        )
    total = sum(matches, MatchCounts())
    true, predicted = np.asarray(true_counts, np.float64), np.asarray(predicted_counts, np.float64)
    error = predicted - true
    precision, recall, accuracy, f1 = _ratios(total, form)
    percentage = _percentage_errors(error, true, form)
    return CentreScores(
        images=len(matches),
        matches=total,
        precision=precision,
        recall=recall,
        accuracy=accuracy,
        f1=f1,
        mae=float(np.abs(error).mean()) if error.size else None,
        medae=float(np.median(np.abs(error))) if error.size else None,
        mpe=float(percentage.mean()) if percentage.size else None,
        images_without_true=int((true == 0).sum()),
    )


def _ratios(total: MatchCounts, form: ScoreForm) -> tuple[float | None, float | None, float | None, float | None]:
    """Give precision, recall, accuracy and F1."""
    if form == "exact":
        return total.precision, total.recall, total.ap, total.f1
    above, below = (0.001, 0.001) if form == "morelli2021" else (0.0, 0.01)
    wholes = (total.tp + total.fp, total.tp + total.fn, total.tp + total.fp + total.fn)
    precision, recall, accuracy = ((total.tp + above) / (whole + below) for whole in wholes)
    return precision, recall, accuracy, ratio(2 * precision * recall, precision + recall)


def _percentage_errors(error: NDArray[np.float64], true: NDArray[np.float64], form: ScoreForm) -> NDArray[np.float64]:
    if form == "exact":
        return error[true > 0] / true[true > 0]
    return error / (true + 1e-6 if form == "morelli2021" else np.where(true == 0, 1.0, true))
