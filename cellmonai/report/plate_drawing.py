"""How a plate is drawn: where its wells lie, their shapes, and the words and numbers on them."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellmonai.core.text import printable
from cellmonai.measure.replicates.wells import row_letters
from cellmonai.report.colours import VIRIDIS

if TYPE_CHECKING:
    from collections.abc import Mapping

_INK, _GREY, _PAPER = (38, 38, 42), (120, 120, 126), (255, 255, 255)
_EMPTY, _HATCH = (240, 240, 242), (214, 214, 219)
_SMOOTH = 3  # shapes are drawn so many times as large and scaled down, which smooths their edges
_FONT_PX = 14
_MARGIN = 24
_NUMBER_SIZES_PX = (17, 15, 14, 13, 12, 11, 10, 9)
_BAR_WIDTH = 16
_LEAST_SPAN = 1e-6


class PlateLayout(NamedTuple):
    """Where things are, in pixels."""

    rows: int
    columns: int
    pitch: int
    left: int
    top: int
    width: int
    height: int

    def box(self, row: int, column: int, scale: int = 1) -> tuple[int, int, int, int]:
        """Give left, top, right and bottom of a well, the last pixel included."""
        gap = max(1, self.pitch // 16)
        x, y = self.left + column * self.pitch, self.top + row * self.pitch
        return (
            (x + gap) * scale,
            (y + gap) * scale,
            (x + self.pitch - gap) * scale - 1,
            (y + self.pitch - gap) * scale - 1,
        )

    @property
    def bar(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the colour bar."""
        left = self.left + self.columns * self.pitch + _MARGIN
        gap = max(1, self.pitch // 16)
        return left, self.top + gap, left + _BAR_WIDTH, self.top + self.rows * self.pitch - gap


def round_step(span: float) -> float:
    """Give 1, 2 or 5 times a power of ten, of which four to ten make the span."""
    if span < _LEAST_SPAN:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next((factor * power for factor in (5.0, 2.0) if span / (factor * power) >= 3.999), power)


def plate_layout(rows: int, columns: int) -> PlateLayout:
    """Lay out a plate of any format about as wide as a page."""
    pitch = min(112, max(20, 960 // columns))
    left, top = _MARGIN + 2 * _FONT_PX, _MARGIN + 4 * _FONT_PX
    width = left + columns * pitch + _MARGIN + _BAR_WIDTH + 8 + 5 * _FONT_PX + _MARGIN // 2
    return PlateLayout(rows, columns, pitch, left, top, max(width, 420), top + rows * pitch + _MARGIN + 2 * _FONT_PX)


def drawn_wells(layout: PlateLayout, shares: Mapping[tuple[int, int], float]) -> Any:  # noqa: ANN401 - a Pillow image
    """Draw the wells and the colour bar, smooth, without any text."""
    from PIL import Image, ImageDraw

    large = Image.new("RGB", (layout.width * _SMOOTH, layout.height * _SMOOTH), _PAPER)
    draw = ImageDraw.Draw(large)
    radius = layout.pitch * _SMOOTH // 7
    empty, outline = _hatched(layout)
    for row in range(layout.rows):
        for column in range(layout.columns):
            box = layout.box(row, column, _SMOOTH)
            share = shares.get((row, column))
            if share is None:
                large.paste(empty, box[:2], outline)
            else:
                draw.rounded_rectangle(box, radius, fill=_colour(share))
    canvas = large.resize((layout.width, layout.height), Image.Resampling.BOX)
    left, top, right, bottom = layout.bar
    ramp = VIRIDIS[np.linspace(255, 0, bottom - top).round().astype(int)]
    canvas.paste(Image.fromarray(np.repeat(ramp[:, None], right - left, axis=1)), (left, top))
    return canvas


def _hatched(layout: PlateLayout) -> tuple[Any, Any]:
    """Give the picture of a well without data and its outline as a mask."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = layout.box(0, 0, _SMOOTH)
    side = right - left + 1
    tile, mask = Image.new("RGB", (side, side), _EMPTY), Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(tile)
    for start in range(-side, side, 9 * _SMOOTH):
        draw.line((start, side, start + side, 0), fill=_HATCH, width=2 * _SMOOTH)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, side - 1, bottom - top), layout.pitch * _SMOOTH // 7, fill=255)
    return tile, mask


def write_words(
    canvas: Any,  # noqa: ANN401 - a Pillow image
    layout: PlateLayout,
    wells: Mapping[tuple[int, int], float],
    shares: Mapping[tuple[int, int], float],
    *,
    title: str,
    measure: str,
    limits: tuple[float, float],
) -> None:
    """Write the title, what the colours mean, the names of rows and columns, the values, and the scale."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(canvas)
    font, large = _font(_FONT_PX), _font(_FONT_PX * 1.25)
    small = _font(min(_FONT_PX, max(8, layout.pitch * 0.42)))
    heading = f"{len(wells):,} of {layout.rows * layout.columns:,} wells"
    room = layout.width - layout.left - _MARGIN
    draw.text((layout.left, _MARGIN), _shortened(draw, _shown(title) or "plate", large, room), _INK, large, "lm")
    draw.text((layout.left, _MARGIN + 1.5 * _FONT_PX), _shown(f"{measure}, {heading}"), _GREY, font, "lm")
    for row in range(layout.rows):
        box = layout.box(row, 0)
        draw.text((layout.left - 8, (box[1] + box[3]) / 2), row_letters(row), _INK, small, "rm")
    for column in range(layout.columns):
        box = layout.box(0, column)
        draw.text(((box[0] + box[2]) / 2, layout.top - 6), str(column + 1), _INK, small, "ms")
    _write_numbers(draw, layout, wells, shares)
    _write_scale(draw, layout, limits, font)
    if len(wells) < layout.rows * layout.columns:
        draw.text((layout.left, layout.height - _MARGIN), "hatched: no image counted", _GREY, font, "lm")


def _write_numbers(
    draw: Any,  # noqa: ANN401 - a Pillow drawing
    layout: PlateLayout,
    wells: Mapping[tuple[int, int], float],
    shares: Mapping[tuple[int, int], float],
) -> None:
    """Write every value into its well in one size and with the same decimals, if legible digits fit all wells."""
    decimals = 0 if max(wells.values(), default=0.0) >= 99.95 or all(v == round(v) for v in wells.values()) else 1
    texts = {place: _number(value, decimals) for place, value in wells.items()}
    left, _, right, _ = layout.box(0, 0)
    room = right - left - 4
    for size in _NUMBER_SIZES_PX:
        font = _font(size)
        if size * 1.4 <= room and all(draw.textlength(text, font) <= room for text in texts.values()):
            break
    else:
        return
    for place, text in texts.items():
        box = layout.box(*place)
        middle = (box[0] + box[2] + 1) / 2, (box[1] + box[3] + 1) / 2
        draw.text(middle, text, _ink_on(_colour(shares[place])), font, "mm")


def _write_scale(draw: Any, layout: PlateLayout, limits: tuple[float, float], font: Any) -> None:  # noqa: ANN401
    _, top, right, bottom = layout.bar
    low, high = limits
    step = round_step(high - low)
    if (bottom - top) / ((high - low) / step) < 1.6 * _FONT_PX:
        step = high - low  # a low plate has room for the two ends only
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        y = bottom - 1 - (value - low) / (high - low) * (bottom - 1 - top)
        draw.line((right, y, right + 4, y), _GREY)
        draw.text((right + 8, y), f"{value:,.10g}", _INK, font, "lm")


def _number(value: float, decimals: int) -> str:
    return f"{value / 1000:,.0f}k" if value >= 9_999.5 else f"{value:.{decimals}f}"


@cache
def _font(size_px: float) -> Any:  # noqa: ANN401 - a Pillow font
    """Give DejaVu Sans, which comes with matplotlib and has µ, ² and most alphabets, else Pillow's own font."""
    from PIL import ImageFont

    package = find_spec("matplotlib")  # found, not imported: matplotlib itself would take long
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
        if path.is_file():
            return ImageFont.truetype(path, size_px)
    return ImageFont.load_default(size_px)


def _shown(text: str) -> str:
    """Give a text with `?` for letters that the font lacks and would show as boxes."""
    font = _font(_FONT_PX)
    missing = bytes(font.getmask("\U0010fffd"))
    return "".join("?" if bytes(font.getmask(letter)) == missing else letter for letter in printable(text[:200]))


def _shortened(draw: Any, text: str, font: Any, room: float) -> str:  # noqa: ANN401
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(text + "…", font) > room:
        text = text[:-1]
    return text + "…"


def _ink_on(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Give the ink, white or dark, with the greater contrast (W3C 2018, WCAG 2.1, relative luminance)."""
    dark, here = _luminance(_INK) + 0.05, _luminance(colour) + 0.05
    return _PAPER if 1.05 / here >= here / dark else _INK


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 255 / 12.92 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _colour(share: float) -> tuple[int, int, int]:
    red, green, blue = VIRIDIS[round(share * 255)].tolist()
    return red, green, blue
