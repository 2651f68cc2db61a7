"""Count: find the masks, split them into cells, filter, measure, and write tables, label images and a report."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.files import refuse_existing, remove_orphans
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent
from cellmonai.core.record import RunRecord
from cellmonai.workflows.counting.audit import AUDIT_FOLDER, refuse_impossible_audit
from cellmonai.workflows.counting.calibration import calibrations_of, tell_intervals
from cellmonai.workflows.counting.empty import warn_without_cells
from cellmonai.workflows.counting.every_plane import count_all
from cellmonai.workflows.counting.failures import nothing_worked, warn_of_failures
from cellmonai.workflows.counting.files import output_names
from cellmonai.workflows.counting.groups import groups_of
from cellmonai.workflows.counting.inputs import find_masks
from cellmonai.workflows.counting.landscape import landscape_of
from cellmonai.workflows.counting.leftovers import remove_old_outputs
from cellmonai.workflows.counting.masks import MaskReader
from cellmonai.workflows.counting.oblong_pixels import warn_of_oblong_pixels
from cellmonai.workflows.counting.outputs import write_results
from cellmonai.workflows.counting.plan import CountPlan
from cellmonai.workflows.counting.result import CountResult
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.counting.survey import STOPPED, survey
from cellmonai.workflows.counting.suspicions import tell_filled_holes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.workflows.counting.inputs import MaskInput
    from cellmonai.workflows.counting.survey import Kind, Survey

__all__ = ["CountResult", "count"]


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
        Nothing to count, every input failed, or a run of `infer` never finished.
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
    found = find_masks(inputs, images=settings.images, allow_partial=settings.allow_partial, reporter=reporter)
    settings.refuse_unfit(found.masks)
    groups = groups_of([mask.name for mask in found.masks], settings, reporter)
    point = settings.common_point(found.masks)
    with stop_wish() as wish, closing(MaskReader(settings.memory, lambda: wish.check(STOPPED))) as reader:
        seen = survey(found.masks, reader, reporter, wish, pixel_size_um=settings.pixel_size_um, threads=settings.cores)
        kind = _decide_kind(found.masks, seen, settings, reporter)
        plan = CountPlan(
            planes=[(job, settings.for_mask(job.mask, job.pixel_size_um)) for job in seen.jobs],
            kind=kind,
            settings=settings,
            reader=reader,
            wish=wish,
            calibrations=calibrations_of(found.masks, settings.level, reporter),
            groups=groups,
            landscape=landscape_of([job.mask for job in seen.jobs], settings, point, kind, reporter),
        )
        if not plan.planes:
            raise nothing_worked(seen.failures, found.failed, reporter)
        _refuse_outputs(plan)
        with folder_lock(settings.output) as is_held:
            if is_held:
                remove_orphans(settings.output, AUDIT_FOLDER)
            if settings.overwrite:  # old tables must not describe a folder that is being rewritten
                remove_old_outputs(settings.output, tables=settings.tables, keep=_read_by(found.masks, settings))
            done = count_all(plan, seen.failures, found.failed, reporter)
            warn_of_failures(done.failures, found.failed, reporter)
            warn_without_cells(done, plan, reporter)
            tell_filled_holes([plane.count.holes_filled for plane in done.planes], reporter)
            warn_of_oblong_pixels([plane.job for plane in done.planes], reporter)
            tell_intervals([plane.interval for plane in done.planes], reporter)
            parameters = settings.as_json(
                kind=kind,
                point=point,
                from_model=any(mask.made_by for mask in found.masks),
                split_along=plan.split_along,
            )
            failures = found.failed | {name: error.what for name, error in done.failures.items()}
            return write_results(inputs, done, failures, parameters, plan, record, reporter)


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


def _read_by(masks: Sequence[MaskInput], settings: CountSettings) -> list[Path]:
    images = [mask.image for mask in masks if mask.image is not None]
    return [*(mask.path for mask in masks), *images, *([settings.sheet] if settings.sheet else [])]


def _refuse_output_among(inputs: Sequence[Path], output: Path) -> None:
    folders = {(path if path.is_dir() else path.parent).resolve() for path in inputs}
    if output.resolve() in folders:
        raise UsageError(
            "the output folder is an input too, and results would mix with masks",
            where=str(output),
            cure="choose another --output",
        )


def _refuse_outputs(plan: CountPlan) -> None:
    """Refuse before any work what would be replaced at its end."""
    settings = plan.settings
    names = [name for job, _ in plan.planes for name in output_names(job, settings)]
    refuse_existing((settings.output / name for name in (*settings.tables, *names)), overwrite=settings.overwrite)
    if settings.audit is not None:
        from cellmonai.workflows.auditing.draw import refuse_audit_in_the_way

        refuse_impossible_audit([job.shape for job, _ in plan.planes], settings)
        refuse_audit_in_the_way(settings.output / AUDIT_FOLDER, overwrite=settings.overwrite)
