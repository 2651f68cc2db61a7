"""Counts of groups of fields: sum, mean, spread and sampling interval, each at the group's own unit of replication."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.measure.replicates.intervals import Interval, mean_interval, ratio_interval
from cellmonai.measure.replicates.words import group_title, natural_order, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class FieldCount:
    """The count of one field (or of one plane of it) and what is known of it.

    Parameters
    ----------
    attributes : plate, well, treatment, …: all text
    count : cells
    area_mm2 : analysed area, None where unknown
    image : name of the image; planes of one image have it in common and are one unit, not several
    """

    attributes: Mapping[str, str]
    count: int
    area_mm2: float | None = None
    image: str = ""


@dataclass(frozen=True, slots=True)
class GroupLevel:
    """One way to group fields.

    Parameters
    ----------
    name : what the level is called, "well" or "treatment+dose"
    columns : attributes whose values together name a group, such as plate and well
    unit : what is replicated within a group, in the singular: "field", "well", "animal"
    unit_columns : attributes whose values together name a unit; with none, every image is one
    """

    name: str
    columns: tuple[str, ...]
    unit: str
    unit_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """What was counted in one group; undefined values are None.

    Parameters
    ----------
    level : name of the level
    group : column -> value, which together name the group
    attributes : every attribute that all fields of the group have in common, `group` included
    unit : what is replicated, in the singular
    fields, units : how many there are
    sum : cells of all fields together
    mean : cells per field: the mean over units of each unit's mean
    sd : standard deviation between the means of units (n - 1)
    field_sd : standard deviation between fields (n - 1), whatever unit they belong to
    sampling_low, sampling_high : interval of `mean` from the spread between units alone, see `interval_kind`
    interval_kind : key of `replicates.intervals.INTERVAL_KINDS`
    interval_level : nominal coverage of both intervals, as 0.95
    area_mm2 : analysed area of all fields together
    density_per_mm2, density_low, density_high : cells per mm² of analysed area, sum by sum, and its interval
    density_interval_kind : as `interval_kind`, of the interval of the density
    warning : a sentence, where the numbers cannot be taken at face value
    """

    level: str
    group: Mapping[str, str]
    attributes: Mapping[str, str]
    unit: str
    fields: int
    units: int
    sum: int
    mean: float
    sd: float | None
    field_sd: float | None
    sampling_low: float | None
    sampling_high: float | None
    interval_kind: str | None
    interval_level: float
    area_mm2: float | None
    density_per_mm2: float | None
    density_low: float | None
    density_high: float | None
    density_interval_kind: str | None
    warning: str | None

    def as_json(self) -> dict[str, Any]:
        """Give the entry of this group in `counts.json`; `low` and `high` hold sampling error alone."""
        return {
            "level": self.level,
            "group": dict(self.group),
            "fields": self.fields,
            "unit": self.unit,
            "units": self.units,
            "sum": self.sum,
            "mean": self.mean,
            "sd": self.sd,
            "field_sd": self.field_sd,
            "low": self.sampling_low,
            "high": self.sampling_high,
            "interval_kind": self.interval_kind,
            "interval_level": self.interval_level,
            "area_mm2": self.area_mm2,
            "density_per_mm2": self.density_per_mm2,
            "density_low": self.density_low,
            "density_high": self.density_high,
            "density_interval_kind": self.density_interval_kind,
            "warning": self.warning,
        }


def summarise_groups(
    fields: Sequence[FieldCount], levels: Sequence[GroupLevel], *, confidence: float = 0.95
) -> tuple[GroupSummary, ...]:
    """Summarise the fields at every level: level after level, groups in natural order of their values.

    Parameters
    ----------
    fields : counted fields; each has every attribute that a level names
    levels : see `GroupLevel`
    confidence : of the sampling intervals, in (0, 0.999]

    Raises
    ------
    ValueError
        A field lacks an attribute that a level names.

    Notes
    -----
    The unit of replication of a treatment is the well or the animal, not the field: fields of one well are averaged
    before anything else, so that many fields of few wells do not look like much evidence (Lazic 2010, BMC Neuroscience
    11:5). One unit gives a mean and a warning, never an interval. The intervals are those of `replicates.intervals`.
    """
    return tuple(
        _summary(level, key, members, confidence)
        for level in levels
        for key, members in sorted(_by(fields, level.columns).items(), key=lambda item: natural_order(item[0]))
    )


def _by(fields: Sequence[FieldCount], columns: Sequence[str]) -> dict[tuple[str, ...], list[FieldCount]]:
    groups: dict[tuple[str, ...], list[FieldCount]] = defaultdict(list)
    for field in fields:
        missing = [column for column in columns if column not in field.attributes]
        if missing:
            raise ValueError(f"field {field.image!r} has no attribute {missing[0]!r}")
        groups[tuple(field.attributes[column] for column in columns)].append(field)
    return groups


def _summary(level: GroupLevel, key: tuple[str, ...], fields: list[FieldCount], confidence: float) -> GroupSummary:
    units = _units(level, fields)
    means = np.array([np.mean([field.count for field in unit]) for unit in units], np.float64)
    total = sum(field.count for field in fields)
    interval = mean_interval(means, total=total, fields=len(fields), confidence=confidence)
    group = dict(zip(level.columns, key, strict=True))
    area = _area(fields)
    density = _density_interval(units, confidence) if area else None
    return GroupSummary(
        level=level.name,
        group=group,
        attributes=group | _in_common(fields),
        unit=level.unit,
        fields=len(fields),
        units=len(units),
        sum=total,
        mean=float(means.mean()),
        sd=_sd(means),
        field_sd=_sd(np.array(sorted(field.count for field in fields), np.float64)),
        sampling_low=interval.low if interval else None,
        sampling_high=interval.high if interval else None,
        interval_kind=interval.kind if interval else None,
        interval_level=confidence,
        area_mm2=area,
        density_per_mm2=total / area if area else None,
        density_low=density.low if density else None,
        density_high=density.high if density else None,
        density_interval_kind=density.kind if density else None,
        warning=_warning(level, group, fields) if len(units) == 1 else None,
    )


def _units(level: GroupLevel, fields: list[FieldCount]) -> list[list[FieldCount]]:
    """Split the fields of a group into its units, ordered by content: no rounding depends on the order of files."""
    units: dict[object, list[FieldCount]] = defaultdict(list)
    for position, field in enumerate(fields):
        known = tuple(field.attributes.get(column, "") for column in level.unit_columns)
        units[known or field.image or position].append(field)
    return sorted(units.values(), key=lambda unit: (len(unit), sorted((f.count, f.area_mm2 or 0.0) for f in unit)))


def _sd(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _area(fields: list[FieldCount]) -> float | None:
    """Give the area of all fields, None where one is unknown or empty: a part of the area fits no sum of cells."""
    areas = [field.area_mm2 for field in fields]
    known = [area for area in areas if area is not None and area > 0 and math.isfinite(area)]
    return math.fsum(known) if len(known) == len(areas) else None


def _density_interval(units: list[list[FieldCount]], confidence: float) -> Interval | None:
    counts = np.array([sum(field.count for field in unit) for unit in units], np.float64)
    areas = np.array([math.fsum(field.area_mm2 or 0.0 for field in unit) for unit in units], np.float64)
    return ratio_interval(counts, areas, confidence=confidence)


def _in_common(fields: list[FieldCount]) -> dict[str, str]:
    first = fields[0].attributes
    return {name: value for name, value in first.items() if all(f.attributes.get(name) == value for f in fields)}


def _warning(level: GroupLevel, group: Mapping[str, str], fields: list[FieldCount]) -> str:
    inside = f" with {len(fields):,} fields" if len(fields) > 1 and level.unit != "field" else ""
    return (
        f"{level.name} {group_title(group)} has one {level.unit}{inside}: no standard deviation between "
        f"{plural(level.unit)} and no interval; count at least three {plural(level.unit)}"
    )
