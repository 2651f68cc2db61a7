"""What image names say: plate, well, site, … taken out of them by a pattern such as `{plate}_{well}_{site}`."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError
from cellmonai.core.text import printable
from cellmonai.images.find import IMAGE_SUFFIXES
from cellmonai.measure.replicates.wells import parse_well, well_name
from cellmonai.workflows.grouping.expressions import LONGEST_NAME, is_quick
from cellmonai.workflows.grouping.match import Part, first_two_readings

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTION = "--name-pattern"
_MAX_PATTERN = 500
_MAX_NAME = 1_000  # longer than any file name; bounds the time that a pattern can take
_FIELD = re.compile(r"\{([^{}]*)\}|(\*)")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_OPEN = ("", "*")  # kinds of fields whose end only the next literal tells
_ROWS, _COLUMNS = ("row",), ("column", "col")


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A checked pattern; `read` gives the fields of one name.

    Parameters
    ----------
    text : as typed
    fields : names of its fields, in order, lower case
    folders : how many folders above the file it names; names are cut to that
    """

    text: str
    fields: tuple[str, ...]
    folders: int
    parts: tuple[Part, ...] = ()
    expression: re.Pattern[str] | None = None

    def read(self, name: str) -> dict[str, str] | None:
        """Give field -> text of a name, wells as `A01`, or None where the name does not fit.

        Raises
        ------
        UsageError
            The name fits in two ways that differ.
        """
        shown = "/".join(name.replace("\\", "/").split("/")[-1 - self.folders :])
        if len(shown) > (LONGEST_NAME if self.expression else _MAX_NAME):
            return None
        found = self._searched(shown) if self.expression else self._split(shown)
        return with_well(found) if found is not None else None

    def _searched(self, name: str) -> dict[str, str] | None:
        match = self.expression.search(name) if self.expression else None
        if match is None:
            return None
        found = {field.lower(): text or "" for field, text in match.groupdict().items()}
        return None if "well" in found and parse_well(found["well"]) is None else found

    def _split(self, name: str) -> dict[str, str] | None:
        """Read fields that hold none of the characters beside them; where there are none such, any that fit."""
        for strict in (True, False):
            readings = first_two_readings(self.parts, name, strict=strict)
            if len(readings) == 1:
                return readings[0]
            if readings:
                raise self._ambiguous(name, *readings)
        return None

    def _ambiguous(self, name: str, one: dict[str, str], other: dict[str, str]) -> UsageError:
        field = next(field for field in one if one[field] != other[field])
        return UsageError(
            f"{name!r} fits {self.text!r} in more than one way: {field} could be {one[field]!r} or {other[field]!r}",
            where=_OPTION,
            cure="write {site:d} for a field of digits, or join {fields} with a character that is in none of them",
        )


def read_pattern(text: str) -> NamePattern:
    r"""Check a pattern and make it ready to read names.

    Parameters
    ----------
    text : `{field}` takes any text but none, `{field:d}` digits, `{well}` a well (A1, a01, r01c02), `*` any text that
        is not kept; all else stands for itself, `/` divides folders. With `(?P<` in it, it is a regular expression,
        searched in the name: `_(?P<well>[A-P]\d{2})_`.

    Raises
    ------
    UsageError
        The pattern is no pattern: no field, a field twice, a field name that is no word, or a bad expression.

    Examples
    --------
    >>> read_pattern("{plate}_{well}_s{site:d}").read("my_plate_B3_s12")
    {'plate': 'my_plate', 'well': 'B03', 'site': '12'}
    """
    if len(text) > _MAX_PATTERN:
        raise _refused(f"the pattern has {len(text):,} characters", f"keep it below {_MAX_PATTERN}")
    if "(?P<" in text:
        expression = _expression(text)
        fields = _checked(tuple(expression.groupindex), text)
        return NamePattern(text, fields, text.count("/"), expression=expression)
    parts = tuple(_parts(_without_suffix(text)))
    fields = _checked(tuple(part.field for part in parts if part.field), text)
    lowered = tuple(part._replace(field=part.field.lower()) for part in parts)
    return NamePattern(text, fields, text.count("/"), lowered)


