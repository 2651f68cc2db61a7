"""Pictures side by side on dark paper, each with a title and a colour bar, and a caption below."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.colours import VIRIDIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_PAPER, _INK, _FAINT_INK = (20, 22, 26), (235, 235, 235), (170, 174, 180)
_TITLE_PX, _WORDS_PX = 16, 14
_GAP_PX, _HEAD_PX, _LINE_PX = 16, 26, 20
_BAR_PX, _BAR_WORDS_PX = 14, 66  # width of a colour bar, and of the numbers beside it
_MOST_COLUMNS = 3
_WIDE = 2.0  # pictures wider than this many heights stand below each other
_LEAST_CAPTION_PX = 320


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture, uint8 (h, w, 3); `limits` are the values at the ends of its colour bar, None for no bar."""

    title: str
    picture: NDArray[np.uint8]
    limits: tuple[float, float] | None = None


def coloured(values: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Give the colours (h, w, 3) of values (h, w): dark violet at the lower limit and below, yellow at the upper."""
    low, high = limits
    share = (np.nan_to_num(values.astype(np.float64)) - low) / (high - low or 1.0)
    return VIRIDIS[np.rint(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8)]


def limits_of(values: NDArray[Any]) -> tuple[float, float]:
    """Give the least and the greatest finite value, or zeros where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def mounted(panels: Sequence[Panel], caption: str) -> NDArray[np.uint8]:
    """Lay panels out in rows of up to three, with the caption below in as many lines as it takes.

    Returns
    -------
    uint8 (h, w, 3), RGB
    """
    from PIL import Image, ImageDraw, ImageFont

    height = max(panel.picture.shape[0] for panel in panels)
    width = max(panel.picture.shape[1] for panel in panels)
    columns = 1 if width > _WIDE * height else min(len(panels), _MOST_COLUMNS)
    cell_height = _HEAD_PX + height + _GAP_PX
    widths = [max(_width(panel) for panel in panels[column::columns]) + _GAP_PX for column in range(columns)]
    paper_width = max(_GAP_PX + sum(widths), _LEAST_CAPTION_PX)
    words = ImageFont.load_default(size=_WORDS_PX)
    letters = int((paper_width - 2 * _GAP_PX) / words.getlength("n"))
    lines = textwrap.wrap(caption, letters)
    rows = -(-len(panels) // columns)
    paper = Image.new("RGB", (paper_width, _GAP_PX + rows * cell_height + len(lines) * _LINE_PX + _GAP_PX), _PAPER)
    for index, panel in enumerate(panels):
        left = _GAP_PX + sum(widths[: index % columns])
        _place(paper, panel, left, _GAP_PX // 2 + index // columns * cell_height)
    draw = ImageDraw.Draw(paper)
    for number, line in enumerate(lines):
        top = _GAP_PX // 2 + rows * cell_height + number * _LINE_PX
        draw.text((_GAP_PX, top), line, font=words, fill=_FAINT_INK)
    return np.asarray(paper)


def _width(panel: Panel) -> int:
    return int(panel.picture.shape[1]) + (_BAR_PX + _BAR_WORDS_PX if panel.limits else 0)


def _place(paper: Any, panel: Panel, left: int, top: int) -> None:  # noqa: ANN401 - a Pillow image
    from PIL import Image, ImageDraw, ImageFont

    draw = ImageDraw.Draw(paper)
    draw.text((left, top), panel.title, font=ImageFont.load_default(size=_TITLE_PX), fill=_INK)
    paper.paste(Image.fromarray(panel.picture), (left, top + _HEAD_PX))
    if panel.limits is None:
        return
    height, width = panel.picture.shape[:2]
    ramp = VIRIDIS[np.linspace(255, 0, height).round().astype(int)]
    bar_left, bar_top = left + width + 4, top + _HEAD_PX
    paper.paste(Image.fromarray(np.repeat(ramp[:, None], _BAR_PX, axis=1)), (bar_left, bar_top))
    words = ImageFont.load_default(size=_WORDS_PX)
    for value, row, anchor in ((panel.limits[1], bar_top, "la"), (panel.limits[0], bar_top + height, "ld")):
        draw.text((bar_left + _BAR_PX + 4, row), f"{value:.3g}", font=words, fill=_INK, anchor=anchor)
