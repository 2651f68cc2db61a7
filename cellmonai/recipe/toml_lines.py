"""The line of every key of a TOML document, which tomllib does not tell.

Only documents that tomllib has accepted come here, so the scanner may take their syntax for granted.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]
"""A key from the outermost table inwards; entries of lists as numbers from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = r'"""(?:\\.|[^\\])*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:\\.|[^"\\])*"' + r"|'[^']*'"
_STRING = re.compile(_QUOTED, re.DOTALL)
_VALUE = re.compile(_QUOTED + r"|[^,\]}#\n]+", re.DOTALL)


def find_lines(text: str) -> dict[KeyPath, int]:
    r"""Give the line, from 1, on which each key and table is first written.

    Tables in arrays stand under their number, so the second `[[augment]]` is `("augment", 1)`; elements of inline
    arrays likewise.

    Examples
    --------
    >>> find_lines("[a]\nb = 1\n")
    {('a',): 1, ('a', 'b'): 2}
    """
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.lines


@dataclass
class _Scanner:
    text: str
    place: int = 0
    line_ends: list[int] = field(init=False)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    arrays: dict[KeyPath, int] = field(default_factory=dict)  # how many tables an array of tables has so far

    def __post_init__(self) -> None:
        self.line_ends = [match.start() for match in re.finditer("\n", self.text)]

    def scan(self) -> None:
        """Walk over the whole document."""
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.place < len(self.text):
            if self._next("[["):
                table = self._array_header()
            elif self._next("["):
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        path = self._read_path((), inside_arrays=True)
        self._next("]")
        return path

    def _array_header(self) -> KeyPath:
        path = self._read_path((), inside_arrays=True, last_is_array=True)
        self._next("]]")
        return path

    def _assignment(self, table: KeyPath) -> None:
        path = self._read_path(table)
        self._next("=")
        self._skip(_SPACE)
        self._value(path)

    def _read_path(self, path: KeyPath, *, inside_arrays: bool = False, last_is_array: bool = False) -> KeyPath:
        """Read a dotted key below `path`, noting each part's line."""
        while True:
            path = (*path, self._key_part())
            self._note(path)
            more = self._next(".")
            if inside_arrays and (more or not last_is_array) and path in self.arrays:
                path = (*path, self.arrays[path] - 1)  # `[a.b]` below `[[a]]` means the last table of a
            if not more:
                break
        if last_is_array:
            self.arrays[path] = self.arrays.get(path, 0) + 1
            path = (*path, self.arrays[path] - 1)
            self._note(path)
        return path

    def _key_part(self) -> str:
        self._skip(_SPACE)
        match = _STRING.match(self.text, self.place) or _BARE_KEY.match(self.text, self.place)
        assert match is not None, "tomllib accepted this document"
        self.place = match.end()
        self._skip(_SPACE)
        return _unquoted(match.group())

    def _value(self, path: KeyPath) -> None:
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline_table(path)
        else:
            self._skip(_VALUE)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._next("]"):
            self._note((*path, index))
            self._value((*path, index))
            self._skip(_BLANK)
            self._next(",")
            self._skip(_BLANK)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        while not self._next("}"):
            self._assignment(path)
            self._skip(_BLANK)
            self._next(",")
            self._skip(_BLANK)

    def _note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, bisect_left(self.line_ends, self.place) + 1)

    def _next(self, mark: str) -> bool:
        """Step over `mark` if it comes next."""
        if not self.text.startswith(mark, self.place):
            return False
        self.place += len(mark)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.place)
        if match is None:
            return False
        self.place = match.end()
        return True


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    import tomllib

    value: Any = tomllib.loads(f"key = {key}")["key"]
    return str(value)


def value_at(document: Any, path: KeyPath) -> tuple[bool, Any]:  # noqa: ANN401 - TOML values
    """Look `path` up in a parsed document: whether it is there, and the value."""
    for part in path:
        if isinstance(document, dict):
            if part not in document:
                return False, None
        elif not (isinstance(document, (list, tuple)) and isinstance(part, int) and part < len(document)):
            return False, None
        document = document[part]
    return True, document
