"""The ways in which a name can be read as literal pieces and fields, in bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cellmonai.measure.replicates.wells import parse_well

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_READINGS = 1_000
_LONGEST_WELL = 16


class Part(NamedTuple):
    """A piece of a pattern: literal text, or a field (name, kind) that takes any text, digits ("d"), or a well."""

    literal: str = ""
    field: str = ""
    kind: str = ""


def first_two_readings(parts: tuple[Part, ...], name: str, *, strict: bool) -> list[dict[str, str]]:
    """Give the first two ways to read a name that differ in a field; none where it does not fit, one where it is clear.

    Parameters
    ----------
    parts : the pattern
    name : at most about a thousand characters
    strict : fields hold none of the characters that stand beside them in the pattern
    """
    found: list[dict[str, str]] = []
    # `*` alone makes many readings that are the same
    for _, reading in zip(range(_MOST_READINGS), _readings(parts, name, strict=strict), strict=False):
        if reading not in found:
            found.append(reading)
        if len(found) == 2:
            break
    return found


def _readings(parts: tuple[Part, ...], name: str, *, strict: bool) -> Iterator[dict[str, str]]:
    """Give the ways to read a name, short fields first; what failed once is not tried again, so time is bounded."""
    dead: set[tuple[int, int]] = set()

    def rest(number: int, start: int) -> Iterator[dict[str, str]]:
        if number == len(parts):
            if start == len(name):
                yield {}
            return
        if (number, start) in dead:
            return
        part, alive = parts[number], False
        for stop in _stops(part, name, start, _beside(parts, number) if strict else ""):
            for reading in rest(number + 1, stop):
                alive = True
                yield {part.field: name[start:stop], **reading} if part.field else reading
        if not alive:
            dead.add((number, start))

    return rest(0, 0)


def _stops(part: Part, name: str, start: int, avoided: str) -> Iterator[int]:
    """Give where a part that begins at `start` may stop."""
    if part.literal:
        if name.startswith(part.literal, start):
            yield start + len(part.literal)
        return
    if part.kind == "*":
        yield from range(start, len(name) + 1)
        return
    for stop in range(start + 1, len(name) + 1):
        last = name[stop - 1]
        if part.kind == "d" and not (last.isascii() and last.isdigit()):
            return
        if part.kind == "" and (last in avoided or last == "/"):
            return
        if part.kind != "well" or parse_well(name[start:stop]) is not None:
            yield stop
        if part.kind == "well" and stop - start > _LONGEST_WELL:
            return


def _beside(parts: tuple[Part, ...], number: int) -> str:
    """Give the characters of the literals that touch a field."""
    before = parts[number - 1].literal[-1:] if number else ""
    after = parts[number + 1].literal[:1] if number + 1 < len(parts) else ""
    return before + after
