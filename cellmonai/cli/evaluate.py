"""`cellmonai evaluate`: how good predictions are, against a truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cellmonai.cli.console import make_reporter, print_json, print_next, print_table, quoted
from cellmonai.cli.options import CellValues, Debug, Json, MaskThreshold, Overwrite, Quiet, Recursive, parse_values
from cellmonai.core.errors import CellmonaiError, PartialFailureError, UsageError

if TYPE_CHECKING:
    from cellmonai.workflows.evaluating.result import EvaluateResult, EvaluateSettings

Kind = Literal["auto", "binary", "labels"]
CentreMatching = Literal["optimal", "greedy"]


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS", help="What count or infer left, or any folder or file of label images or masks."
        ),
    ],
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH", help="The truth under the same names: masks or label images, or a CSV table image,count."
        ),
    ],
    recursive: Recursive = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for evaluation.csv, evaluation.json and run.json.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="What the predictions are; auto looks at the values.")] = "auto",
    truth_kind: Annotated[Kind, typer.Option(help="What the truth is; auto looks at the values.")] = "auto",
    cell_values: CellValues = None,
    mask_threshold: MaskThreshold = None,
    truth_cell_values: Annotated[
        str | None, typer.Option(metavar="VALUES", help="The same for the truth, as 1 or 1,3.")
    ] = None,
    truth_mask_threshold: Annotated[
        float | None, typer.Option(metavar="VALUE", help="The same for the truth, as 128 or 0.5.")
    ] = None,
    centres: Annotated[
        float | None,
        typer.Option(
            metavar="PX", help="Match cells also by centres less than PX apart; the literature has 40 and 50."
        ),
    ] = None,
    centre_matching: Annotated[
        CentreMatching | None,
        typer.Option(
            help="With --centres: pair as many centroids as possible, or walk the centres of bounding boxes in order, "
            "as Morelli et al. 2021 did with 50 px. [default: optimal]"
        ),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE=VALUE", help="Exit with code 1 when a measure is lower, as f1_50=0.8; may be given again."
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Draw images again so many times for 95 % intervals, as 1000.")
    ] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of --bootstrap; 0 unless given.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare predictions with the truth: cells matched at IoU 0.5 and more, counts, pixels.

    Files are paired by name, with --recursive also by the folders they lie in; endings such as _labels and _mask do not
    matter. An image without its counterpart is an error, since leaving it out would change the result.

    \b
      cellmonai evaluate counts/ truth/
      cellmonai evaluate counts/ counted_by_hand.csv
      cellmonai evaluate counts/ truth/ --centres 50 --centre-matching greedy
      cellmonai evaluate counts/ truth/ --bootstrap 1000 --fail-under f1_50=0.8
    """
    from cellmonai.images.labels import ValueChoice
    from cellmonai.workflows.evaluate import evaluate as run_evaluate
    from cellmonai.workflows.evaluating.result import EvaluateSettings

    settings = EvaluateSettings(
        output=output,
        kind=kind,
        truth_kind=truth_kind,
        choice=ValueChoice(parse_values(cell_values, "--cell-values"), mask_threshold),
        truth_choice=ValueChoice(parse_values(truth_cell_values, "--truth-cell-values"), truth_mask_threshold),
        fail_under=parse_limits(fail_under or []),
        bootstrap=bootstrap,
        seed=seed,
        recursive=recursive,
        overwrite=overwrite,
        centre_radius_px=centres,
        centre_matching=centre_matching,
    )
    result = run_evaluate(predictions, truth, settings=settings, reporter=make_reporter(quiet=quiet))
    if json:
        print_json(result.as_json())
    else:
        _show(result, settings, quiet=quiet)
    _raise_outcome(result)


def parse_limits(texts: list[str]) -> dict[str, float]:
    """Read `f1_50=0.8` and the like.

    Raises
    ------
    UsageError
        Not of this form, not a number, or a measure twice.
    """
    limits: dict[str, float] = {}
    for text in texts:
        name, sign, number = text.partition("=")
        name = name.strip()
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not sign or not math.isfinite(value):
            raise UsageError(f"{text!r} is no limit", where="--fail-under", cure="write it as f1_50=0.8")
        if name in limits:
            raise UsageError(f"{name!r} is given twice", where="--fail-under", cure="keep one of them")
        limits[name] = value
    return limits


def _show(result: EvaluateResult, settings: EvaluateSettings, *, quiet: bool) -> None:
    from cellmonai.report.evaluation_tables import image_table, summary_table

    where_all = f"all in {result.outputs[0]}" if result.outputs else "all with --output FOLDER or --json"
    centres = settings.centres
    print_table(
        image_table(result.images, result.failures, where_all=where_all),
        summary_table(result.summary, centres=centres.words if centres else ""),
    )
    if not quiet and not result.outputs:
        prediction, truth = (quoted(word) for word in result.inputs)
        again = f" {centres.options}" if centres else ""
        again += " --recursive" if settings.recursive else ""
        print_next(f"cellmonai evaluate {prediction} {truth}{again} --bootstrap 1000 --output evaluation/")


def _raise_outcome(result: EvaluateResult) -> None:
    """End with 9 when images failed, else with 1 when a measure is under its least value."""
    missed = "; ".join(result.missed)
    if result.failures:
        total = len(result.failures) + len({image.image for image in result.images})
        names = ", ".join(repr(name) for name, _ in result.failures[:5])
        raise PartialFailureError(
            f"{len(result.failures)} of {total} images could not be evaluated ({names})"
            + (f"; {missed}" if missed else ""),
            cure="see the warnings above",
        )
    if missed:
        raise CellmonaiError(missed, where="--fail-under")
