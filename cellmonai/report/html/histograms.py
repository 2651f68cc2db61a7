"""The histograms of the report: cells per image and sizes of cells, each with the numbers behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.html.charts import bin_names, draw_histogram, histogram_of_counts, histogram_of_sizes
from cellmonai.report.html.elements import NOTHING, Html, element
from cellmonai.report.words import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.report.html.charts import Histogram
    from cellmonai.report.html.data import ReportData, ReportImage
    from cellmonai.report.html.view import Limits


def histograms_part(data: ReportData, limits: Limits) -> Html:
    """Give the histograms that the numbers are enough for; empty where there is none."""
    charts = []
    if len(data.images) > 1:
        histogram = histogram_of_counts([row.count for row in data.rows])
        charts.append(_chart("Cells per image", histogram, "cells per image", "images"))
    in_um = data.in_um
    areas = [_areas(image, in_um=in_um) for image in data.images if image.areas_px is not None]
    sizes = np.concatenate(areas) if areas else np.zeros(0)
    if sizes.size:
        unit = "µm²" if in_um else "px"
        charts.append(_chart("Size of cells", histogram_of_sizes(sizes), f"area of a cell ({unit})", "cells"))
    return element("div", charts, class_="charts") if charts else NOTHING


def _areas(image: ReportImage, *, in_um: bool) -> NDArray[np.float64]:
    assert image.areas_px is not None
    scale = image.pixel_size_um[0] * image.pixel_size_um[1] if in_um and image.pixel_size_um else 1.0
    areas: NDArray[np.float64] = np.asarray(image.areas_px, np.float64) * scale
    return areas


def _chart(title: str, histogram: Histogram, x_name: str, y_name: str) -> Html:
    of_all = counted(int(histogram.frequencies.sum()), y_name.removesuffix("s"))
    alt = f"Histogram: {x_name}, {of_all}; the table below has its numbers"
    return element(
        "div",
        element("h3", title),
        Html(draw_histogram(histogram, title=alt, x_name=x_name, y_name=y_name)),
        element("p", "The last bar, drawn paler, holds all larger cells.", class_="soft")
        if histogram.open_end
        else None,
        element("details", element("summary", "Numbers behind it"), _numbers(title, histogram, x_name, y_name)),
        class_="chartbox",
    )


def _numbers(title: str, histogram: Histogram, x_name: str, y_name: str) -> Html:
    heads = [element("th", head, scope="col", class_="n") for head in (x_name, y_name)]
    rows: list[Any] = [
        element("tr", element("th", name, scope="row", class_="n"), element("td", f"{amount:,}", class_="n"))
        for name, amount in zip(bin_names(histogram), histogram.frequencies.tolist(), strict=True)
    ]
    table = element("table", element("thead", element("tr", heads)), element("tbody", rows))
    return element("div", table, class_="scroll small", tabindex=0, role="region", aria_label=f"{title}, numbers")
