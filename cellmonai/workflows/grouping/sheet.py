"""A sample sheet: a table that says what each image, or each well, was."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.core.text import nearest
from cellmonai.images.find import IMAGE_SUFFIXES, image_stem
from cellmonai.images.guard import kind_of_content, reading, require_regular_file
from cellmonai.measure.replicates.wells import parse_well
from cellmonai.report.csv import disarmed
from cellmonai.workflows.grouping.names import with_well

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_SHEET_BYTES = 64 * 2**20
MOST_COLUMNS = 1_000
MOST_CELLS = 20_000_000
_IMAGE_COLUMNS = ("image", "file", "name", "filename", "file_name", "image_name", "stem")
_BETWEEN = "\0"
_WORKBOOKS = {".xls", ".xlsx", ".xlsm", ".ods", ".numbers"}


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """A sheet as read: column names in lower case, and rows of texts with the line they stand in."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    def refused(self, what: str, cure: str) -> InputError:
        """Make the error about this sheet."""
        return InputError(what, where=str(self.path), cure=cure)


def read_sheet(path: Path) -> SampleSheet:
    """Read a CSV table, with commas, semicolons or tabs, in UTF-8 or UTF-16; wells become `A01`.

    Raises
    ------
    InputError
        The file is missing, no table, has a column twice or without a name, a row that is too long, or a well that is
        none.
    """
    sheet = SampleSheet(path, (), ())
    size = require_regular_file(path)
    if path.suffix.lower() in _WORKBOOKS or kind_of_content(path) not in {"text", "unknown"}:
        raise sheet.refused("this is no text table", "save the sheet as CSV UTF-8")
    if size > MAX_SHEET_BYTES:
        raise sheet.refused("the sheet is larger than 64 MiB", "keep only the rows and columns needed")
    with reading(path, "the sheet"):
        text = _text(path.read_bytes(), sheet)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    numbered = [(number, [cell.strip() for cell in line]) for number, line in enumerate(lines, 1)]
    numbered = [(number, line) for number, line in numbered if any(line)]
    if not numbered:
        raise sheet.refused("the sheet is empty", "write a row with the names of the columns")
    if len(numbered[0][1]) > MOST_COLUMNS or len(numbered) * len(numbered[0][1]) > MOST_CELLS:
        raise sheet.refused("the sheet has too many columns or rows", "keep only the rows and columns needed")
    columns = _columns(sheet, numbered[0][1])
    rows = tuple((number, _row(sheet, columns, line, number)) for number, line in numbered[1:])
    return SampleSheet(path, tuple(rows[0][1]) if rows else columns, rows)


def _text(content: bytes, sheet: SampleSheet) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise sheet.refused("the sheet is not in UTF-8", "save it as CSV UTF-8") from error


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _columns(sheet: SampleSheet, header: list[str]) -> tuple[str, ...]:
    columns = ["_".join(cell.lower().split()) for cell in header]
    while columns and not columns[-1]:
        columns.pop()  # spreadsheets leave separators at the end of lines
    for position, column in enumerate(columns):
        if not column:
            raise sheet.refused(f"column {position + 1} has no name", "name every column in the first row")
        if column in columns[:position]:
            raise sheet.refused(f"two columns are called {column!r}", "keep one of them")
    return tuple(columns)


def _row(sheet: SampleSheet, columns: tuple[str, ...], line: list[str], number: int) -> dict[str, str]:
    if any(line[len(columns) :]):
        what = f"line {number} has more cells than the first row has columns"
        raise sheet.refused(what, "quote texts that hold the separator, or name the column")
    cells = [*line, *[""] * len(columns)]
    row = dict(zip(columns, cells, strict=False))
    if row.get("well") and parse_well(row["well"]) is None:
        raise sheet.refused(f"line {number} has the well {row['well']!r}", "write wells as A01")
    return with_well(row)


def join_sheet(
    sheet: SampleSheet, names: Sequence[str], known: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, dict[str, str]], int]:
    """Give every image the columns of its row.

    Parameters
    ----------
    sheet : the rows, each about one image (column `image`, `file` or `name`), or about all images with the same values
        in the columns that `known` has too; `01` and `1` are the same there, since spreadsheets drop zeros
    names : images, by stem or relative path
    known : image -> what its name told

    Returns
    -------
    Image -> its row's columns and what its name told; and how many rows are about no image here

    Raises
    ------
    InputError
        Images without a row, two rows for one image, no column to join by, or a row that contradicts a name.
    """
    fields = tuple(dict.fromkeys(field for attributes in known.values() for field in attributes))
    shared = tuple(column for column in sheet.columns if column in fields)
    by_image = next((column for column in _IMAGE_COLUMNS if column in sheet.columns and column not in fields), None)
    if by_image is None and not shared:
        what = f"no column says which image a row is about; its columns are {', '.join(sheet.columns)}"
        raise sheet.refused(what, _way_to_join(sheet.columns, fields))
    rows = _by_image(sheet, by_image) if by_image else _by_columns(sheet, shared)
    keys = {name: _image_keys(name) if by_image else [_values(known[name], shared)] for name in names}
    if by_image and not all(any(key in rows for key in tried) for tried in keys.values()):
        # names may have been copied from our own tables, which disarm formulas
        keys = {name: [*map(disarmed, tried), *tried] for name, tried in keys.items()}
    found = _found(sheet, keys, rows, by_image or " and ".join(shared))
    if by_image:
        _require_one_each(sheet, found, rows)
    joined = {}
    for name, key in found.items():
        (number, row), told = rows[key], known.get(name, {})
        _require_agreement(sheet, name, told, row, number)
        joined[name] = dict(told) | {c: v for c, v in row.items() if c != by_image and c not in told}
    return joined, len(sheet.rows) - len({rows[key][0] for key in found.values()})


