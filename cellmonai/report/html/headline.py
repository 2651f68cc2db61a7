"""The numbers at the top of the report: cells, cells per image, density, size, and how many images need a look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.report.words import counted, needs_a_look, number

if TYPE_CHECKING:
    from cellmonai.report.html.data import ReportData


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the headline: its value, what it is, and what there is to know about it."""

    value: str
    name: str
    note: str = ""


def headline(data: ReportData) -> list[Figure]:
    """Give the numbers that a reader wants first."""
    rows = data.rows
    figures = [Figure(f"{data.total:,}", "cell" if data.total == 1 else "cells", _about_total(data))]
    if rows:
        counts = np.array([row.count for row in rows])
        spread = f"from {counts.min():,} to {counts.max():,}" if len(rows) > 1 else ""
        figures.append(Figure(number(float(np.median(counts))), "cells per image, median", spread))
        figures += _density_and_area(data)
    flagged = sum(needs_a_look(row) for row in rows)
    figures.append(Figure(f"{flagged:,}", "images to look at", "empty, or with unusual cells"))
    return figures


def _about_total(data: ReportData) -> str:
    kind = "image plane" if any(row.plane for row in data.rows) else "image"
    text = f"in {counted(len(data.images), kind)}"
    return f"{text}; {counted(len(data.failures), 'input')} failed" if data.failures else text


def _density_and_area(data: ReportData) -> list[Figure]:
    figures = []
    density = _density_of_all(data)
    if density is not None:
        figures.append(Figure(f"{density:,.0f}", "cells/mm²", "all cells by all analysed area"))
    if data.total:
        unit, mean = _mean_area(data)
        if mean is not None:
            figures.append(Figure(f"{number(mean)} {unit}", "mean cell area", "over all cells"))
    return figures


def _density_of_all(data: ReportData) -> float | None:
    """Give the density over all images, weighted by their areas, or None where one of them is unknown."""
    known = [
        (row.density_per_mm2, row.analysed_area_mm2)
        for row in data.rows
        if row.density_per_mm2 is not None and row.analysed_area_mm2
    ]
    if len(known) < len(data.rows):
        return None
    return sum(density * area for density, area in known) / sum(area for _, area in known)


def _mean_area(data: ReportData) -> tuple[str, float | None]:
    in_um = data.in_um
    areas = [((row.area_mean_um2 if in_um else row.area_mean_px), row.count) for row in data.rows if row.count]
    if any(area is None for area, _ in areas):
        return "", None
    return "µm²" if in_um else "px", sum(area * count for area, count in areas if area is not None) / data.total
