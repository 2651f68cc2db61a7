"""A plate as a picture: every well in the colour of its count, empty wells hatched, the scale beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.measure.replicates.wells import parse_well, plate_format
from cellmonai.measure.replicates.words import group_title, natural_order
from cellmonai.report.plate_drawing import drawn_wells, plate_layout, round_step, write_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cellmonai.measure.replicates.groups import GroupSummary

PlateValue = Literal["mean", "density_per_mm2"]
_ALIKE = 1e-6  # values that differ by a smaller share get no scale of their own
_TITLES = {"mean": "cells per field", "density_per_mm2": "cells per mm²"}


def plate_pictures(summaries: Sequence[GroupSummary], *, value: PlateValue = "mean") -> dict[str, NDArray[np.uint8]]:
    """Draw every plate (and time) of the groups by well; all share one plate format and one scale of colours.

    Parameters
    ----------
    summaries : of `summarise_groups`; only those with a `well` in their group count
    value : mean count per field, or density; wells without a density are drawn as empty

    Returns
    -------
    dict
        Title of the plate (its values, such as "P1" or "P1, 24 h"; "" where no plate is known) -> picture, in natural
        order; nothing where there is no well or no value
    """
    plates = _plates(summaries, value)
    if not plates:
        return {}
    values = [number for _, wells in plates.values() for number in wells.values()]
    shape = plate_format([place for _, wells in plates.values() for place in wells])
    limits = scale_limits(values)
    return {
        unique: plate_picture(wells, title=title, measure=_TITLES[value], limits=limits, shape=shape)
        for unique, (title, wells) in plates.items()
    }


def plate_titles(summaries: Sequence[GroupSummary], *, value: PlateValue = "mean") -> tuple[str, ...]:
    """Give the titles of the plates that `plate_pictures` draws, without drawing any."""
    return tuple(_plates(summaries, value))


def _plates(
    summaries: Sequence[GroupSummary], value: PlateValue
) -> dict[str, tuple[str, dict[tuple[int, int], float]]]:
    """Give title -> (title as shown, wells with their numbers) of every plate, in natural order."""
    plates: dict[tuple[str, ...], tuple[str, dict[tuple[int, int], float]]] = {}
    for summary in summaries:
        place = parse_well(summary.group.get("well", ""))
        number = getattr(summary, value)
        if place is None or number is None or "site" in summary.group:
            continue
        rest = {column: text for column, text in summary.group.items() if column != "well"}
        _, wells = plates.setdefault(tuple(rest.values()), (group_title(rest), {}))
        wells[place] = number
    titled: dict[str, tuple[str, dict[tuple[int, int], float]]] = {}
    for _, (title, wells) in sorted(plates.items(), key=lambda item: natural_order(item[0])):
        unique, twin = title, 2
        while unique in titled:  # values with a comma in them may give two plates one title
            unique, twin = f"{title} ({twin})", twin + 1
        titled[unique] = title, wells
    return titled


def plate_picture(
    wells: Mapping[tuple[int, int], float],
    *,
    title: str = "",
    measure: str = "cells per field",
    limits: tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Draw a plate, each well in its colour with its number, from dark violet (low) to yellow (high).

    Parameters
    ----------
    wells : (row, column) from 0 -> value, finite and at least 0; wells that are not in it are hatched grey
    title : name of the plate, may hold any characters
    measure : what the values are, with the unit
    limits : values of the two ends of the colours; nice ones around the values by default
    shape : rows and columns of the plate; the smallest usual plate that has all wells by default

    Returns
    -------
    uint8, shape (h, w, 3), RGB

    References
    ----------
    Colours: viridis (van der Walt and Smith 2015), told apart with every common colour vision and in grey.
    """
    low, high = limits or scale_limits(list(wells.values()))
    rows, columns = shape or plate_format(list(wells))
    layout = plate_layout(rows, columns)
    shares = {place: min(max((value - low) / (high - low), 0.0), 1.0) for place, value in wells.items()}
    canvas = drawn_wells(layout, shares)
    write_words(canvas, layout, wells, shares, title=title, measure=measure, limits=(low, high))
    return np.asarray(canvas, np.uint8).copy()


def scale_limits(values: Sequence[float]) -> tuple[float, float]:
    """Give round ends of a scale around `values`: from 0, unless all values lie in the upper half.

    Examples
    --------
    >>> scale_limits([3.0, 87.0]), scale_limits([871.0, 934.0]), scale_limits([0.0])
    ((0.0, 100.0), (870.0, 940.0), (0.0, 1.0))
    """
    top, bottom = max(values, default=0.0), min(values, default=0.0)
    if bottom * 2 <= top:
        bottom = 0.0
    if top - bottom < _ALIKE * top:
        bottom = 0.0
    step = round_step(top - bottom)
    return math.floor(bottom / step + 1e-9) * step, max(math.ceil(top / step - 1e-9), 1) * step
