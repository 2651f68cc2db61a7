"""All that is measured on one image, and its summary over many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.measure.counts import CountErrors, count_errors
from cellmonai.measure.matching import IOU_THRESHOLDS, MatchCounts, overlap_table
from cellmonai.measure.pixels import PixelCounts, count_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_AT_75 = IOU_THRESHOLDS.index(0.75)


@dataclass(frozen=True, slots=True)
class ImageScores:
    """One image compared with its truth.

    Parameters
    ----------
    true_count, predicted_count : instances; a true count may be a mean of annotators, hence not whole
    matches : one MatchCounts per IOU_THRESHOLDS; empty where only the true count is known
    pixels : foreground compared; all zero where only the true count is known
    centres : instances matched by the distance of their centres; None where that was not asked for
    """

    true_count: float
    predicted_count: int
    matches: tuple[MatchCounts, ...] = ()
    pixels: PixelCounts = field(default_factory=PixelCounts)
    centres: MatchCounts | None = None

    @property
    def at_50(self) -> MatchCounts:
        """Matches at IoU 0.5; nothing where only the true count is known."""
        return self.matches[0] if self.matches else MatchCounts()

    @property
    def at_75(self) -> MatchCounts:
        """Matches at IoU 0.75; nothing where only the true count is known."""
        return self.matches[_AT_75] if self.matches else MatchCounts()

    @property
    def ap_mean(self) -> float | None:
        """Mean AP over IOU_THRESHOLDS, as the Data Science Bowl 2018 scored an image."""
        return _mean_ap(self.matches)


def score_instances(
    true_labels: NDArray[Any],
    predicted_labels: NDArray[Any],
    *,
    true_inside: NDArray[np.bool_] | None = None,
    predicted_inside: NDArray[np.bool_] | None = None,
) -> ImageScores:
    """Compare two label images of the same shape (Y, X), background 0.

    `true_inside` and `predicted_inside` are the foregrounds for the pixel measures where these are not simply
    `labels > 0`, as when small specks of a mask are no instances.

    Raises
    ------
    ValueError
        The shapes differ, or an image is not of non-negative integers.
    """
    overlaps = overlap_table(true_labels, predicted_labels)
    matches = tuple(overlaps.match(threshold) for threshold in IOU_THRESHOLDS)
    pixels = count_pixels(
        true_labels > 0 if true_inside is None else true_inside,
        predicted_labels > 0 if predicted_inside is None else predicted_inside,
    )
    return ImageScores(overlaps.true_count, overlaps.predicted_count, matches, pixels)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of many images as arrays, so that any choice of rows is summarised fast.

    Parameters
    ----------
    matches : int64, shape (images, thresholds, 3); TP, FP, FN
    iou_sum : float64, shape (images,); at IoU 0.5
    pixels : int64, shape (images, 4); TP, FP, FN, TN
    counts : float64, shape (images, 2); true, predicted
    f1_50 : float64, shape (images,); NaN where undefined
    centres : int64, shape (images, 3); TP, FP, FN of centres; None unless all images have them
    """

    matches: NDArray[np.int64]
    iou_sum: NDArray[np.float64]
    pixels: NDArray[np.int64]
    counts: NDArray[np.float64]
    f1_50: NDArray[np.float64]
    centres: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, scores: Sequence[ImageScores]) -> ScoreTable:
        """Give the table of `scores`, one row per image."""
        nothing = (MatchCounts(),) * len(IOU_THRESHOLDS)
        matches = [[(m.tp, m.fp, m.fn) for m in s.matches or nothing] for s in scores]
        f1 = [s.at_50.f1 for s in scores]
        centres = [(s.centres.tp, s.centres.fp, s.centres.fn) for s in scores if s.centres is not None]
        return cls(
            np.array(matches, np.int64).reshape(-1, len(IOU_THRESHOLDS), 3),
            np.array([s.at_50.iou_sum for s in scores], np.float64),
            np.array([(s.pixels.tp, s.pixels.fp, s.pixels.fn, s.pixels.tn) for s in scores], np.int64).reshape(-1, 4),
            np.array([(s.true_count, s.predicted_count) for s in scores], np.float64).reshape(-1, 2),
            np.array([np.nan if value is None else value for value in f1], np.float64),
            np.array(centres, np.int64) if centres and len(centres) == len(scores) else None,
        )

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: NDArray[np.int64]) -> ScoreTable:
        """Give the table of the chosen rows; a row may come more than once."""
        return ScoreTable(
            self.matches[rows],
            self.iou_sum[rows],
            self.pixels[rows],
            self.counts[rows],
            self.f1_50[rows],
            None if self.centres is None else self.centres[rows],
        )

    def count_errors(self) -> CountErrors:
        """Compare the counts."""
        return count_errors(self.counts[:, 0], self.counts[:, 1])

    def summary(self) -> dict[str, float | None]:
        """Give every measure over all images by its name; what is undefined is None.

        Matches and pixels are added up over the images before the ratio is taken, except in `f1_50_image_mean`,
        the mean over those images where F1 is defined. Those of centres are there where all images have them.
        """
        pooled = [MatchCounts(*map(int, row)) for row in self.matches.sum(axis=0)]
        at_50, at_75 = replace(pooled[0], iou_sum=float(self.iou_sum.sum())), pooled[_AT_75]
        pixels = PixelCounts(*map(int, self.pixels.sum(axis=0)))
        errors = self.count_errors()
        defined = self.f1_50[~np.isnan(self.f1_50)]
        return {
            "f1_50": at_50.f1,
            "f1_75": at_75.f1,
            "ap_50": at_50.ap,
            "ap_mean": _mean_ap(pooled),
            "pq": at_50.pq,
            "mean_matched_iou": at_50.mean_matched_iou,
            "f1_50_image_mean": float(defined.mean()) if defined.size else None,
            "precision_50": at_50.precision,
            "recall_50": at_50.recall,
            "count_mae": errors.mae,
            "count_bias": errors.bias,
            "count_bias_percent": errors.bias_percent,
            "count_rmse": errors.rmse,
            "count_r2": errors.r2,
            "dice": pixels.dice,
            "iou": pixels.iou,
            "accuracy": pixels.accuracy,
            "accuracy_background_floor": pixels.background_floor,
            **self._of_centres(),
        }

    def _of_centres(self) -> dict[str, float | None]:
        if self.centres is None:
            return {}
        near = MatchCounts(*map(int, self.centres.sum(axis=0)))
        return {
            "centre_f1": near.f1,
            "centre_precision": near.precision,
            "centre_recall": near.recall,
            "centre_accuracy": near.ap,  # the literature's name for TP / (TP + FP + FN)
        }


def _mean_ap(matches: Sequence[MatchCounts]) -> float | None:
    values = [match.ap for match in matches]
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
