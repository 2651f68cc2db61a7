"""Compare predictions with the truth: pair the files, find the cells of both, match them, sum up."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from os.path import realpath
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import CellmonaiError, InputError
from cellmonai.core.files import refuse_existing, remove_orphans, require_possible, sha256_of, write_json
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Silent
from cellmonai.core.record import RunRecord
from cellmonai.core.staging import is_half_placed, staged
from cellmonai.images.find import is_folder
from cellmonai.measure.bootstrap import bootstrap_intervals
from cellmonai.measure.scores import ScoreTable
from cellmonai.report.evaluation import write_evaluation
from cellmonai.workflows.evaluating.cases import evaluate_case
from cellmonai.workflows.evaluating.pairs import find_cases
from cellmonai.workflows.evaluating.reading import decide_sides
from cellmonai.workflows.evaluating.result import EvaluateResult, EvaluateSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.report.evaluation import EvaluatedImage
    from cellmonai.workflows.evaluating.centres import CentreRadius
    from cellmonai.workflows.evaluating.pairs import Case
    from cellmonai.workflows.evaluating.reading import Sides

OUTPUTS = ("evaluation.csv", "evaluation.json", "run.json")
_FEW_IMAGES = 10  # below, percentile intervals of images are much too narrow


def evaluate(
    predictions: Path,
    truth: Path,
    *,
    settings: EvaluateSettings | None = None,
    reporter: Reporter | None = None,
) -> EvaluateResult:
    """Compare label images or masks with a truth of the same, or with a table of counts.

    Parameters
    ----------
    predictions : a file, or a folder with what `count` or `infer` left, or any masks or label images
    truth : a file or folder of masks or label images named as the predictions, or a CSV file with the columns
        image, count (then only count errors are defined)
    settings : how to compare, and where results go
    reporter : told of decisions, progress and warnings

    Raises
    ------
    InputError
        Nothing to compare, a file without its counterpart, or not one image could be evaluated.
    OutputError, LockedError
        The output folder holds an evaluation already, cannot be written, or is in use.
    UsageError
        A kind of truth or a match of centres was asked for and the truth is a table.
    InterruptedRunError
        Ctrl-C; nothing is written then.

    Notes
    -----
    Every value of a label image is one instance, also where it lies in several pieces; nothing of it is filtered. Each
    plane of a stack is compared by itself, also where labels run through several planes.
    """
    settings, reporter = settings or EvaluateSettings(), reporter or Silent()
    record = RunRecord("evaluate", settings.as_json())
    with ExitStack() as until_written:
        _refuse_inputs(predictions, truth, settings)
        cases = find_cases(predictions, truth, reporter, recursive=settings.recursive)
        sides = decide_sides(predictions, cases, settings, reporter)
        staging = None
        if settings.output is not None:
            if until_written.enter_context(folder_lock(settings.output)):
                remove_orphans(settings.output)
            what = {"command": "evaluate", "inputs": [str(predictions), str(truth)], **settings.as_json()}
            refuse = partial(_refuse_outputs, settings)
            staging, _ = until_written.enter_context(staged(settings.output, what, refuse=refuse))
        images, failures = _evaluate_all(cases, sides, settings.centres, record, reporter)
        _tell_removed(images, reporter)
        if any(image.plane for image in images):
            reporter.note(
                "the planes of stacks are compared one by one, so a cell on several planes is compared on each"
            )
        summary = _summary(ScoreTable.of([image.scores for image in images]), settings, reporter)
        result = EvaluateResult(
            inputs=(str(predictions), str(truth)),
            parameters={**record.parameters, **sides.as_json()},
            images=tuple(images),
            failures=tuple(failures),
            summary=summary,
            totals=_totals(images, failures),
            missed=settings.missed(summary),
            outputs=tuple((settings.output / name).as_posix() for name in OUTPUTS) if settings.output else (),
            warnings=tuple(reporter.warnings),
            seconds=record.seconds,
        )
        if staging is not None:
            _write(result, record, staging.folder)
            staging.place(OUTPUTS)
    return result


def _refuse_inputs(predictions: Path, truth: Path, settings: EvaluateSettings) -> None:
    """Refuse before any work an output folder that is read too, and what would be replaced."""
    if settings.output is None:
        return
    require_possible(settings.output)
    folders = {realpath(path if is_folder(path) else path.parent) for path in (predictions, truth)}
    if realpath(settings.output) in folders:
        raise InputError(
            "the output folder is an input too", where=str(settings.output), cure="choose another --output"
        )
    if not is_half_placed(settings.output):  # else it is known later whether they are of this very run
        _refuse_outputs(settings)


def _refuse_outputs(settings: EvaluateSettings) -> None:
    """Refuse what would be replaced, the records of other commands above all."""
    if settings.output is not None:
        refuse_existing([settings.output / name for name in OUTPUTS], overwrite=settings.overwrite)


def _evaluate_all(
    cases: Sequence[Case], sides: Sides, centres: CentreRadius | None, record: RunRecord, reporter: Reporter
) -> tuple[list[EvaluatedImage], list[tuple[str, str]]]:
    """Evaluate every image; one that fails is told and listed, and the others go on."""
    images: list[EvaluatedImage] = []
    failures: list[tuple[str, str]] = []
    with stop_wish() as wish, reporter.stage("evaluating", len(cases)) as stage:
        for case in cases:
            wish.check("run the same command again")
            try:
                images += evaluate_case(case, sides, centres, reporter)
            except CellmonaiError as error:
                reason = error.sentence.rstrip(".")
                reporter.warn("failed", reason, case.name)
                failures.append((case.name, reason))
                record.images.append({"image": case.name, "status": "failed", "reason": reason})
            else:
                record.images.append({"image": case.name, "status": "done", **_digests(case)})
            stage.advance(note=case.name)
        wish.check("run the same command again")
    if not images:
        raise InputError(f"not one of {len(cases)} images could be evaluated; the first: {failures[0][1]}")
    return images, failures


def _summary(table: ScoreTable, settings: EvaluateSettings, reporter: Reporter) -> dict[str, Any]:
    """Give every measure, with `_low` and `_high` beside it when bootstrapped."""
    values: dict[str, Any] = {}
    intervals = {}
    if settings.bootstrap:
        intervals = bootstrap_intervals(table, draws=settings.bootstrap, seed=settings.seed or 0)
        if len(table) < _FEW_IMAGES:
            reporter.warn(
                "bootstrap_few_images",
                f"intervals from {len(table)} images are too narrow or undefined; {_FEW_IMAGES} or more make sense",
            )
    for name, value in table.summary().items():
        values[name] = value
        if settings.bootstrap:
            values[f"{name}_low"], values[f"{name}_high"] = intervals[name] or (None, None)
    limits = table.count_errors().limits_of_agreement
    return {**values, "limits_of_agreement": list(limits) if limits else None}


def _totals(images: Sequence[EvaluatedImage], failures: Sequence[tuple[str, str]]) -> dict[str, Any]:
    scores = [image.scores for image in images]
    return {
        "images": len(images),
        "images_failed": len(failures),
        "images_without_cells": sum(1 for s in scores if not s.true_count and not s.predicted_count),
        "true_count": sum(s.true_count for s in scores),
        "predicted_count": sum(s.predicted_count for s in scores),
    }


def _tell_removed(images: Sequence[EvaluatedImage], reporter: Reporter) -> None:
    """Say how many objects of masks the filters took away, and how many holes were filled."""
    for side, removed in (
        ("predictions", sum(image.predicted_removed for image in images)),
        ("truth", sum(image.true_removed for image in images)),
    ):
        if removed:
            reporter.warn(
                "objects_removed",
                f"{removed} object{'s' * (removed != 1)} of the {side} {'were' if removed != 1 else 'was'} left out by "
                "the filters of area and border",
            )
    for side, filled in (
        ("predictions", sum(image.predicted_holes_filled for image in images)),
        ("truth", sum(image.true_holes_filled for image in images)),
    ):
        if filled:
            reporter.note(
                f"{filled:,} hole{'s' * (filled != 1)} in masks of the {side} {'were' if filled != 1 else 'was'} "
                "filled, as count does"
            )


def _digests(case: Case) -> dict[str, str]:
    files = {"prediction_sha256": case.prediction, "truth_sha256": case.truth}
    return {name: sha256_of(file) for name, file in files.items() if file is not None}


def _write(result: EvaluateResult, record: RunRecord, folder: Path) -> None:
    """Write the table, the document and, last, the record."""
    table, document, run = (folder / name for name in OUTPUTS)
    write_evaluation(table, result.images, result.failures, overwrite=True)
    # without the seconds, so that the same inputs give the same bytes
    write_json(document, {k: v for k, v in result.as_json().items() if k != "seconds"}, overwrite=True)
    record.parameters = result.parameters
    record.facts["inputs"] = list(result.inputs)
    record.write(run, list(result.warnings))