def _way_to_join(columns: Sequence[str], fields: Sequence[str]) -> str:
    near = next(((column, match) for column in columns if (match := nearest(column, fields))), None)
    hint = f"rename {near[0]!r} to {near[1]!r}, or " if near else ""
    return f"{hint}add a column image, or one of the fields of --name-pattern, such as well"


_Rows = dict[str, tuple[int, dict[str, str]]]


def _by_image(sheet: SampleSheet, column: str) -> _Rows:
    rows: _Rows = {}
    short: dict[str, list[str]] = {}
    for number, row in sheet.rows:
        key = _bare(row[column])
        if not key:
            raise sheet.refused(f"line {number} names no image", f"fill its column {column}, or delete the line")
        _add(sheet, rows, key, (number, row), f"the image {row[column]!r}")
        short.setdefault(key.rsplit("/", 1)[-1], []).append(key)
    # a sheet may write folders where images are known by stem alone
    return {name: rows[keys[0]] for name, keys in short.items() if len(keys) == 1} | rows


def _by_columns(sheet: SampleSheet, columns: tuple[str, ...]) -> _Rows:
    rows: _Rows = {}
    for number, row in sheet.rows:
        shown = ", ".join(f"{column} {row[column]!r}" for column in columns)
        _add(sheet, rows, _values(row, columns), (number, row), shown)
    return rows


def _add(sheet: SampleSheet, rows: _Rows, key: str, row: tuple[int, dict[str, str]], shown: str) -> None:
    if key in rows:
        what = f"lines {rows[key][0]} and {row[0]} are both about {shown}"
        raise sheet.refused(what, "keep one of them, or add the column that tells them apart")
    rows[key] = row


def _values(attributes: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return _BETWEEN.join(_plain(attributes[column]) for column in columns)


def _plain(value: str) -> str:
    return value.lstrip("0") or "0" if value.isascii() and value.isdigit() else value


def _image_keys(name: str) -> list[str]:
    bare = _bare(name)
    return [bare, bare.rsplit("/", 1)[-1]]


def _bare(name: str) -> str:
    """Give a name or relative path with `/`, without the suffix of an image."""
    path = name.replace("\\", "/").removeprefix("./")
    folder, slash, file = path.rpartition("/")
    return folder + slash + (image_stem(Path(file)) if file.lower().endswith(IMAGE_SUFFIXES) else file)


def _found(sheet: SampleSheet, keys: Mapping[str, Sequence[str]], rows: _Rows, column: str) -> dict[str, str]:
    """Give the key of each image's row, or refuse the sheet that lacks one."""
    found = {name: next((key for key in tried if key in rows), None) for name, tried in keys.items()}
    missing = [name for name, key in found.items() if key is None]
    if missing:
        wanted = keys[missing[0]][-1].replace(_BETWEEN, ", ")
        match = nearest(wanted, [key.replace(_BETWEEN, ", ") for key in list(rows)[:10_000]])
        hint = f" ({column} {wanted!r}" + (f", the nearest there is {match!r})" if match else ")")
        what = f"{len(missing):,} of {len(found):,} images have no row, the first is {missing[0]!r}{hint}"
        raise sheet.refused(what, f"add rows, or correct the column {column}")
    return {name: key for name, key in found.items() if key is not None}


def _require_one_each(sheet: SampleSheet, found: Mapping[str, str], rows: _Rows) -> None:
    users: dict[int, str] = {}
    for name, key in found.items():
        number = rows[key][0]
        if number in users:
            what = f"line {number} could be about {users[number]!r} and about {name!r}"
            raise sheet.refused(what, "write images with their folders, and one row for each")
        users[number] = name


def _require_agreement(
    sheet: SampleSheet, name: str, known: Mapping[str, str], row: Mapping[str, str], number: int
) -> None:
    for column, value in known.items():
        if column in row and _plain(row[column]) != _plain(value):
            what = f"line {number} gives image {name!r} the {column} {row[column]!r}, its name says {value!r}"
            raise sheet.refused(what, "correct the sheet or the pattern")
