"""Count: find the masks, split them into cells, filter, measure, and write tables, label images and overlays."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import CellmonaiError, InputError, UsageError
from cellmonai.core.files import refuse_existing, sha256_of, write_json
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent, Warned
from cellmonai.core.record import RunRecord
from cellmonai.report.counts import CellRows, ImageCount, write_cells, write_counts
from cellmonai.workflows.count_inputs import find_masks
from cellmonai.workflows.count_plane import CountedPlane, count_plane, output_names
from cellmonai.workflows.count_settings import CountSettings
from cellmonai.workflows.count_survey import READ_FAILURES, MaskReader, Survey, survey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.count_inputs import MaskInput
    from cellmonai.workflows.count_survey import Kind, PlaneJob

TABLES = ("counts.csv", "cells.csv", "counts.json", "run.json")


@dataclass(frozen=True, slots=True)
class CountResult:
    """What `count` found: one entry per image and plane, and the reason for each image that failed."""

    inputs: tuple[str, ...]
    output: Path
    images: tuple[ImageCount, ...]
    failures: Mapping[str, str]
    parameters: Mapping[str, Any]
    outputs: tuple[str, ...]
    warnings: tuple[Warned, ...]
    seconds: float

    @property
    def total(self) -> int:
        """Cells in all images that could be counted; a part of the truth when some failed."""
        return sum(image.count for image in self.images)

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--json` prints and `counts.json` holds."""
        return {
            "schema": "cellmonai.count/1",
            "version": version("cellmonai"),
            "command": "count",
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "images": [image.as_json() for image in self.images],
            "groups": [],
            "total": self.total,
            "partial": bool(self.failures),
            "failures": [{"image": image, "reason": reason} for image, reason in self.failures.items()],
            "parameters": dict(self.parameters),
        }


@dataclass
class _Progress:
    """What has been counted so far."""

    counts: list[ImageCount] = field(default_factory=list)
    cells: list[CellRows] = field(default_factory=list)
    failures: dict[str, CellmonaiError] = field(default_factory=dict)
    foreground_share: float = 0.0


def count(
    inputs: Sequence[Path], *, settings: CountSettings | None = None, reporter: Reporter | None = None
) -> CountResult:
    """Count and measure the cells of masks, label images, or what `infer` left.

    Parameters
    ----------
    inputs : files, folders and globs
    settings : how to count, and where results go; the defaults of the command when None
    reporter : told of decisions, progress and warnings

    Raises
    ------
    InputError
        Nothing to count, or every input failed.
    UsageError
        An option that the inputs cannot honour.
    OutputError, LockedError
        A result exists or cannot be written; another run writes there.
    InterruptedRunError
        Ctrl-C; no table is written then.
    """
    settings, reporter = settings or CountSettings(), reporter or Silent()
    record = RunRecord("count", {})
    _refuse_output_among(inputs, settings.output)
    masks, missing = find_masks(inputs, images=settings.images, reporter=reporter)
    settings.refuse_unfit(masks)
    point = settings.common_point(masks)
    reader = MaskReader(settings.memory)
    seen = survey(masks, reader, reporter, pixel_size_um=settings.pixel_size_um)
    kind = _decide_kind(masks, seen, settings, reporter)
    plan = [(job, settings.for_mask(job.mask, job.pixel_size_um)) for job in seen.jobs]
    if not plan:
        raise _nothing_worked(seen.failures, missing, reporter)
    _refuse_outputs(plan, settings)
    with folder_lock(settings.output):
        if settings.overwrite:  # old tables must not describe a folder that is being rewritten
            for name in TABLES:
                (settings.output / name).unlink(missing_ok=True)
        done = _count_all(plan, seen, kind, reader, settings, reporter)
        if not done.counts:
            raise _nothing_worked(done.failures, missing, reporter)
        _warn_of_failures(done.failures, missing, reporter)
        _warn_without_cells(done, point, reporter)
        from_model = any(mask.operating_point for mask in masks)
        result = CountResult(
            inputs=tuple(str(path) for path in inputs),
            output=settings.output,
            images=tuple(done.counts),
            failures=missing | {name: error.what for name, error in done.failures.items()},
            parameters=settings.as_json(kind=kind, point=point, from_model=from_model),
            outputs=_outputs(done.counts, settings.output),
            warnings=tuple(reporter.warnings),
            seconds=record.seconds,
        )
        _write_tables(result, done, masks, record, settings)
    return result


def _count_all(
    plan: Sequence[tuple[PlaneJob, InstanceSettings]],
    seen: Survey,
    kind: Kind,
    reader: MaskReader,
    settings: CountSettings,
    reporter: Reporter,
) -> _Progress:
    done = _Progress(failures=dict(seen.failures))
    foreground = pixels = 0
    with stop_wish() as wish, reporter.stage("counting", len(plan)) as stage:
        for job, how in plan:
            wish.check("run the same command again with --overwrite")
            if job.mask.name not in done.failures:
                try:
                    counted = count_plane(job, how, kind, reader, settings, reporter)
                except READ_FAILURES as error:
                    done.failures[job.mask.name] = error
                else:
                    _keep(done, counted)
                    foreground, pixels = foreground + counted.foreground_px, pixels + counted.pixels
            stage.advance(note=job.stem)
        wish.check("run the same command again with --overwrite")
    done.foreground_share = foreground / pixels if pixels else 0.0
    return done


