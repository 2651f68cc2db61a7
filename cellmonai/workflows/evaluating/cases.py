"""One image compared: its prediction read, its truth read, both matched; or its count against a count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.measure.scores import ImageScores, score_instances
from cellmonai.report.evaluation import EvaluatedImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.evaluating.centres import CentreRadius
    from cellmonai.workflows.evaluating.pairs import Case
    from cellmonai.workflows.evaluating.reading import Instances, Sides


def evaluate_case(case: Case, sides: Sides, centres: CentreRadius | None, reporter: Reporter) -> list[EvaluatedImage]:
    """Compare every plane of one image.

    Parameters
    ----------
    case : the files of the image
    sides : how predictions and truth become instances
    centres : match centres too, in this way; a count has none
    reporter : told of labels that lie in several pieces

    Raises
    ------
    InputError
        A file cannot be read, or the two sides differ in size or planes.
    """
    predicted = sides.found.read(case.prediction)
    _tell_pieces(case, "predictions", predicted, reporter)
    if sides.true is None or case.truth is None:
        return _compare_counts(case, predicted)
    true = sides.true.read(case.truth)
    _tell_pieces(case, "truth", true, reporter)
    if len(true) != len(predicted):
        raise InputError(
            f"the prediction has {len(predicted)} planes, the truth {len(true)}",
            where=str(case.prediction),
            cure="compare files with the same planes",
        )
    dots = sides.true.are_dots
    return [_compare(case, *pair, centres, true_is_dots=dots) for pair in zip(true, predicted, strict=True)]


def _tell_pieces(case: Case, side: str, planes: Sequence[Instances], reporter: Reporter) -> None:
    """Warn of labels that lie in several pieces: they may be several cells."""
    labels, pieces = (
        sum(plane.notes.get(name, 0) for plane in planes) for name in ("labels_in_pieces", "pieces_of_labels")
    )
    if any(plane.notes.get("mostly_foreground", 0) for plane in planes):
        reporter.warn("mostly_foreground", f"{side}: nearly all of the mask is foreground; is it inverted?", case.name)
    if labels:
        lie = "label lies" if labels == 1 else "labels lie"
        reporter.warn(
            "extra_pieces",
            f"{side}: {labels:,} {lie} in {pieces:,} separate pieces; each label is one cell",
            case.name,
        )


def _compare(
    case: Case, true: Instances, predicted: Instances, centres: CentreRadius | None, *, true_is_dots: bool
) -> EvaluatedImage:
    assert case.truth is not None
    if true.labels.shape != predicted.labels.shape:
        sizes = [f"{side.labels.shape[1]} x {side.labels.shape[0]} px" for side in (predicted, true)]
        raise InputError(
            f"the prediction is {sizes[0]}, its truth {case.truth.name} is {sizes[1]}",
            where=str(case.prediction),
            cure="give a truth of the same size",
        )
    if true_is_dots:  # no outlines to overlap with
        scores = ImageScores(_number(true), _number(predicted))
    else:
        scores = score_instances(
            true.labels, predicted.labels, true_inside=true.inside, predicted_inside=predicted.inside
        )
    if centres is not None:
        scores = replace(scores, centres=centres.match(predicted.labels, true.labels))
    names = case.prediction.name, case.truth.name
    removed, filled = (
        (predicted.removed, true.removed),
        (predicted.notes.get("holes_filled", 0), true.notes.get("holes_filled", 0)),
    )
    return EvaluatedImage(case.name, predicted.plane, *names, scores, *removed, *filled)


def _compare_counts(case: Case, predicted: Sequence[Instances]) -> list[EvaluatedImage]:
    planes = [side.plane for side in predicted]
    if set(planes) != set(case.true_counts) and not len(planes) == len(case.true_counts) == 1:
        raise InputError(
            f"the table has counts of {len(case.true_counts)} planes, the prediction has {len(planes)}",
            where=str(case.prediction),
            cure="name every plane in a column 'plane'",
        )
    only = next(iter(case.true_counts.values()))
    return [
        EvaluatedImage(
            case.name,
            side.plane,
            case.prediction.name,
            "",
            ImageScores(case.true_counts.get(side.plane, only), _number(side)),
            side.removed,
            predicted_holes_filled=side.notes.get("holes_filled", 0),
        )
        for side in predicted
    ]


def _number(side: Instances) -> int:
    return len(np.unique(side.labels[side.labels > 0]))
