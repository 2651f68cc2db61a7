"""The count of one image, and the two tables that hold all of them: counts.csv and cells.csv."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.csv import write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FILTERS = ("min_area", "max_area", "border")
"""The filters that remove objects, in the order in which tables name them."""


@dataclass(frozen=True, slots=True)
class ImageCount:
    """What was counted in one plane of one image.

    Areas are None where there is no cell, densities and square micrometres where the pixel size is unknown.
    `interval` is (low, high) in cells, or None with the reason. `removed` counts objects by filter, `flags` cells by
    flag. `outputs` are the files about this image, relative to the output folder.
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
    outputs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the entry of this image in `counts.json`."""
        return {
            "image": self.image,
            "plane": self.plane,
            "count": self.count,
            "interval": list(self.interval) if self.interval else None,
            "interval_reason": self.interval_reason,
            "density_per_mm2": self.density_per_mm2,
            "area_median_px": self.area_median_px,
            "area_mean_px": self.area_mean_px,
            "area_median_um2": self.area_median_um2,
            "area_mean_um2": self.area_mean_um2,
            "removed": dict(self.removed),
            "flags": dict(self.flags),
            "outputs": list(self.outputs),
        }


def write_counts(path: Path, counts: Sequence[ImageCount], *, overwrite: bool) -> None:
    """Write `counts.csv`, one row per image and plane; what is unknown is an empty cell."""
    columns: dict[str, list[Any]] = {
        "image": [row.image for row in counts],
        "plane": [row.plane for row in counts],
        "count": [row.count for row in counts],
        "interval_low": [row.interval[0] if row.interval else None for row in counts],
        "interval_high": [row.interval[1] if row.interval else None for row in counts],
        "density_per_mm2": [row.density_per_mm2 for row in counts],
        "area_mean_px": [row.area_mean_px for row in counts],
        "area_median_px": [row.area_median_px for row in counts],
        "area_mean_um2": [row.area_mean_um2 for row in counts],
        "area_median_um2": [row.area_median_um2 for row in counts],
    }
    for name in FILTERS:
        columns[f"removed_{name}"] = [row.removed.get(name, 0) for row in counts]
    for name in flag_names(counts):
        columns[name] = [row.flags.get(name) for row in counts]
    write_csv(path, columns, decimals={"area_mean_px": 2, "area_median_px": 1}, overwrite=overwrite)


def flag_names(counts: Sequence[ImageCount]) -> list[str]:
    """Give every flag that occurs, in the order of the first image that has it."""
    return list(dict.fromkeys(name for row in counts for name in row.flags))


@dataclass(frozen=True, slots=True)
class CellRows:
    """The measured cells of one image and plane: columns of equal length, in the order of the table."""

    image: str
    plane: str
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def write_cells(path: Path, cells: Sequence[CellRows], *, overwrite: bool) -> None:
    """Write `cells.csv`, one row per cell, image and plane first; columns that an image lacks are empty there."""
    columns: dict[str, Any] = {
        "image": [rows.image for rows in cells for _ in range(len(rows))],
        "plane": [rows.plane for rows in cells for _ in range(len(rows))],
    }
    for name in dict.fromkeys(name for rows in cells for name in rows.columns):
        columns[name] = _joined([rows.columns.get(name) for rows in cells], [len(rows) for rows in cells])
    write_csv(path, columns, overwrite=overwrite)


def _joined(parts: Sequence[NDArray[Any] | None], lengths: Sequence[int]) -> Any:  # noqa: ANN401 - array or list
    present = [part for part in parts if part is not None]
    if len(present) == len(parts):
        return np.concatenate(present)
    return [
        value
        for part, length in zip(parts, lengths, strict=True)
        for value in ([None] * length if part is None else part.tolist())
    ]
