"""Read a filled audit: sheet and record give the total, its interval, and how much more counting would help."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.measure.audits.estimates import (
    StratumSample,
    estimated_error,
    guaranteed_interval,
    most_wrong_units,
    normal_interval,
)
from cellmonai.measure.audits.size import betting_sample_size, normal_sample_size
from cellmonai.workflows.auditing.record import AuditRecord, read_record
from cellmonai.workflows.auditing.result import LEVEL, AuditedUnit, AuditResult, SampleSize
from cellmonai.workflows.auditing.sheet import AuditSheet, read_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_USUAL_WISHES_PERCENT = (20.0, 10.0, 5.0, 2.0, 1.0)
_SHOWN_WISHES = 3
_SHOWN_UNITS = 8
_ROUNDING = 1e-6  # cells; ends of intervals are sums of numbers of that many digits


def read_audit(path: Path, *, half_width: str | None = None, level: float = LEVEL) -> AuditResult:
    """Read a filled sheet and the record beside it, and work out the total.

    Parameters
    ----------
    path : audit.csv, or the folder it lies in, or the output folder of `count` above that
    half_width : a wish, in cells as "200" or "+-200", or in percent of the total as "5%"; the answer tells how many
        units it takes
    level : of the intervals, in (0, 1)

    Raises
    ------
    ValueError
        The level is out of range.
    InputError
        The sheet or the record cannot be read, they do not belong together, the record was changed, nothing was filled
        in, or a count is missing between others.
    UsageError
        The wish is no positive number.
    """
    sheet = read_sheet(_sheet_at(path))
    record = read_record(sheet.path.with_name("audit.json"))
    return result_of(sheet.path, record, _counts(sheet, record), half_width=half_width, level=level)


def result_of(
    sheet: Path,
    record: AuditRecord,
    counts: Mapping[int, int],
    *,
    half_width: str | None = None,
    level: float = LEVEL,
) -> AuditResult:
    """Work out what the counts of the first units of a draw say about all of them.

    Parameters
    ----------
    sheet : where the counts come from, for messages
    record : what was drawn
    counts : number of the unit, 1 to n without gaps in the order of the draw -> true count
    half_width, level : as in `read_audit`

    Raises
    ------
    InputError
        A stratum has no count yet.
    UsageError
        The wish is no positive number.
    """
    counted = tuple(_audited(record, number, counts[number]) for number in sorted(counts))
    strata = _samples(record, counted)
    error = estimated_error(strata)
    if error is None:
        raise InputError(
            "too few counts: not every stratum has one yet", where=str(sheet), cure="count some units more"
        )
    ai_total = int(record.frame.counts.sum())
    ends, normal = guaranteed_interval(strata, level=level), normal_interval(strata, level=level)
    seen = sum(unit.true_count for unit in counted)
    return AuditResult(
        sheet=sheet,
        record=record,
        counted=counted,
        total=ai_total + error,
        interval=None if ends is None else _whole(ai_total + ends[0], ai_total + ends[1], least=seen),
        normal=None if normal is None else (ai_total + normal[0], ai_total + normal[1]),
        most_wrong=most_wrong_units(strata, level=level),
        sizes=_sizes(strata, _wishes(half_width, ai_total + error, ends), level),
        level=level,
    )


def _sheet_at(path: Path) -> Path:
    if not path.is_dir():
        return path
    below = path / "audit" / "audit.csv"
    return below if below.is_file() else path / "audit.csv"


def _counts(sheet: AuditSheet, record: AuditRecord) -> dict[int, int]:
    """Give the counts by unit; the sheet must belong to the record and be filled from the first unit on."""
    where, drawn = str(sheet.path), len(record.drawn)
    for row in sheet.rows:
        if row.mark != record.mark:
            raise InputError(
                f"row {row.line} belongs to another audit than the audit.json beside it",
                where=where,
                cure="keep the sheet in the folder in which it was drawn, and its column audit as it was",
            )
        if not 1 <= row.unit <= drawn:
            raise InputError(
                f"row {row.line} is for unit {row.unit}, and {drawn} were drawn",
                where=where,
                cure="keep the column unit as it was drawn",
            )
    counts = {row.unit: row.count for row in sheet.rows if row.count is not None}
    if not counts:
        raise InputError("no count is filled in yet", where=where, cure="fill the column true_count, from unit 1 on")
    gaps = [str(unit) for unit in range(1, max(counts)) if unit not in counts]
    if gaps:
        more = f" and {len(gaps) - _SHOWN_UNITS} more" if len(gaps) > _SHOWN_UNITS else ""
        raise InputError(
            f"counts are missing for unit {', '.join(gaps[:_SHOWN_UNITS])}{more}, and later ones are there",
            where=where,
            cure="count them too: only the first units in the order of the draw are a fair sample",
        )
    return counts


def _audited(record: AuditRecord, number: int, true_count: int) -> AuditedUnit:
    unit, frame = record.drawn[number - 1], record.frame
    at, *box = (int(value) for value in frame.boxes[unit])
    image, plane, _, _ = frame.fields[at]
    corners = (box[0], box[1], box[2], box[3])
    return AuditedUnit(number, image, plane, corners, int(frame.counts[unit]), true_count, int(frame.strata[unit]))


def _samples(record: AuditRecord, counted: Sequence[AuditedUnit]) -> list[StratumSample]:
    return [
        StratumSample(units, size, bound, np.array([u.error for u in counted if u.stratum == h], np.float64))
        for h, (units, size, bound) in enumerate(
            zip(record.frame.stratum_units, record.sizes, record.bounds, strict=True)
        )
    ]


def _whole(low: float, high: float, *, least: int) -> tuple[int, int]:
    """Round inwards, which loses nothing as cells are whole; and no fewer can be there than were seen."""
    first = max(math.ceil(low - _ROUNDING), least)
    return first, max(math.floor(high + _ROUNDING), first)


def _wishes(text: str | None, total: float, ends: tuple[float, float] | None) -> list[float]:
    """Give the half-widths to plan for: the user's, or round shares of the total that are narrower than what is."""
    if text is not None:
        return [_wish(text, total)]
    now = math.inf if ends is None else (ends[1] - ends[0]) / 2.0
    wishes = [percent / 100.0 * total for percent in _USUAL_WISHES_PERCENT]
    return [wish for wish in wishes if 0.0 < wish < now][:_SHOWN_WISHES]


def _wish(text: str, total: float) -> float:
    number = text.strip().removeprefix("±").removeprefix("+-").removesuffix("%").strip()
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    value = value / 100.0 * total if text.strip().endswith("%") else value
    if not 0.0 < value < math.inf:
        raise UsageError(
            f"the wished half-width is {text!r}, expected a number of cells or percent above 0", cure="write 200 or 5%"
        )
    return value


def _sizes(strata: Sequence[StratumSample], wishes: Sequence[float], level: float) -> tuple[SampleSize, ...]:
    units = sum(stratum.units for stratum in strata)
    fits = all(stratum.within_bound for stratum in strata)
    varied = math.sqrt(sum(s.units * float(s.errors.var(ddof=1)) if s.errors.size > 1 else 0.0 for s in strata) / units)
    return tuple(
        SampleSize(
            half_width=wish,
            betting=betting_sample_size(strata, half_width=wish, level=level) if fits else None,
            normal=normal_sample_size(varied, units=units, half_width=wish, level=level) if varied else None,
        )
        for wish in wishes
    )
