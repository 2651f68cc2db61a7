"""Tables as CSV that no spreadsheet misreads: safe cells, a point as the decimal mark, fixed decimals, LF."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.files import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_ROWS_AT_A_TIME = 16_384
_FORMULA = re.compile(r"""(^|[;\t\r\n])(?='*"*[=+\-@＝＋－＠]|(?<![;\t\r\n])'*[\t\r])""")  # noqa: RUF001 - what Excel runs too
_DEFAULT_DECIMALS = 3


def write_csv(
    path: Path,
    columns: Mapping[str, Sequence[Any] | NDArray[Any]],
    *,
    decimals: Mapping[str, int] | None = None,
    overwrite: bool = False,
) -> None:
    """Write columns of equal length as CSV (UTF-8, LF, RFC 4180 quoting), atomically.

    Parameters
    ----------
    path : the file
    columns : name -> values: numbers, bools, texts; None and NaN become empty cells
    decimals : name -> digits after the point, for floats; 3 where a column is not named
    overwrite : replace a file that exists

    Raises
    ------
    ValueError
        The columns differ in length.
    OutputError
        The file exists or cannot be written.

    Notes
    -----
    Fixed decimals make files equal byte for byte across platforms. A text that a spreadsheet would run as a formula
    (`= + - @`, also full-width, tab or carriage return in front, or after a `;`, tab or line end) gets a leading `'`;
    numbers stay numbers.
    """
    with atomic_file(path, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
        stream.write(csv_head(columns))
        for part in csv_rows(columns, decimals=decimals):
            stream.write(part)


def csv_head(names: Iterable[str]) -> bytes:
    """Give the first line of a table."""
    return _encoded(",".join(safe_cell(name) for name in names) + "\n")


def csv_rows(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]], *, decimals: Mapping[str, int] | None = None
) -> Iterator[bytes]:
    """Give the lines of a table as `write_csv` writes them, some thousands at a time.

    Raises
    ------
    ValueError
        The columns differ in length.
    """
    digits = decimals or {}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns have {sorted(lengths)} rows, expected equal lengths")
    for start in range(0, lengths.pop() if lengths else 0, _ROWS_AT_A_TIME):
        parts = [values[start : start + _ROWS_AT_A_TIME] for values in columns.values()]
        cells = [
            _formatted(part, digits.get(name, _DEFAULT_DECIMALS)) for name, part in zip(columns, parts, strict=True)
        ]
        yield _encoded("".join(_lines(cells)))


def safe_cell(text: str) -> str:
    """Give a text as one CSV cell: formulas disarmed by a `'`, quoted where it holds separators, quotes, line ends.

    Where the list separator is `;` or a tab, a spreadsheet may cut the cell there: the parts are disarmed too.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell('a "b", c')
    ("'=1+1", '"a ""b"", c"')
    """
    text = disarmed(text)
    if any(sign in text for sign in ',;"\t\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


def disarmed(text: str) -> str:
    """Give a text with a `'` before every formula in it; one more where there is a `'` already, so that texts differ.

    Examples
    --------
    >>> disarmed("=a"), disarmed("'=a"), disarmed("'a")
    ("'=a", "''=a", "'a")
    """
    return _FORMULA.sub(r"\1'", text)


def _formatted(values: Sequence[Any] | NDArray[Any], digits: int) -> tuple[str, list[Any]]:
    """Give a %-format and the values for it, which together are far quicker than a call for each cell."""
    column = values if isinstance(values, np.ndarray) else np.array(values, dtype=_dtype_of(values))
    if column.dtype.kind in "iu":
        return "%d", column.tolist()
    if column.dtype.kind == "f":
        column = np.where(np.abs(column) < 0.5 * 10.0**-digits, 0.0, column)  # no -0.000
        if np.isfinite(column).all():
            return f"%.{digits}f", column.tolist()
        return "%s", [f"{value:.{digits}f}" if np.isfinite(value) else "" for value in column.tolist()]
    if column.dtype.kind == "b":
        return "%s", np.where(column, "true", "false").tolist()
    written: dict[object, str] = {}  # names of images repeat for every cell
    for value in (values := column.tolist()):
        if type(value) is str and value not in written:
            written[value] = safe_cell(value)
    return "%s", [written[value] if type(value) is str else _text(value, digits) for value in values]


def _dtype_of(values: Sequence[Any]) -> type:
    kinds = {type(value) for value in values}
    return kinds.pop() if len(kinds) == 1 and kinds <= {int, float} else object


def _text(value: object, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}f}" if np.isfinite(value) else ""
    return safe_cell(str(value)) if not isinstance(value, int | np.integer) else str(value)


def _lines(cells: list[tuple[str, list[Any]]]) -> Iterator[str]:
    line = ",".join(form for form, _ in cells) + "\n"
    for row in zip(*(values for _, values in cells), strict=True):
        yield line % row


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
