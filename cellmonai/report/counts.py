"""The count of one image, and the two tables that hold all of them: counts.csv and cells.csv."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cellmonai.core.files import atomic_file
from cellmonai.report.csv import csv_head, csv_rows, write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

FILTERS = ("min_area", "max_area", "border")
"""The filters that remove objects, in the order in which tables name them."""

BORDER_RULES = ("keep", "exclude", "frame")
"""What may happen to cells that the border cuts; each gives a number of cells."""


@dataclass(frozen=True, slots=True)
class ImageCount:
    """What was counted in one plane of one image.

    Areas are None where there is no cell, densities and square micrometres where the pixel size is unknown.
    `interval` is (low, high) in cells, or None with the reason; `interval_conservative` is the safe second line of it.
    `removed` counts objects by filter, `flags` cells by flag; `at_border_rule` is the count under each of
    `BORDER_RULES`, as far as it is known. `attributes` are plate, well, … from the name or a sheet. `is_partial` marks
    what comes from a run that never finished. `holes_filled` counts holes of the mask. `outputs` are the files about
    this image, relative to the output folder. `planes` is how many planes a volume has that was counted as one, None
    for a single plane.
    """

    image: str
    plane: str
    count: int
    density_per_mm2: float | None
    area_mean_px: float | None
    area_median_px: float | None
    area_mean_um2: float | None
    area_median_um2: float | None
    removed: Mapping[str, int]
    flags: Mapping[str, int]
    interval: tuple[int, int] | None = None
    interval_reason: str | None = None
    interval_conservative: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ()
    analysed_area_mm2: float | None = None
    border_rule: str = "keep"
    at_border_rule: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_partial: bool = False
    holes_filled: int = 0
    planes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the entry of this image in `counts.json`; its `partial` tells of an unfinished run, not of failures."""
        return {
            "image": self.image,
            "plane": self.plane,
            "planes": self.planes,
            "attributes": dict(self.attributes),
            "count": self.count,
            "interval": list(self.interval) if self.interval else None,
            "interval_reason": self.interval_reason,
            "interval_conservative": list(self.interval_conservative) if self.interval_conservative else None,
            "density_per_mm2": self.density_per_mm2,
            "analysed_area_mm2": self.analysed_area_mm2,
            "area_median_px": self.area_median_px,
            "area_mean_px": self.area_mean_px,
            "area_median_um2": self.area_median_um2,
            "area_mean_um2": self.area_mean_um2,
            "border_rule": self.border_rule,
            "at_border_rule": {rule: self.at_border_rule.get(rule) for rule in BORDER_RULES},
            "removed": dict(self.removed),
            "holes_filled": self.holes_filled,
            "flags": dict(self.flags),
            "partial": self.is_partial,
            "outputs": list(self.outputs),
        }


def write_counts(
    path: Path,
    counts: Sequence[ImageCount],
    *,
    failed: Mapping[str, Mapping[str, str]] | None = None,
    overwrite: bool,
) -> None:
    """Write `counts.csv`, one row per image and plane; what is unknown is an empty cell.

    `failed` are images that could not be counted with what is known of them: each has a row at the end, partial and
    without a count.
    """
    failed = failed or {}
    columns: dict[str, list[Any]] = {
        "image": [row.image for row in counts],
        "plane": [row.plane for row in counts],
    }
    if any(row.planes is not None for row in counts):
        columns["planes"] = [row.planes for row in counts]
    known = [*(row.attributes for row in counts), *failed.values()]
    for name in dict.fromkeys(name for attributes in known for name in attributes):
        columns[_column_of(name)] = [row.attributes.get(name) for row in counts]
    columns |= {
        "count": [row.count for row in counts],
        "interval_low": [row.interval[0] if row.interval else None for row in counts],
        "interval_high": [row.interval[1] if row.interval else None for row in counts],
        "density_per_mm2": [row.density_per_mm2 for row in counts],
        "analysed_area_mm2": [row.analysed_area_mm2 for row in counts],
        "area_mean_px": [row.area_mean_px for row in counts],
        "area_median_px": [row.area_median_px for row in counts],
        "area_mean_um2": [row.area_mean_um2 for row in counts],
        "area_median_um2": [row.area_median_um2 for row in counts],
        "border_rule": [row.border_rule for row in counts],
    }
    for rule in BORDER_RULES:
        columns[f"count_border_{rule}"] = [row.at_border_rule.get(rule) for row in counts]
    for name in FILTERS:
        columns[f"removed_{name}"] = [row.removed.get(name, 0) for row in counts]
    columns["holes_filled"] = [row.holes_filled for row in counts]
    for name in flag_names(counts):
        columns[name] = [row.flags.get(name) for row in counts]
    columns["partial"] = [row.is_partial for row in counts]
    for name, attributes in failed.items():
        told = {
            "image": name,
            "plane": "",
            **{_column_of(key): value for key, value in attributes.items()},
            "partial": True,
        }
        for column, values in columns.items():
            values.append(told.get(column))
    write_csv(path, columns, decimals=_DECIMALS, overwrite=overwrite)


_DECIMALS = {"area_mean_px": 2, "area_median_px": 1, "analysed_area_mm2": 6}
_OWN_COLUMNS = {"image", "plane", "planes", "count", "partial", "border_rule", "density_per_mm2", "analysed_area_mm2"}


def _column_of(attribute: str) -> str:
    return attribute if attribute not in _OWN_COLUMNS else f"group_{attribute}"


def flag_names(counts: Sequence[ImageCount]) -> list[str]:
    """Give every flag that occurs, in the order of the first image that has it."""
    return list(dict.fromkeys(name for row in counts for name in row.flags))


class CellsFile:
    """`cells.csv` while it is being written: one row per cell, image and plane first, under its name only at the end.

    Parameters
    ----------
    path : the file
    columns : names after `image` and `plane`, in order, known before the first cell is; cells that lack one leave it
        empty
    """

    def __init__(self, path: Path, columns: Sequence[str], *, overwrite: bool) -> None:
        self._columns = tuple(columns)
        self._file = atomic_file(path, overwrite=overwrite)

    def __enter__(self) -> CellsFile:
        with ExitStack() as opened:  # whatever fails from here on, the temporary file goes
            self._stream = opened.enter_context(opened.enter_context(self._file).open("wb"))
            self._stream.write(csv_head(("image", "plane", *self._columns)))
            self._opened = opened.pop_all()
        return self

    def add(self, image: str, plane: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write the cells of one plane; of a volume, the column `plane` names the plane of each cell."""
        unknown = set(columns) - {"plane", *self._columns}
        if unknown:
            raise ValueError(f"columns {sorted(unknown)} were not announced")
        count = len(next(iter(columns.values()), ()))
        missing = [None] * count
        cells: dict[str, Any] = {"image": [image] * count, "plane": columns.get("plane", [plane] * count)}
        cells |= {name: columns.get(name, missing) for name in self._columns}
        for part in csv_rows(cells):
            self._stream.write(part)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)  # the last bytes are written here, and may not fit on the disk
