"""Groups in words: their titles, their order, and their warnings put together."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.measure.replicates.groups import GroupSummary

_IRREGULAR = {"mouse": "mice"}


def group_warnings(summaries: Sequence[GroupSummary]) -> tuple[str, ...]:
    """Give the warnings of groups, those of one level that differ only in the group put together in one sentence.

    Groups by 96 wells of one field each would otherwise warn 96 times.
    """
    warned = [summary for summary in summaries if summary.warning]
    kinds = Counter((summary.level, summary.unit) for summary in warned)
    groups = Counter((summary.level, summary.unit) for summary in summaries)
    sentences = []
    for (level, unit), count in kinds.items():
        if count == 1:
            sentences += [s.warning for s in warned if (s.level, s.unit) == (level, unit) and s.warning]
        else:
            sentences.append(
                f"{count:,} of {groups[level, unit]:,} groups by {level} have one {unit} each: no standard deviation "
                f"and no interval, since nothing tells how much {plural(unit)} differ"
            )
    return tuple(sentences)


def plural(unit: str) -> str:
    """Give the plural of a unit: wells, mice."""
    return _IRREGULAR.get(unit, unit + "s")


def group_title(group: Mapping[str, str]) -> str:
    """Give the values of a group as one text, an empty one as (none)."""
    return ", ".join(value or "(none)" for value in group.values())


def natural_order(key: Sequence[str]) -> tuple[Any, ...]:
    """Give a sort key of texts: numbers by value and first, then runs of digits by value (`s2` before `s10`)."""
    return tuple(_natural(value) for value in key)


def _natural(value: str) -> tuple[float, list[tuple[bool, int, str]]]:
    if re.fullmatch(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?", value):
        return float(value), [(False, 0, value)]
    runs = re.split(r"([0-9]+)", value)
    # digits are compared by length and text, since a hostile name may hold more than int() takes
    numbers = [run.lstrip("0") if i % 2 else run.casefold() for i, run in enumerate(runs)]
    return math.inf, [(bool(i % 2), len(run) if i % 2 else 0, run) for i, run in enumerate(numbers)] + [
        (False, 0, value)
    ]
