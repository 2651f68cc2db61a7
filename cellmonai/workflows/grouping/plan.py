"""What belongs together: plate, well, site, time and treatment of every image, from its name and a sample sheet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError
from cellmonai.measure.replicates.groups import FieldCount
from cellmonai.workflows.grouping.levels import group_levels, level_notes
from cellmonai.workflows.grouping.names import NamePattern, read_pattern, suggested_pattern
from cellmonai.workflows.grouping.sheet import join_sheet, read_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellmonai.measure.replicates.groups import GroupLevel


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What is known of each image and which groups are made of it.

    Parameters
    ----------
    attributes : image -> column -> value, all text; every image has every column
    columns : all columns, those of the pattern first
    levels : the groupings, in the order of the tables; none where nothing was asked for
    notes : sentences on what the levels take for granted
    """

    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    levels: tuple[GroupLevel, ...] = ()
    notes: tuple[str, ...] = ()

    def field_count(self, name: str, count: int, area_mm2: float | None = None) -> FieldCount:
        """Give the count of an image (or of one plane of it) with what is known of the image."""
        return FieldCount(self.attributes[name], count, area_mm2, image=name)


def plan_groups(
    names: Sequence[str], *, pattern: str | None, sheet: Path | None, group_by: tuple[str, ...] = ()
) -> GroupPlan:
    """Find out what each image is, and which groups to summarise.

    Parameters
    ----------
    names : images, each once: stems, or relative paths with `/`; may hold anything
    pattern : how names are made up, as `{plate}_{well}_{site}` (see `read_pattern`), or None
    sheet : a table with a row per image, or per value of fields of the pattern (well -> treatment), or None
    group_by : columns to group by; without any: plate, well and treatment, as far as known

    Raises
    ------
    UsageError
        The pattern is wrong or does not fit every name, or a column to group by is not known.
    InputError
        The sheet cannot be read, or lacks an image.

    Examples
    --------
    >>> plan = plan_groups(["P1_A1_1", "P1_A1_2"], pattern="{plate}_{well}_{site}", sheet=None)
    >>> plan.attributes["P1_A1_2"], [level.name for level in plan.levels]
    ({'plate': 'P1', 'well': 'A01', 'site': '2'}, ['plate', 'well'])
    """
    if pattern is None and sheet is None:
        if group_by:
            what = f"nothing tells the {group_by[0]} of an image"
            raise UsageError(what, where="--group-by", cure="add --name-pattern '{well}_{site}', or --sheet FILE")
        return GroupPlan()
    attributes: dict[str, dict[str, str]] = {name: {} for name in names}
    notes: list[str] = []
    if pattern is not None:
        attributes = read_names(names, read_pattern(pattern))
    if sheet is not None:
        attributes, unused = join_sheet(read_sheet(sheet), names, attributes)
        if unused:
            rows = "1 row" if unused == 1 else f"{unused:,} rows"
            notes.append(f"{rows} of {sheet.name} {'is' if unused == 1 else 'are'} about no image that was counted")
    columns = tuple(dict.fromkeys(column for known in attributes.values() for column in known))
    in_order = {name: {column: known[column] for column in columns} for name, known in attributes.items()}
    levels = group_levels(in_order, columns, group_by) if names else ()
    notes += _empty_cells(in_order, levels)
    return GroupPlan(in_order, columns, levels, (*notes, *level_notes(in_order, columns, levels)))


def read_names(names: Sequence[str], pattern: NamePattern) -> dict[str, dict[str, str]]:
    """Give what the pattern reads from each name.

    Raises
    ------
    UsageError
        Names that the pattern does not fit, the first one named, with a pattern that would fit it.
    """
    found = {name: pattern.read(name) for name in names}
    unfit = [name for name, fields in found.items() if fields is None]
    if unfit:
        better = suggested_pattern(pattern, unfit[0])
        raise UsageError(
            f"{len(unfit):,} of {len(found):,} names do not fit {pattern.text!r}, the first is {unfit[0]!r}",
            where="--name-pattern",
            cure=f"try {better!r}" if better else "write it as the names are, with * for what does not matter",
        )
    return {name: fields for name, fields in found.items() if fields is not None}


def _empty_cells(attributes: Mapping[str, Mapping[str, str]], levels: Sequence[GroupLevel]) -> list[str]:
    grouped = dict.fromkeys(column for level in levels for column in level.columns)
    empty = {column: sum(not known[column] for known in attributes.values()) for column in grouped}
    return [
        f"{count:,} image{'s have' if count != 1 else ' has'} no {column} and form{'s' * (count == 1)} a group of "
        f"{'their' if count != 1 else 'its'} own"
        for column, count in empty.items()
        if count
    ]
