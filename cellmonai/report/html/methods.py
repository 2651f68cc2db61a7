"""The methods paragraph: how masks became objects and objects counts, in sentences fit for a paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.text import printable
from cellmonai.instances.settings import fill_holes_word
from cellmonai.report.words import counted, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.report.html.data import ReportData

REFERENCES = {
    "distance": "Meijster A, Roerdink JBTM, Hesselink WH. A general algorithm for computing distance transforms in "
    "linear time. In: Mathematical Morphology and its Applications to Image and Signal Processing. 2000: 331\u2013340.",
    "persistence": "Edelsbrunner H, Letscher D, Zomorodian A. Topological persistence and simplification. Discrete & "
    "Computational Geometry 28. 2002: 511\u2013533.",
    "watershed": "Vincent L, Soille P. Watersheds in digital spaces: an efficient algorithm based on immersion "
    "simulations. IEEE Transactions on Pattern Analysis and Machine Intelligence 13. 1991: 583\u2013598.",
    "frame": "Gundersen HJG. Notes on the estimation of the numerical density of arbitrary profiles: the edge effect. "
    "Journal of Microscopy 111. 1977: 219\u2013223.",
    "conformal": "Lei J, G'Sell M, Rinaldo A, Tibshirani RJ, Wasserman L. Distribution-free predictive inference for "
    "regression. Journal of the American Statistical Association 113. 2018: 1094\u20131111.",
    "betting": "Waudby-Smith I, Ramdas A. Estimating means of bounded random variables by betting. Journal of the "
    "Royal Statistical Society B 86. 2024: 1\u201327.",
    "outliers": "Iglewicz B, Hoaglin DC. How to Detect and Handle Outliers. ASQC Quality Press, 1993.",
    "monai": "Cardoso MJ, et al. MONAI: an open-source framework for deep learning in healthcare. 2022, "
    "arXiv:2211.02701.",
}

_HOLES = {"small": "cleared of the holes of single cells", "all": "cleared of holes"}
_SPLITS = {
    "auto": "Touching cells were split on the Euclidean distance to the background [distance], smoothed with a "
    "Gaussian: each local maximum is the top of a basin, and two touching basins were united where the lower maximum "
    "rose above the saddle between them by no more than 0.15 px or 5 % of its own height, whichever is more (relative "
    "persistence [persistence]).",
    "learned": "Touching cells were split on the Euclidean distance to the background [distance], smoothed with a "
    "Gaussian: each local maximum is the top of a basin, and two touching basins were united where a logistic score of "
    "the pair's relative persistence [persistence] and shape, independent of scale, was in favour.",
    "markers": "Touching cells were split by a watershed from markers [watershed] on the smoothed Euclidean distance "
    "to the background [distance]; a local maximum was a marker when it was the greatest within {distance} px in rows "
    "and columns.",
    "none": "Touching cells were not split: a cell is a connected region, diagonal contact included.",
}
_ALONG_MAPS = {
    "auto": "Touching cells were split along {map}: each local maximum is the top of a basin, and two touching basins "
    "were united where the lower maximum rose above the saddle between them by no more than 0.15, or 5 % of its own "
    "height, whichever is more (relative persistence [persistence]).",
    "markers": "Touching cells were split by a watershed from markers [watershed] on {map}; a local maximum was a "
    "marker when it was the greatest within {distance} px in rows and columns.",
}
_NO_MAP = "distance transform"
_BORDERS = {
    "keep": "Cells that touch the image border ({touching} of {cells}) were counted, which overestimates densities "
    "where images are small.",
    "exclude": "Cells that touch the image border ({removed}) were not counted.",
    "frame": "Cells were counted by the unbiased counting frame [frame]: those that touch the upper or left border "
    "({removed}) are out, those at the lower or right border in; densities use the area of the frame.",
}


_VOLUMES = (
    "In volumes a label that runs through several planes is one cell: it was counted once, and its area and shape are "
    "those of its largest section.",
)


@dataclass(frozen=True, slots=True)
class Methods:
    """A paragraph with numbered references, and the list of these."""

    paragraph: str
    references: tuple[str, ...]


def methods_of(data: ReportData) -> Methods:
    """Write the methods paragraph of a count.

    Parameters
    ----------
    data : the report; parameters that are not known are left out, never guessed

    Notes
    -----
    References appear as `[1]`, `[2]` in the order of their first mention.
    """
    sentences = [_software(data), *_objects(data), *_filters(data), _border(data), *_measured(data)]
    text = " ".join(sentence for sentence in sentences if sentence)
    order: list[str] = []
    for key in sorted((key for key in REFERENCES if f"[{key}]" in text), key=lambda key: text.index(f"[{key}]")):
        order.append(key)
        text = text.replace(f"[{key}]", f"[{len(order)}]")
    return Methods(text, tuple(REFERENCES[key] for key in order))


def _software(data: ReportData) -> str:
    versions = data.run_record.get("versions") or {}
    python = f"Python {printable(str(versions['python']))}" if "python" in versions else ""
    numpy = f"NumPy {printable(str(versions['numpy']))}" if "numpy" in versions else ""
    kernel = data.parameters.get("kernel") or data.run_record.get("kernel")
    words = {"c": "compiled kernel", "numpy": "NumPy kernel"}.get(str(kernel), "") if kernel else ""
    details = ", ".join(part for part in (python, numpy, words) if part)
    version = f" {printable(str(versions['cellmonai']))}" if "cellmonai" in versions else ""
    return f"Cells were counted with cellmonai{version}{f' ({details})' if details else ''}."


def _objects(data: ReportData) -> list[str]:
    """Say how the inputs became objects."""
    parameters = data.parameters
    if parameters.get("kind") == "labels":
        return [
            "The inputs were label images; each label is a cell, also where it lies in several pieces.",
            *_VOLUMES * any(row.planes is not None for row in data.rows),
        ]
    preset = parameters.get("preset")
    if preset:
        return [
            f"Objects were found by the preset “{printable(str(preset))}” with the parameters listed in the report."
        ]
    return [_foreground(data), *_morphology(parameters), _split(parameters)]


def _foreground(data: ReportData) -> str:
    threshold = data.parameters.get("threshold")
    if threshold is None:
        return "The inputs were binary masks."
    model = data.run_record.get("model")
    name = model.get("name") if isinstance(model, dict) else model
    network = f"the network {printable(str(name))}" if name else "a network"
    return f"Foreground was where the probability predicted by {network} on MONAI [monai] reached {float(threshold):g}."


def _morphology(parameters: Mapping[str, Any]) -> list[str]:
    steps = [
        f"{name} by a disc of radius {parameters[key]:g} px"
        for key, name in (("opening", "opened"), ("closing", "closed"))
        if parameters.get(key)
    ]
    if (holes := _HOLES.get(fill_holes_word(parameters.get("fill_holes", "none")))) is not None:
        steps.append(holes)
    return [f"Masks were {_listed(steps)}."] if steps else []


def _split(parameters: Mapping[str, Any]) -> str:
    split = parameters.get("split")
    if split not in _SPLITS:
        return ""
    distance = parameters.get("min_distance_px", 5)
    landscape = parameters.get("landscape", _NO_MAP)
    along_map = landscape != _NO_MAP and split in _ALONG_MAPS
    text = (_ALONG_MAPS if along_map else _SPLITS)[split].replace("{distance}", number(float(distance)))
    return text.replace("{map}", f"the {printable(str(landscape))} predicted by the network")


def _filters(data: ReportData) -> list[str]:
    """Say which objects were too small or too large, and how many were removed for it."""
    limits = {
        "min_area": ("smaller than", data.parameters.get("min_area"), data.parameters.get("min_area_px")),
        "max_area": ("larger than", data.parameters.get("max_area"), data.parameters.get("max_area_px")),
    }
    said = []
    for name, (words, typed, pixels) in limits.items():
        if typed is None and not pixels:
            continue
        area = f"{number(float(pixels))} px" if pixels is not None else _typed_area(str(typed))
        said.append(f"{words} {area} ({data.removed.get(name, 0):,} removed)")
    return [f"Objects {_listed(said, 'and')} were left out."] if said else ["No object was left out for its area."]


def _typed_area(text: str) -> str:
    return printable(text).replace("um2", " µm²").replace("  ", " ")


def _border(data: ReportData) -> str:
    words = _BORDERS.get(str(data.parameters.get("border")), "")
    touching, removed = data.flags.get("touches_border", 0), data.removed.get("border", 0)
    return words.format(touching=f"{touching:,}", cells=counted(data.total, "cell"), removed=counted(removed, "object"))


def _measured(data: ReportData) -> list[str]:
    sentences = [_pixel_size(data), _oblong_pixels(data), _numbers(data)]
    if any(data.flags.get(name) for name in ("unusually_large", "unusually_small", "odd_shape")):
        sentences.append(
            "Cells of unusual size or shape, by a robust outlier rule within each image [outliers], were flagged and "
            "stay in the count."
        )
    if any(row.interval for row in data.rows):
        level = f"{100 * data.interval_level:g} % " if data.interval_level else ""
        sentences.append(
            f"The {level}intervals of single images are split conformal prediction intervals over independent groups "
            "[conformal] from the model's calibration; they are not added up to an interval of the total."
        )
    if data.audit is not None:
        sentences.append("The total was audited by hand counts of a random sample with a betting interval [betting].")
    return sentences


def _pixel_size(data: ReportData) -> str:
    sizes = {image.pixel_size_um for image in data.images}
    if None in sizes or not sizes:
        unknown = sum(image.pixel_size_um is None for image in data.images)
        some = "" if unknown == len(data.images) else f" of {counted(unknown, 'image')}"
        return f"The pixel size{some} is not known; areas are in pixels." if data.images else ""
    if len(sizes) > 1:
        return f"Pixel sizes differ between images ({len(sizes)} sizes); areas in µm² use the size of each image."
    y_um, x_um = next(size for size in sizes if size is not None)
    size = f"{y_um:.4g} µm" if y_um == x_um else f"{y_um:.4g} µm (rows) by {x_um:.4g} µm (columns)"
    return f"The pixel size was {size}."


def _oblong_pixels(data: ReportData) -> str:
    sizes = {image.pixel_size_um for image in data.images} - {None}
    if all(size[0] == size[1] for size in sizes if size is not None):
        return ""
    return (
        "Where pixels are not square, circularity, eccentricity, orientation and solidity of cells are those of the "
        "pixel grid, and perimeters are in pixels only."
    )


def _numbers(data: ReportData) -> str:
    rows = data.rows
    planes = counted(len(rows), "image") if not any(row.plane for row in rows) else counted(len(rows), "image plane")
    text = f"In total {counted(data.total, 'cell')} {'was' if data.total == 1 else 'were'} counted in {planes}"
    if len(rows) > 1:
        counts = np.array([row.count for row in rows])
        text += f" (median {number(float(np.median(counts)))} per image, range {counts.min():,} to {counts.max():,})"
    if data.failures:
        text += f"; {counted(len(data.failures), 'input')} could not be counted"
    if data.partial_reason:
        text += "; the numbers are partial"
    return text + "."


def _listed(parts: list[str], last: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
