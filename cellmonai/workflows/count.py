"""Count: find the masks, split them into cells, filter, measure, and write tables, label images and a report."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import replace
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError, UsageError
from cellmonai.core.files import refuse_existing, remove_orphans, require_possible
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent
from cellmonai.core.record import RunRecord
from cellmonai.core.staging import Staging, is_half_placed, remove_if_idle, staging_folder
from cellmonai.images.find import is_folder, is_zarr_folder
from cellmonai.instances.mask_kind import decide_kind
from cellmonai.workflows.counting.audit import AUDIT_FOLDER, refuse_impossible_audit
from cellmonai.workflows.counting.calibration import calibrations_of, tell_intervals
from cellmonai.workflows.counting.empty import warn_without_cells
from cellmonai.workflows.counting.every_plane import count_all
from cellmonai.workflows.counting.failures import nothing_worked, warn_of_failures
from cellmonai.workflows.counting.files import output_names, planned_outputs
from cellmonai.workflows.counting.groups import groups_of
from cellmonai.workflows.counting.inputs import find_masks
from cellmonai.workflows.counting.kept import KeptPlanes, what_runs
from cellmonai.workflows.counting.landscape import landscape_of
from cellmonai.workflows.counting.leftovers import old_outputs
from cellmonai.workflows.counting.masks import MaskReader
from cellmonai.workflows.counting.oblong_pixels import warn_of_oblong_pixels
from cellmonai.workflows.counting.outputs import write_results
from cellmonai.workflows.counting.plan import CountPlan
from cellmonai.workflows.counting.result import CountResult
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.counting.survey import STOPPED, survey
from cellmonai.workflows.counting.suspicions import tell_filled_holes
from cellmonai.workflows.counting.volumes import with_volumes
from cellmonai.workflows.output_names import require_short_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cellmonai.instances.mask_kind import Kind
    from cellmonai.workflows.counting.inputs import MaskInput
    from cellmonai.workflows.counting.survey import Survey

__all__ = ["CountResult", "count"]


def count(
    inputs: Sequence[Path], *, settings: CountSettings | None = None, reporter: Reporter | None = None
) -> CountResult:
    """Count and measure the cells of masks, label images, or what `infer` left.

    Everything is written into a hidden folder first and gets its name at the end, so that older results stay whole
    until the new ones are. A run that was stopped goes on with the same command: what was counted is kept.

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
        Ctrl-C; no result has its name then, and the same command continues.
    """
    settings, reporter = settings or CountSettings(), reporter or Silent()
    record = RunRecord("count", {})
    require_possible(settings.output)
    _refuse_output_among(inputs, settings.output)
    found = find_masks(inputs, settings, reporter)
    _refuse_output_among([Path(realpath(mask.path)) for mask in found.masks], settings.output)  # links lead there too
    settings.refuse_unfit(found.masks)
    groups = groups_of([mask.name for mask in found.masks], settings, reporter)
    point = settings.common_point(found.masks)
    with (
        stop_wish() as wish,
        closing(MaskReader(settings.memory, lambda: wish.check(STOPPED), settings.choice)) as reader,
    ):
        seen = survey(found.masks, reader, reporter, wish, pixel_size_um=settings.pixel_size_um, threads=settings.cores)
        _leave_out_long_names(seen, settings)
        kind = _decide_kind(found.masks, seen, settings, reporter)
        plan = CountPlan(
            planes=[(job, settings.for_mask(job.mask, job.pixel_size_um)) for job in seen.jobs],
            kind=kind,
            settings=settings,
            reader=reader,
            wish=wish,
            calibrations=calibrations_of(found.masks, settings.level, reporter),
            groups=groups,
            final=settings.output,
            landscape=landscape_of([job.mask for job in seen.jobs], settings, point, kind, reporter),
        )
        if not plan.planes:
            raise nothing_worked(seen.failures, found.failed, reporter)
        plan = with_volumes(plan, reporter)
        with _staged(plan, reporter) as (plan, kept, staging):
            done = count_all(plan, kept, seen.failures, found.failed, reporter)
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
            if any(job.plane for job in seen.jobs):
                parameters["stacks"] = "label volumes, each id once" if plan.volumes else "plane by plane"
            failures = found.failed | {name: error.what for name, error in done.failures.items()}
            result, not_drawn = write_results(inputs, done, failures, parameters, plan, record, reporter)
            kept.close()
            names = [Path(name).relative_to(settings.output).as_posix() for name in result.outputs]
            records = [name for name in ("counts.json", "run.json") if name in names]
            old = old_outputs(settings.output, tables=settings.tables, keep=_read_by(found.masks, settings))
            staging.place([*(name for name in names if name not in records), *records], stale=old)
            if not_drawn is not None:
                reporter.note(f"the count itself is done and written to {settings.output}")
                raise not_drawn
            return result


@contextmanager
def _staged(plan: CountPlan, reporter: Reporter) -> Iterator[tuple[CountPlan, KeptPlanes, Staging]]:
    """Give the plan with its results in the staging folder, what a killed run counted, and the folder.

    What cannot be continued goes at the end, so that nothing but results is left behind.
    """
    settings = plan.settings
    names = planned_outputs(plan)
    if not (os.path.lexists(staging_folder(settings.output)) or is_half_placed(settings.output)):
        _refuse_outputs(plan, names)  # before the folder is made
    with folder_lock(settings.output) as is_held:
        if is_held:
            remove_orphans(settings.output, AUDIT_FOLDER)
        staging = Staging(settings.output, what_runs(plan))
        is_placed = staging.open() is not None
        if not is_placed:
            try:
                _refuse_outputs(plan, names)
            except CellmonaiError:
                remove_if_idle(settings.output)
                raise
        plan = replace(
            plan,
            settings=replace(settings, output=staging.folder, overwrite=True),
            overwrite=settings.overwrite,
            is_placed=is_placed,
        )
        kept = KeptPlanes.open(plan, overwrite=settings.overwrite)
        if kept.amount:
            planes = f"{kept.amount:,} plane{'s were' if kept.amount != 1 else ' was'}"
            reporter.note(f"{planes} counted by a run that was stopped, and will not be counted again")
        try:
            yield plan, kept, staging
        finally:
            kept.close()
            if not (is_placed or kept.is_worth_keeping):
                staging.discard()


def _decide_kind(masks: Sequence[MaskInput], seen: Survey, settings: CountSettings, reporter: Reporter) -> Kind:
    """Read all inputs in one way: values decide, unless the user or the record of `infer` did."""
    from_infer = any(mask.operating_point is not None for mask in masks)
    kind, decided_by = decide_kind(((job.mask.name, job.look) for job in seen.jobs), settings.kind)
    if settings.kind != "auto":
        pass
    elif from_infer and kind == "labels":
        raise InputError(
            "is a label image by its values and lies among binary masks of cellmonai infer",
            where=decided_by,
            cure="count label images by themselves, or say which they are with --kind",
        )
    elif settings.threshold is not None or from_infer or not seen.jobs:
        kind = "binary"
    elif kind == "labels":
        reporter.note(f"label images, since {decided_by} is one by its values (else: --kind binary)")
    elif settings.choice.is_given:
        reporter.note("binary masks of the values that were named")
    else:
        reporter.note("binary masks, since no file holds labels (else: --kind labels)")
    if kind == "labels":
        settings.refuse_for_labels()
    return kind


def _read_by(masks: Sequence[MaskInput], settings: CountSettings) -> list[Path]:
    images = [mask.image for mask in masks if mask.image is not None]
    return [*(mask.path for mask in masks), *images, *([settings.sheet] if settings.sheet else [])]


def _refuse_output_among(inputs: Sequence[Path], output: Path) -> None:
    folders = {realpath(path if is_folder(path) and not is_zarr_folder(path) else path.parent) for path in inputs}
    if realpath(output) in folders:
        raise UsageError(
            "the output folder is an input too, and results would mix with masks",
            where=str(output),
            cure="choose another --output",
        )


def _leave_out_long_names(seen: Survey, settings: CountSettings) -> None:
    """Take masks for failed whose results would have longer names than the file system takes."""
    for job in seen.jobs:
        try:
            require_short_names(output_names(job, settings), settings.output, of=job.mask.path)
        except InputError as error:
            seen.failures[job.mask.name] = error
    seen.jobs = [job for job in seen.jobs if job.mask.name not in seen.failures]


def _refuse_outputs(plan: CountPlan, names: Sequence[str]) -> None:
    """Refuse before any work what would be replaced at its end."""
    settings = plan.settings
    refuse_existing((settings.output / name for name in (*settings.tables, *names)), overwrite=settings.overwrite)
    if settings.audit is not None:
        from cellmonai.workflows.auditing.draw import refuse_audit_in_the_way

        if plan.volumes:
            raise UsageError(
                "an audit is counted by hand in planes, and cells of volumes are counted over all planes",
                where="--audit",
                cure="add --per-plane",
            )
        refuse_impossible_audit([job.shape for job, _ in plan.planes], settings)
        refuse_audit_in_the_way(settings.output / AUDIT_FOLDER, overwrite=settings.overwrite)
