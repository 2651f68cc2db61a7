"""Read the sheet that a person filled in a spreadsheet, whatever the spreadsheet made of it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.core.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 16 << 20
_WHOLE_NUMBER = re.compile(
    r"([0-9]{1,7})(?:[.,]0{0,2})?"
)  # 1,000 is a thousand to some, so three zeros are no decimals
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row: its line in the file, the unit from 1 on, the count or None where the cell is empty, and the mark."""

    line: int
    unit: int
    count: int | None
    mark: str


@dataclass(frozen=True, slots=True)
class AuditSheet:
    """A filled sheet, rows in the order of their units."""

    path: Path
    rows: tuple[SheetRow, ...]


def read_sheet(path: Path) -> AuditSheet:
    """Read audit.csv: commas, semicolons or tabs, with or without byte order mark, rows in any order.

    Raises
    ------
    InputError
        The file cannot be read, is a workbook, lacks a column, or a cell holds no whole number; the row is named.
    """
    text = _decoded(path)
    header, *_ = text.splitlines() or [""]
    delimiter = max(",;\t", key=header.count)
    try:
        lines = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"it is no table ({error})", where=str(path), cure="save it as CSV again") from error
    names = [name.strip().lower() for name in lines[0]] if lines else []
    missing = [name for name in ("unit", "true_count", "audit") if names.count(name) != 1]
    if missing:
        raise InputError(
            f"there is no column {missing[0]}, or more than one",
            where=str(path),
            cure="fill the audit.csv that was drawn and keep its columns",
        )
    rows = [_row(path, number, dict(zip(names, cells, strict=False))) for number, cells in _filled(lines)]
    by_unit: dict[int, SheetRow] = {}
    for row in rows:
        if row.unit in by_unit:
            raise InputError(
                f"rows {by_unit[row.unit].line} and {row.line} are both for unit {row.unit}",
                where=str(path),
                cure="keep one of them",
            )
        by_unit[row.unit] = row
    return AuditSheet(path, tuple(by_unit[unit] for unit in sorted(by_unit)))


def _filled(lines: list[list[str]]) -> list[tuple[int, list[str]]]:
    """Give the rows that are not empty, numbered as a spreadsheet does."""
    return [(number, cells) for number, cells in enumerate(lines[1:], start=2) if any(cell.strip() for cell in cells)]


def _row(path: Path, line: int, cells: dict[str, str]) -> SheetRow:
    unit = _whole_number(cells.get("unit", ""))
    if unit is None:
        raise InputError(
            f"row {line} does not say which unit it is for",
            where=str(path),
            cure="keep the column unit as it was drawn",
        )
    typed = cells.get("true_count", "")
    count = _whole_number(typed)
    if count is None and typed.strip():
        shown = printable(typed.strip()[:_SHOWN])
        raise InputError(
            f"row {line}, unit {unit}: the count is {shown!r}, expected a whole number, 0 or more",
            where=str(path),
            cure="write the number of cells in digits alone, as 1000, and remarks into the column note",
        )
    return SheetRow(line, unit, count, cells.get("audit", "").strip())


def _whole_number(cell: str) -> int | None:
    """Read 12, 12.0 or 12,00; nothing else is surely the number that was meant."""
    match = _WHOLE_NUMBER.fullmatch(cell.strip())
    return int(match[1]) if match else None


def _decoded(path: Path) -> str:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if path.is_file() and size <= _MOST_BYTES else None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"it cannot be read ({reason})", where=str(path), cure="check the path") from error
    if content is None:
        raise InputError("it is no file of at most 16 MiB", where=str(path), cure="name the audit.csv that was filled")
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError("it is a workbook, not CSV", where=str(path), cure="save the sheet as CSV")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # what Excel calls Unicode text
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # notes in the letters of an older system; numbers are the same in all of them
        return content.decode("latin-1")
