"""An evaluation as `evaluation.csv` and JSON: one row per image, and what every measure means in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellmonai.report.csv import write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.measure.scores import ImageScores

MEANINGS = {
    "f1_50": "2 TP / (2 TP + FP + FN), matched one to one at IoU >= 0.5, all images together",
    "f1_75": "the same at IoU >= 0.75",
    "f1_50_image_mean": "mean over the images, those without any cell left out",
    "precision_50": "TP / (TP + FP), share of the found cells that are true",
    "recall_50": "TP / (TP + FN), share of the true cells that were found",
    "ap_50": "TP / (TP + FP + FN), as in the Data Science Bowl, not COCO's AP",
    "ap_mean": "mean of AP at IoU 0.50, 0.55 ... 0.95",
    "pq": "panoptic quality, sum of matched IoU / (TP + FP/2 + FN/2)",
    "mean_matched_iou": "how well matched cells are outlined",
    "dice": "2 TP / (2 TP + FP + FN) of foreground pixels",
    "iou": "TP / (TP + FP + FN) of foreground pixels",
    "accuracy": "share of pixels called right",
    "accuracy_background_floor": "what calling every pixel background would get",
    "count_mae": "cells per image, mean |predicted - true|",
    "count_bias": "cells per image, mean of predicted - true; positive is too many",
    "count_bias_percent": "100 (sum of predicted - sum of true) / sum of true",
    "limits_of_agreement": "cells, bias -/+ 1.96 standard deviations (Bland-Altman)",
    "count_rmse": "cells per image, root of the mean squared error",
    "count_r2": "1 - SSE / SST about the line predicted = true",
}
"""What each measure of the summary is, in the order in which tables show them."""

CENTRE_MEANINGS = {
    "centre_f1": "2 TP / (2 TP + FP + FN), cells matched one to one by their centres",
    "centre_precision": "TP / (TP + FP) of these matches",
    "centre_recall": "TP / (TP + FN) of these matches",
    "centre_accuracy": "TP / (TP + FP + FN) of these matches",
}
"""What the measures of centres are, which the summary holds where they were asked for; greater is better in all."""

GREATER_IS_BETTER = (
    *("f1_50", "f1_75", "f1_50_image_mean", "precision_50", "recall_50", "ap_50", "ap_mean", "pq"),
    *("mean_matched_iou", "count_r2", "dice", "iou", "accuracy"),
)
"""The measures that can be asked to reach a least value."""


@dataclass(frozen=True, slots=True)
class EvaluatedImage:
    """One plane of one image and its scores.

    `prediction` and `truth` are the names of the files compared; `predicted_removed` and `true_removed` say how many
    objects of a mask the filters of area and border took away, `predicted_holes_filled` and `true_holes_filled` how
    many of its holes were filled.
    """

    image: str
    plane: str
    prediction: str
    truth: str
    scores: ImageScores
    predicted_removed: int = 0
    true_removed: int = 0
    predicted_holes_filled: int = 0
    true_holes_filled: int = 0

    def as_json(self) -> dict[str, Any]:
        """Give the entry of this image; what is undefined, or unknown as only counts are, is null."""
        scores, at_50, pixels = self.scores, self.scores.at_50, self.scores.pixels
        known = bool(scores.matches)
        return {
            "image": self.image,
            "plane": self.plane,
            "prediction": self.prediction,
            "truth": self.truth,
            "true_count": scores.true_count,
            "predicted_count": scores.predicted_count,
            "count_error": scores.predicted_count - scores.true_count,
            "tp_50": at_50.tp if known else None,
            "fp_50": at_50.fp if known else None,
            "fn_50": at_50.fn if known else None,
            "f1_50": at_50.f1,
            "f1_75": scores.at_75.f1,
            "precision_50": at_50.precision,
            "recall_50": at_50.recall,
            "ap_50": at_50.ap,
            "ap_mean": scores.ap_mean,
            "pq": at_50.pq,
            "mean_matched_iou": at_50.mean_matched_iou,
            "dice": pixels.dice,
            "iou": pixels.iou,
            "accuracy": pixels.accuracy,
            "accuracy_background_floor": pixels.background_floor,
            "predicted_removed": self.predicted_removed,
            "true_removed": self.true_removed,
            "predicted_holes_filled": self.predicted_holes_filled,
            "true_holes_filled": self.true_holes_filled,
            **self._centres(),
        }

    def _centres(self) -> dict[str, int]:
        near = self.scores.centres
        return {} if near is None else {"centre_tp": near.tp, "centre_fp": near.fp, "centre_fn": near.fn}


def write_evaluation(
    path: Path, images: Sequence[EvaluatedImage], failures: Sequence[tuple[str, str]], *, overwrite: bool
) -> None:
    """Write `evaluation.csv`: one row per image and plane, and one with its reason per image that failed.

    Undefined values are empty cells.
    """
    rows = [{**image.as_json(), "status": "done", "reason": ""} for image in images]
    rows += [{"image": name, "status": "failed", "reason": reason} for name, reason in failures]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    decimals = dict.fromkeys(names, 6) | {"true_count": 3, "count_error": 3}
    write_csv(path, columns, decimals=decimals, overwrite=overwrite)