def suggested_pattern(pattern: NamePattern, name: str) -> str | None:
    """Give a pattern with the same fields that fits `name`, found by its separators, or one for the well alone."""
    file = name.replace("\\", "/").split("/")[-1]
    pieces, separators = _SEPARATORS.split(file), _SEPARATORS.findall(file)
    candidates = []
    if len(pieces) == len(pattern.fields):
        fields = [f"{{{field}}}" for field in pattern.fields]
        candidates.append("".join(a + b for a, b in zip(fields, [*separators, ""], strict=True)))
    for position, piece in enumerate(pieces):
        if "well" in pattern.fields and parse_well(piece) is not None:
            before = "*" + separators[position - 1] if position else ""
            after = separators[position] + "*" if position < len(separators) else ""
            candidates.append(f"{before}{{well}}{after}")
    return next((text for text in candidates if len(text) <= _MAX_PATTERN and _fits(text, file)), None)


def with_well(fields: dict[str, str]) -> dict[str, str]:
    """Write the well as `A01`, and make one of a row and a column where there is none; others stay as they are."""
    if "well" in fields:
        place = parse_well(fields["well"].strip())
        return {**fields, "well": well_name(*place)} if place else fields
    row = next((fields[name] for name in _ROWS if name in fields), None)
    column = next((fields[name] for name in _COLUMNS if name in fields), None)
    if row is None or column is None:
        return fields
    place = parse_well(f"r{row}c{column}" if row.isdigit() else f"{row}{column}")
    return {**fields, "well": well_name(*place)} if place else fields


def _checked(names: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Give the names of the fields in lower case, and of the well where row and column make one."""
    if not names:
        raise _refused(f"{text!r} has no field", "write one in braces, as in {plate}_{well}_{site}")
    for name in names:
        if not _WORD.fullmatch(name):
            raise _refused(f"{name!r} is no name of a field", "use letters, digits and _, as in {well}")
    fields = tuple(name.lower() for name in names)
    twice = next((name for i, name in enumerate(fields) if name in fields[:i]), None)
    if twice:
        raise _refused(f"the field {twice!r} stands twice in the pattern", "give each field a name of its own")
    return _with_well_name(fields)


def _without_suffix(text: str) -> str:
    """Leave out `.tif` and the like, which the names of images are without."""
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if text.lower().endswith(suffix)), "")
    return text.removesuffix(text[len(text) - len(suffix) :]) if suffix else text


def _with_well_name(fields: tuple[str, ...]) -> tuple[str, ...]:
    has_place = any(name in fields for name in _ROWS) and any(name in fields for name in _COLUMNS)
    return (*fields, "well") if has_place and "well" not in fields else fields


def _fits(text: str, name: str) -> bool:
    try:
        return read_pattern(text).read(name) is not None
    except UsageError:
        return False


def _parts(text: str) -> Iterator[Part]:
    end, open_before = 0, False
    for match in _FIELD.finditer(text):
        literal = _literal(text[end : match.start()], text)
        part = _field(match[1])
        if literal:
            yield Part(literal=literal)
        elif open_before and part.kind in _OPEN:
            raise _refused(f"two fields of {text!r} follow each other directly", "put a character between them")
        yield part
        open_before, end = part.kind in _OPEN, match.end()
    if literal := _literal(text[end:], text):
        yield Part(literal=literal)


def _field(inside: str | None) -> Part:
    """Read what stands between braces; None is the `*`."""
    if not inside:
        return Part(kind="*")
    name, _, kind = inside.partition(":")
    if kind not in ("", "d"):
        raise _refused(f"{{{inside}}} asks for {kind!r}", "write {site} for any text or {site:d} for digits")
    return Part(field=name, kind="well" if name.lower() == "well" else kind)


def _literal(piece: str, text: str) -> str:
    if "{" in piece or "}" in piece:
        raise _refused(f"a brace of {text!r} has no partner", "write fields as {well}")
    return piece


def _refused(what: str, cure: str) -> UsageError:
    return UsageError(what, where=_OPTION, cure=cure)


def _expression(text: str) -> re.Pattern[str]:
    """Compile a regular expression, refusing those whose time could grow without bound."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # what a later Python reads otherwise, such as [[a]
            expression = re.compile(text)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise _refused(
            f"{text!r} is no regular expression ({printable(str(error))})", "try {plate}_{well}_{site}"
        ) from error
    if not is_quick(expression):
        raise _refused(
            "the expression repeats what itself repeats or chooses, or has too many repeats that may end anywhere, "
            "which can take for ever",
            "end repeats at a character that they do not take, as in [^_]+_, and write .* twice at most",
        )
    return expression
