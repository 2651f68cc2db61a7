"""Wells of a multiwell plate: the many spellings of a position, and the plate formats."""

from __future__ import annotations

import re

PLATE_FORMATS = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
"""Rows and columns of plates with 6, 12, 24, 48, 96, 384 and 1536 wells (ANSI SLAS 4-2004 for the last three)."""

_LETTERS = re.compile(r"([A-Za-z]{1,2})[-_ ]?([0-9]{1,3})")
_NUMBERS = re.compile(r"[Rr](?:ow)?([0-9]{1,3})[-_ ]?[Cc](?:ol)?([0-9]{1,3})")
_MOST_ROWS, _MOST_COLUMNS = PLATE_FORMATS[-1]


def parse_well(text: str) -> tuple[int, int] | None:
    """Give the row and column of a well, both from 0, or None where `text` names no well.

    Letters and a number (`A1`, `a01`, `A-01`, `AF48`), or both as numbers from 1 (`r01c12`, `R1C12`).

    Examples
    --------
    >>> parse_well("b03"), parse_well("r02c03"), parse_well("AA1"), parse_well("Z99")
    ((1, 2), (1, 2), (26, 0), None)
    """
    if len(text) > 16 or not text.isascii():
        return None
    if numbers := _NUMBERS.fullmatch(text):
        row, column = int(numbers[1]) - 1, int(numbers[2]) - 1
    elif letters := _LETTERS.fullmatch(text):
        row, column = _row_of(letters[1].upper()), int(letters[2]) - 1
    else:
        return None
    return (row, column) if 0 <= row < _MOST_ROWS and 0 <= column < _MOST_COLUMNS else None


def well_name(row: int, column: int) -> str:
    """Give the usual name of a well: `A01` for row 0 and column 0, `AF48` for the last of 1536."""
    return f"{row_letters(row)}{column + 1:02d}"


def row_letters(row: int) -> str:
    """Give the letters of a row from 0: A to Z, then AA to AF."""
    return chr(ord("A") + row) if row < 26 else "A" + chr(ord("A") + row - 26)


def _row_of(letters: str) -> int:
    # only AA to AF follow Z; any other first letter names no row of a plate
    if len(letters) == 2:
        return 26 + ord(letters[1]) - ord("A") if letters[0] == "A" else _MOST_ROWS
    return ord(letters) - ord("A")


def plate_format(wells: list[tuple[int, int]]) -> tuple[int, int]:
    """Give rows and columns of the smallest usual plate that has all `wells` (row, column from 0)."""
    rows = 1 + max((row for row, _ in wells), default=0)
    columns = 1 + max((column for _, column in wells), default=0)
    return next(shape for shape in PLATE_FORMATS if shape[0] >= rows and shape[1] >= columns)
