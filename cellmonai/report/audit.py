"""Pictures for an audit: a tile with its surroundings, and a frame that says which cells count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.colours import channel_colours, colour_per_label, outline_palette
from cellmonai.report.pictures import outlines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.ImageDraw import ImageDraw

Limits = tuple[tuple[float, float], ...]
"""(black, full) of each channel."""

_WISHED_SIDE_PX = 800  # of the tile on the screen
_LARGEST_SIDE_PX = 1600
_MOST_ENLARGED = 8
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.8
_CONTEXT_SHADE = 0.5
_BORDER_PX, _HEAD_PX, _LINE_PX = 14, 58, 3
_DASH_PX = 14
_PAPER, _INK, _FAINT_INK = (28, 28, 30), (235, 235, 235), (165, 165, 170)
_INSIDE_LINE, _OUTSIDE_LINE = (86, 200, 255), (255, 176, 0)
_NOT_OWNED = (140, 140, 140)
_LINE_RULE = "a middle right on a solid line counts, on a dashed line it does not"


@dataclass(frozen=True, slots=True)
class TileView:
    """A tile as it is shown.

    Parameters
    ----------
    image : (C, h, w), the tile and its surroundings, any real dtype
    frame : (row0, column0, row1, column1) of the tile in `image`, half-open
    limits : contrast of the field, equal for all its tiles, so that empty ones stay empty
    title : what it is called, as "tile 3"
    """

    image: NDArray[Any]
    frame: tuple[int, int, int, int]
    limits: Limits
    title: str


def contrast_limits(samples: Sequence[NDArray[Any]]) -> Limits:
    """Give black and full for each channel from parts (C, h, w) of a field: its 0.5 and 99.8 percentiles."""
    limits = []
    middles = []
    for channel in range(samples[0].shape[0]):
        values = np.concatenate([sample[channel].ravel() for sample in samples]).astype(np.float64)
        values = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
        low, high = (float(limit) for limit in np.percentile(values, [_LOW_PERCENT, _HIGH_PERCENT]))
        if high <= low:  # rare cells on an even background
            low, high = float(values.min()), float(values.max())
        limits.append((low, high if high > low else low + 1.0))
        middles.append(float(np.median(values)) > (low + high) / 2)
    if len(limits) == 3 and all(middles):  # a colour photograph in bright field keeps its colours
        limits = [(min(low for low, _ in limits), max(high for _, high in limits))] * 3
    return tuple(limits)


def plain_picture(view: TileView) -> NDArray[np.uint8]:
    """Draw a tile for counting: nothing in it tells what the computer found.

    Returns
    -------
    uint8, (h, w, 3), RGB: the tile enlarged, its surroundings darker, the frame just outside of its pixels with a solid
    line where a middle on it counts (top, left) and a dashed one where it does not (bottom, right)
    """
    shown, scale = _enlarged(_coloured(view))
    lines = (f"{view.title}: count the cells whose middle is inside the frame", _LINE_RULE)
    return _mounted(shown, view, scale, lines)


def overlay_picture(
    view: TileView, labels: NDArray[Any], owned: NDArray[np.integer], *, words: str
) -> NDArray[np.uint8]:
    """Draw a tile with what the computer found: the objects it gives to this tile in colours, others grey.

    Parameters
    ----------
    labels : (h, w), label image of the same part of the plane
    owned : labels of the objects that belong to the tile
    words : second line above the picture
    """
    shown, scale = _enlarged(_coloured(view))
    # labels of a tile of a large plane are large numbers: number them anew before a table per label is made
    values, small = np.unique(np.concatenate([[0], labels.ravel()]), return_inverse=True)
    few = small[1:].reshape(labels.shape)
    palette = outline_palette(bright=float(np.median(view.image)) > float(np.mean(view.limits)))
    colours = palette[colour_per_label(few, len(palette))]
    colours[~np.isin(values, owned)] = _NOT_OWNED
    large = _labels_at_scale(few, scale, shown.shape[:2])
    line = outlines(large, width_px=2)
    shown[line] = colours[large[line]]
    return _mounted(shown, view, scale, (view.title, words))


def _coloured(view: TileView) -> NDArray[np.uint8]:
    """Stretch the channels to their limits and mix their colours; the surroundings get darker."""
    mixed = np.zeros((*view.image.shape[1:], 3), np.float32)
    colours = channel_colours(view.image.shape[0])
    for channel, (low, high), colour in zip(view.image, view.limits, colours, strict=True):
        mixed += np.clip((channel.astype(np.float32) - low) / (high - low), 0, 1)[:, :, None] * colour
    row0, column0, row1, column1 = view.frame
    inside = np.zeros(mixed.shape[:2], bool)
    inside[row0:row1, column0:column1] = True
    mixed[~inside] *= _CONTEXT_SHADE
    coloured: NDArray[np.uint8] = np.rint(np.clip(mixed, 0, 1) * 255).astype(np.uint8)
    return coloured


def _enlarged(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Enlarge by a whole number, or make smaller by one, to a good size on the screen."""
    from PIL import Image

    height, width = picture.shape[:2]
    if max(height, width) > _LARGEST_SIDE_PX:
        step = -(-max(height, width) // _LARGEST_SIDE_PX)
        small = Image.fromarray(picture).reduce(step)
        return np.array(small), 1.0 / step
    scale = min(max(1, round(_WISHED_SIDE_PX / max(height, width))), _MOST_ENLARGED)
    if scale == 1:
        return picture.copy(), 1.0
    large = Image.fromarray(picture).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    return np.array(large), float(scale)


def _labels_at_scale(labels: NDArray[Any], scale: float, shape: tuple[int, ...]) -> NDArray[Any]:
    rows, columns = (
        np.minimum(((np.arange(side) + 0.5) / scale).astype(np.intp), limit - 1)
        for side, limit in zip(shape, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def _mounted(shown: NDArray[np.uint8], view: TileView, scale: float, lines: tuple[str, str]) -> NDArray[np.uint8]:
    """Put the picture on dark paper with its frame and two lines of text; the frame covers no pixel of the tile."""
    from PIL import Image, ImageDraw, ImageFont

    font, small = (ImageFont.load_default(size=size) for size in (19, 14))
    texts = [(lines[0], font, _INK), (lines[1], small, _FAINT_INK)]
    widest = max(int(face.getlength(text)) for text, face, _ in texts)
    height, width = shown.shape[:2]
    paper_width = max(width, widest) + 2 * _BORDER_PX
    paper = Image.new("RGB", (paper_width, height + _HEAD_PX + 2 * _BORDER_PX), _PAPER)
    left, top = (paper_width - width) // 2, _HEAD_PX + _BORDER_PX
    paper.paste(Image.fromarray(shown), (left, top))
    draw = ImageDraw.Draw(paper)
    for row, (text, face, ink) in zip((8, 36), texts, strict=True):
        draw.text((_BORDER_PX, row), text, font=face, fill=ink)
    row0, column0, row1, column1 = (round(edge * scale) for edge in view.frame)
    _draw_frame(draw, (left + column0, top + row0, left + column1, top + row1))
    return np.array(paper)


def _draw_frame(draw: ImageDraw, box: tuple[int, int, int, int]) -> None:
    """Draw the frame around the pixels x0 to x1 - 1 and y0 to y1 - 1."""
    x0, y0, x1, y1 = box
    for start in range(x0 - _LINE_PX, x1 + _LINE_PX, 2 * _DASH_PX):
        draw.rectangle((start, y1, min(start + _DASH_PX, x1 + _LINE_PX) - 1, y1 + _LINE_PX - 1), fill=_OUTSIDE_LINE)
    for start in range(y0 - _LINE_PX, y1 + _LINE_PX, 2 * _DASH_PX):
        draw.rectangle((x1, start, x1 + _LINE_PX - 1, min(start + _DASH_PX, y1 + _LINE_PX) - 1), fill=_OUTSIDE_LINE)
    draw.rectangle((x0 - _LINE_PX, y0 - _LINE_PX, x1 + _LINE_PX - 1, y0 - 1), fill=_INSIDE_LINE)
    draw.rectangle((x0 - _LINE_PX, y0 - _LINE_PX, x0 - 1, y1 + _LINE_PX - 1), fill=_INSIDE_LINE)