def _keep(done: _Progress, counted: CountedPlane) -> None:
    done.counts.append(counted.count)
    done.cells.append(counted.cells)


def _decide_kind(masks: Sequence[MaskInput], seen: Survey, settings: CountSettings, reporter: Reporter) -> Kind:
    """Read all inputs in one way: values decide, unless the user or the record of `infer` did."""
    from_infer = any(mask.operating_point is not None for mask in masks)
    kind: Kind = "labels" if seen.label_like else "binary"
    if settings.kind != "auto":
        kind = settings.kind
    elif from_infer and seen.label_like:
        raise InputError(
            "has more than two values and lies among binary masks of cellmonai infer",
            where=seen.label_like[0],
            cure="count label images by themselves, or say which they are with --kind",
        )
    elif settings.threshold is not None or from_infer or not seen.jobs:
        kind = "binary"
    elif kind == "labels":
        reporter.note(f"label images, since {seen.label_like[0]} has more than two values (else: --kind binary)")
    else:
        reporter.note("binary masks, since no file has more than two values (else: --kind labels)")
    if kind == "labels":
        settings.refuse_for_labels()
    return kind


def _refuse_output_among(inputs: Sequence[Path], output: Path) -> None:
    folders = {(path if path.is_dir() else path.parent).resolve() for path in inputs}
    if output.resolve() in folders:
        raise UsageError(
            "the output folder is an input too, and results would mix with masks",
            where=str(output),
            cure="choose another --output",
        )


def _refuse_outputs(plan: Sequence[tuple[PlaneJob, InstanceSettings]], settings: CountSettings) -> None:
    """Refuse before any work what would be replaced at its end."""
    names = [name for job, _ in plan for name in output_names(job, settings)]
    refuse_existing((settings.output / name for name in (*TABLES, *names)), overwrite=settings.overwrite)


def _nothing_worked(
    failures: Mapping[str, CellmonaiError], missing: Mapping[str, str], reporter: Reporter
) -> CellmonaiError:
    """Give the error of a run in which every input failed; where all failed alike, the exit code is theirs."""
    errors = list(failures.values())
    if len(errors) == 1 and not missing:
        return errors[0]
    _warn_of_failures(failures, missing, reporter)
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else InputError
    first = errors[0].sentence.rstrip(".")
    return kind(f"none of the {len(errors) + len(missing)} inputs could be counted; the first: {first}")


def _warn_of_failures(failures: Mapping[str, CellmonaiError], missing: Mapping[str, str], reporter: Reporter) -> None:
    for name, error in failures.items():
        reporter.warn("failed", error.sentence.rstrip("."), name)
    for name, reason in missing.items():
        reporter.warn("failed", reason, name)


def _warn_without_cells(done: _Progress, point: InstanceSettings, reporter: Reporter) -> None:
    if any(row.count for row in done.counts):
        return
    removed = sum(sum(row.removed.values()) for row in done.counts)
    reporter.warn(
        "no_cells",
        f"no cells in any image ({100 * done.foreground_share:.1f} % of the pixels are "
        f"foreground, {removed} objects were removed by the filters). Three likely reasons: the model saw the wrong "
        "channel; the scale is off by more than a factor of two, so that cells fall under the smallest area "
        f"({point.min_area_px:g} px unless --min-area says otherwise); the contrast is inverted",
    )


def _outputs(counts: Sequence[ImageCount], folder: Path) -> tuple[str, ...]:
    names = [*TABLES, *(name for row in counts for name in row.outputs)]
    return tuple((folder / name).as_posix() for name in names)


def _write_tables(
    result: CountResult, done: _Progress, masks: Sequence[MaskInput], record: RunRecord, settings: CountSettings
) -> None:
    folder, overwrite = settings.output, settings.overwrite
    write_counts(folder / "counts.csv", result.images, overwrite=overwrite)
    write_cells(folder / "cells.csv", done.cells, overwrite=overwrite)
    write_json(folder / "counts.json", result.as_json(), overwrite=overwrite)
    record.parameters = dict(result.parameters)
    digests = {mask.name: sha256_of(mask.path) for mask in masks if mask.name not in done.failures}
    record.images = [
        {"image": row.image, "plane": row.plane, "status": "done", "count": row.count, "sha256": digests[row.image]}
        for row in result.images
    ] + [{"image": name, "plane": "", "status": "failed", "reason": why} for name, why in result.failures.items()]
    record.write(folder / "run.json", list(result.warnings))
