"""Which groups to make of what is known of the images, and what is replicated in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.measure.replicates.groups import GroupLevel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ANIMALS = ("animal", "mouse", "rat", "donor", "patient", "subject")
TREATMENTS = ("treatment", "condition", "compound", "drug", "dose", "concentration", "genotype")
SITES = ("site", "field", "fov", "position")
REPEATS = ("time", "timepoint", "t", "channel", "c", "z", "plane")
"""Columns in which the same cells are seen again: never replicates, and groups are not pooled over them."""

_PLACES = (*ANIMALS, "plate", "slide", "well", "section", "replicate", *SITES)  # from what holds to what is held
_UNITS = (*ANIMALS, "well", "slide", "section", "replicate")
_DEEPER = {"plate": ("well", "slide", "section", "replicate"), "slide": ("section",), "well": (), "section": ()}
_NOT_GROUPS = (*SITES, *REPEATS, "row", "column", "col")


def group_levels(
    attributes: Mapping[str, Mapping[str, str]], columns: Sequence[str], group_by: Sequence[str]
) -> tuple[GroupLevel, ...]:
    """Give the levels: one for each place (plate, well, animal, slide, …), and one for all conditions together.

    Parameters
    ----------
    attributes : image -> column -> value
    columns : all columns that are known
    group_by : the columns to group by; without any: plate, well and treatments, as far as known, at each time and for
        each channel where there are several

    Raises
    ------
    UsageError
        A column of `group_by` is not known, or nothing known makes groups.

    Notes
    -----
    A well is one within its plate. The unit of replication of a condition is the animal, else the well, else the slide
    (users know these as the experimental unit; Lazic 2010), and the field only where none of them is known; of a plate
    its wells; of a well its fields, which all images of one site are together, whenever they were taken.
    """
    chosen = _chosen(attributes, columns, group_by)
    repeats = tuple(column for column in chosen if column in REPEATS)
    places = [column for column in chosen if column in _PLACES]
    conditions = tuple(column for column in chosen if column not in _PLACES and column not in REPEATS)
    levels = [_place_level(place, columns, repeats) for place in sorted(places, key=_PLACES.index)]
    if conditions or not levels:
        unit, unit_columns = _unit(_UNITS, columns)
        levels.append(GroupLevel("+".join(conditions + repeats), conditions + repeats, unit, unit_columns))
    return tuple(levels)


def level_notes(
    attributes: Mapping[str, Mapping[str, str]], columns: Sequence[str], levels: Sequence[GroupLevel]
) -> tuple[str, ...]:
    """Say what of these levels a reader must know: a unit that is only a field, repeats pooled, plates pooled."""
    notes = []
    for level in levels:
        is_place = any(column in _PLACES for column in level.columns)
        if level.unit == "field" and not is_place:
            notes.append(
                f"groups by {level.name} take every field as a replicate, since no well, animal or slide is known; "
                "fields of one well are no replicates: name the well in the pattern or the sheet"
            )
        if level.unit == "well" and "plate" in columns and "plate" not in level.columns:
            plates = {known["plate"] for known in attributes.values()}
            if len(plates) > 1:
                notes.append(
                    f"groups by {level.name} take wells of all {len(plates):,} plates as independent replicates"
                )
    pooled = [c for c in columns if c in REPEATS and levels and not any(c in level.columns for level in levels)]
    for column in pooled:
        count = len({known[column] for known in attributes.values()})
        if count > 1:
            notes.append(f"groups pool {count:,} values of {column}: sums count the same cells several times")
    return tuple(notes)


def _chosen(
    attributes: Mapping[str, Mapping[str, str]], columns: Sequence[str], group_by: Sequence[str]
) -> tuple[str, ...]:
    if group_by:
        named = tuple(dict.fromkeys(column.strip().lower() for column in group_by))
        for column in named:
            if column not in columns:
                cure = did_you_mean(column, columns) if columns else "name it in --name-pattern, or in the --sheet"
                raise UsageError(f"no image has a {column!r} to group by", where="--group-by", cure=cure)
        return named
    usual = [column for column in columns if column in ("plate", "well", *ANIMALS, *TREATMENTS)]
    usual = usual or [column for column in columns if column not in _NOT_GROUPS]
    repeats = [column for column in columns if column in REPEATS and column not in ("z", "plane")]
    several = [column for column in repeats if len({known[column] for known in attributes.values()}) > 1]
    if columns and not usual + several:
        what = f"nothing to group by is known, only {' and '.join(columns)}"
        raise UsageError(what, where="--name-pattern", cure="name a well, a plate or a treatment in it or in a --sheet")
    return (*usual, *several)


def _place_level(place: str, columns: Sequence[str], repeats: tuple[str, ...]) -> GroupLevel:
    if place in SITES:
        return GroupLevel(place, (*_holders(place, columns), place, *repeats), "field")
    lower = _PLACES[_PLACES.index(place) + 1 :]
    within = _DEEPER.get(place, tuple(unit for unit in ("slide", "section", "well", "replicate") if unit in lower))
    unit, unit_columns = _unit(within, columns)
    return GroupLevel("+".join((place, *repeats)), (*_holders(place, columns), place, *repeats), unit, unit_columns)


def _holders(place: str, columns: Collection[str]) -> tuple[str, ...]:
    """Give the places that a place is named within: wells of plates, sites of wells, sections of slides."""
    holders = {"well": ("plate",), "section": ("slide",), "replicate": ("plate",)} | dict.fromkeys(
        SITES, ("plate", "slide", "well", "section")
    )
    return tuple(column for column in holders.get(place, ()) if column in columns)


def _unit(candidates: Sequence[str], columns: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Give the first candidate that is known and the columns that name one, else the field."""
    unit = next((candidate for candidate in candidates if candidate in columns), None)
    if unit is not None:
        return unit, (*_holders(unit, columns), unit)
    if any(site in columns for site in SITES):
        # all images of a site are one field, whichever of the other columns tell sites apart
        return "field", tuple(column for column in columns if column not in REPEATS)
    return "field", ()
