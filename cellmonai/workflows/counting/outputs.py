"""What a run writes at its end: tables, groups, audit, report and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.files import write_json
from cellmonai.report.counts import write_counts
from cellmonai.workflows.counting.audit import drawn_audit
from cellmonai.workflows.counting.failed_fields import with_failed_fields
from cellmonai.workflows.counting.failures import code_of
from cellmonai.workflows.counting.groups import summarised, write_group_files
from cellmonai.workflows.counting.result import CountResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.errors import CellmonaiError
    from cellmonai.core.progress import Reporter
    from cellmonai.core.record import RunRecord
    from cellmonai.workflows.auditing.draw import AuditDraw
    from cellmonai.workflows.counting.every_plane import Counted
    from cellmonai.workflows.counting.groups import PlateFile
    from cellmonai.workflows.counting.plan import CountPlan

_UNFINISHED = "a run of cellmonai infer never finished, and images may be missing"


def write_results(
    inputs: Sequence[Path],
    done: Counted,
    failures: Mapping[str, str],
    parameters: Mapping[str, Any],
    plan: CountPlan,
    record: RunRecord,
    reporter: Reporter,
) -> tuple[CountResult, CellmonaiError | None]:
    """Write everything about all images; give what programs read, and why no audit was drawn although it was asked for.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    settings = plan.settings
    counts = tuple(plane.count for plane in done.planes)
    counted = summarised(plan.groups, counts, reporter, level=settings.level)
    groups = with_failed_fields(counted, plan.groups, failures, reporter)
    plates = write_group_files(groups, plan.groups, settings) if plan.groups is not None else {}
    audit: AuditDraw | None = None
    not_drawn: CellmonaiError | None = None
    try:
        audit = drawn_audit(done.planes, plan, reporter)
    except (InputError, UsageError) as error:  # the count itself is done, and is not lost for it
        not_drawn = error
        reporter.warn("audit", f"no audit was drawn: {error.sentence}")
    result = CountResult(
        inputs=tuple(str(path) for path in inputs),
        output=plan.final,
        images=counts,
        failures=failures,
        parameters=parameters,
        outputs=_outputs(done, plan, plates, audit),
        warnings=tuple(reporter.warnings),
        seconds=record.seconds,
        groups=groups,
        audit=audit,
        failure_codes={name: code_of(done.failures.get(name)) for name in failures},
    )
    folder, overwrite = settings.output, settings.overwrite
    known = plan.groups.attributes if plan.groups else {}
    failed = {name: known.get(name, {}) for name in failures}
    write_counts(folder / "counts.csv", counts, failed=failed, overwrite=overwrite)
    if "parquet" in settings.save:
        _write_parquet(done, folder / "cells.parquet", overwrite=overwrite)
    record.parameters = dict(parameters)
    record.facts = {"inputs": list(result.inputs), "partial": result.is_partial, "total": result.total}
    record.images = _images_of_record(result, done)
    document = record.as_json(list(result.warnings))
    if settings.report:
        _write_report(result, done, plan, plates, document)
    write_json(folder / "counts.json", result.as_json(), overwrite=overwrite)
    write_json(folder / "run.json", document, overwrite=overwrite)
    return result, not_drawn


def _write_parquet(done: Counted, path: Path, *, overwrite: bool) -> None:
    """Write the cells of all planes as one table; columns that a plane lacks are empty there."""
    from cellmonai.report.exports.parquet import write_parquet

    amounts = [len(plane.areas_px) for plane in done.planes]
    columns: dict[str, Any] = {"image": [], "plane": []}
    for plane, n in zip(done.planes, amounts, strict=True):
        columns["image"] += [plane.count.image] * n
        columns["plane"] += list(plane.cells.get("plane", [plane.count.plane] * n))
    names = dict.fromkeys(name for plane in done.planes for name in plane.cells)
    for name in [name for name in names if name not in columns]:
        parts = [plane.cells.get(name) for plane in done.planes]
        whole = [part for part in parts if part is not None]
        if len(whole) == len(parts):
            columns[name] = np.concatenate(whole)
        else:
            filled = zip(parts, amounts, strict=True)
            columns[name] = [v for part, n in filled for v in ([None] * n if part is None else part.tolist())]
    write_parquet(path, columns, overwrite=overwrite)


def _outputs(
    done: Counted, plan: CountPlan, plates: Mapping[str, PlateFile], audit: AuditDraw | None
) -> tuple[str, ...]:
    names = [*plan.settings.tables, *(plate.name for plate in plates.values())]
    names += [name for plane in done.planes for name in plane.count.outputs]
    written = [(plan.final / name).as_posix() for name in names]
    return (*written, *(path.as_posix() for path in (audit.outputs if audit else ())))


def _images_of_record(result: CountResult, done: Counted) -> list[dict[str, Any]]:
    counted = [
        {
            "image": plane.count.image,
            "plane": plane.count.plane,
            "status": "done",
            "count": plane.count.count,
            "sha256": plane.inputs["mask"],
        }
        for plane in done.planes
    ]
    failed = [
        {"image": name, "plane": "", "status": "failed", "code": result.failure_codes[name], "reason": why}
        for name, why in result.failures.items()
    ]
    return counted + failed


def _write_report(
    result: CountResult,
    done: Counted,
    plan: CountPlan,
    plates: Mapping[str, PlateFile],
    document: Mapping[str, Any],
) -> None:
    from cellmonai.report.html.data import PlatePicture, ReportData, ReportImage
    from cellmonai.report.html.page import write_report

    settings = plan.settings
    images = [
        ReportImage(
            row=plane.count,
            areas_px=plane.areas_px,
            pixel_size_um=plane.job.pixel_size_um,
            thumbnail=plane.thumbnail,
            picture_file=next((name for name in plane.count.outputs if name.endswith("_overlay.png")), None),
        )
        for plane in done.planes
    ]
    data = ReportData(
        images=images,
        parameters=result.parameters,
        run_record=document,
        warnings=result.warnings,
        failures=result.failures,
        groups=[group.as_json() for group in result.groups],
        plates=[PlatePicture(title or "plate", plate.picture) for title, plate in plates.items()],
        audit=result.audit.as_json() if result.audit else None,
        partial_reason=_UNFINISHED if any(row.is_partial for row in result.images) else None,
        interval_level=settings.level,
    )
    write_report(settings.output / "report.html", data, overwrite=settings.overwrite)
