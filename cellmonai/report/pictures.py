"""Pictures for people: outlines of cells and probability maps, drawn over the image they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.colours import VIRIDIS, channel_colours, colour_per_label, outline_palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE_PX = 4096
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.8
_PERCENTILE_SAMPLES = 1 << 20  # a percentile of a million pixels is as good as one of all
_STRIP_PX = 1 << 20  # px that are scaled at a time, which bounds the memory for slides
_WIDE_LINES_FROM_PX = 1024  # pictures with a longer side are looked at smaller, and need lines of 2 px
_SMALL_PICTURE_PX = 512  # pictures up to this are doubled, so that lines of 2 px do not cover small cells

_DARKEST_SHADE = 150  # of 255; what a heat map keeps of its colour where the image is black

# 3 x 5 px glyphs for the numbers beside the colour bar, one text row per pixel row
_GLYPHS = {
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "5": ("###", "#..", "###", "..#", "###"),
    ".": ("...", "...", "...", "...", ".#."),
}


def reduction(shape: tuple[int, ...], max_side_px: int = MAX_SIDE_PX) -> int:
    """Give the whole number by which a picture of `shape` (…, Y, X) px is made smaller to keep `max_side_px`."""
    return max(1, -(-max(shape[-2:]) // max_side_px))


def overlay(image: NDArray[Any], labels_or_mask: NDArray[Any], *, max_side_px: int = MAX_SIDE_PX) -> NDArray[np.uint8]:
    """Draw the outlines of cells over the contrast-stretched image.

    Parameters
    ----------
    image : (C, Y, X), any real dtype; one channel is shown grey, three as red, green and blue, others in mixed colours
    labels_or_mask : (Y, X); label image, 0 background (touching cells get different colours), or bool mask (one colour)
    max_side_px : the picture is made smaller by a whole number where a side is longer

    Returns
    -------
    uint8, shape (h, w, 3), RGB. h and w are Y and X, divided where the image is large (`reduction`) and doubled where
    both are at most 512 px, so that lines do not hide small cells.

    Notes
    -----
    Outlines run on the inner pixels of a cell, so that touching cells keep a line each. Colours are told apart with
    every common colour vision (Okabe and Ito 2008), and are darker where the image is bright.
    """
    _require_same_plane(image, labels_or_mask)
    step = reduction(image.shape, max_side_px)
    picture = _double_small(stretched(image, step=step))
    shown = _double_small(_block_centres(labels_or_mask, step))
    line = outlines(shown, width_px=1 if _SMALL_PICTURE_PX < max(labels_or_mask.shape) <= _WIDE_LINES_FROM_PX else 2)
    palette = outline_palette(bright=float(np.median(picture)) > 127)
    if shown.dtype == np.bool_:
        picture[line] = palette[0]
    else:
        picture[line] = palette[colour_per_label(shown, len(palette))[shown[line]]]
    return picture


def heatmap(image: NDArray[Any], probability: NDArray[Any], *, max_side_px: int = MAX_SIDE_PX) -> NDArray[np.uint8]:
    """Lay a probability map over the image: dark violet where 0, yellow where 1, with a colour bar at the right.

    Parameters
    ----------
    image : (C, Y, X), any real dtype
    probability : (Y, X), in [0, 1]
    max_side_px : the picture is made smaller by a whole number where a side is longer

    Returns
    -------
    uint8, shape (h, w + bar, 3), RGB; the bar reaches from 0 (bottom) to 1 (top), with marks at 0, 0.5 and 1
    """
    _require_same_plane(image, probability)
    step = reduction(image.shape, max_side_px)
    grey = _double_small(stretched(image, step=step)).max(axis=2)
    share = np.clip(np.nan_to_num(block_mean(probability, step)), 0.0, 1.0)
    colours = _double_small(VIRIDIS[np.rint(share * 255).astype(np.uint8)])
    # the image only shades the colour, so that both stay readable
    shade = (_DARKEST_SHADE + grey.astype(np.uint16) * (255 - _DARKEST_SHADE) // 255)[:, :, None]
    picture = (colours * shade // 255).astype(np.uint8)
    return np.concatenate([picture, _colour_bar(picture.shape[0])], axis=1)


def stretched(image: NDArray[Any], *, step: int = 1, limits_from: NDArray[Any] | None = None) -> NDArray[np.uint8]:
    """Scale an image (C, Y, X) to RGB (h, w, 3): the 0.5 and 99.8 percentiles of each channel become black and full.

    They are those of `limits_from`, the image that this is a part of, where one is given.
    """
    height, width = (-(-side // step) for side in image.shape[1:])
    colours = channel_colours(image.shape[0])
    picture = np.zeros((height, width, 3), np.uint8)
    limits = _contrast_limits_of(image if limits_from is None else limits_from)
    rows = max(1, _STRIP_PX // max(width * step * step, 1))
    for top in range(0, height, rows):
        strip = np.zeros((min(rows, height - top), width, 3), np.float32)
        for channel, (low, high), colour in zip(image, limits, colours, strict=True):
            part = block_mean(channel[top * step : (top + rows) * step], step)
            strip += np.clip((part - low) / (high - low), 0, 1)[:, :, None] * colour
        picture[top : top + rows] = np.rint(np.minimum(strip, 1) * 255).astype(np.uint8)
    return picture


def outlines(labels: NDArray[Any], *, width_px: int = 1) -> NDArray[np.bool_]:
    """Mark the pixels of each object that lie within `width_px` of another object or of the background.

    The edge of the image is no outline: a cell cut by it stays open there.
    """
    thin = np.zeros(labels.shape, bool)
    below, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    thin[1:] |= below
    thin[:-1] |= below
    thin[:, 1:] |= right
    thin[:, :-1] |= right
    thin &= labels != 0
    for _ in range(width_px - 1):
        thin = _grown_within(thin, labels)
    return thin


def _grown_within(line: NDArray[np.bool_], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Grow a line by one pixel to its four neighbours that belong to the same object."""
    grown = line.copy()
    same_below, same_right = labels[1:] == labels[:-1], labels[:, 1:] == labels[:, :-1]
    grown[1:] |= line[:-1] & same_below
    grown[:-1] |= line[1:] & same_below
    grown[:, 1:] |= line[:, :-1] & same_right
    grown[:, :-1] |= line[:, 1:] & same_right
    return grown


def _contrast_limits_of(image: NDArray[Any]) -> list[tuple[float, float]]:
    limits = [_contrast_limits(channel) for channel in image]
    if image.shape[0] == 3 and all(_is_bright(channel) for channel in image):
        # a colour photograph in bright field: one scale for all channels keeps its colours
        return [(min(low for low, _ in limits), max(high for _, high in limits))] * 3
    return limits


def _is_bright(channel: NDArray[Any]) -> bool:
    low, high = _contrast_limits(channel)
    return float(np.median(_sample(channel))) > (low + high) / 2


def _contrast_limits(channel: NDArray[Any]) -> tuple[float, float]:
    sample = _sample(channel)
    low, high = (float(limit) for limit in np.percentile(sample, [_LOW_PERCENT, _HIGH_PERCENT]))
    if high <= low:  # rare bright cells on an even background, or an even image
        low, high = float(sample.min()), float(sample.max())
    return low, high if high > low else low + 1.0


def _sample(channel: NDArray[Any]) -> NDArray[np.float64]:
    """Give about a million finite pixels, or a zero where there is none."""
    step = max(1, int(np.sqrt(channel.size / _PERCENTILE_SAMPLES)))
    sample = channel[::step, ::step].astype(np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    return sample if sample.size else np.zeros(1)


def block_mean(plane: NDArray[Any], step: int) -> NDArray[np.float32]:
    """Average blocks of `step` x `step` px; blocks cut by the edge are filled by repeating the edge."""
    if step == 1:
        return plane.astype(np.float32)
    height, width = (-(-side // step) for side in plane.shape)
    filled = np.pad(plane, ((0, height * step - plane.shape[0]), (0, width * step - plane.shape[1])), mode="edge")
    blocks = filled.reshape(height, step, width, step)
    mean: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return mean


def _block_centres(plane: NDArray[Any], step: int) -> NDArray[Any]:
    """Take the middle pixel of each block of `step` x `step` px, or the last one where the edge cuts the block."""
    rows, columns = (np.minimum(np.arange(step // 2, side + step // 2, step), side - 1) for side in plane.shape)
    return plane[np.ix_(rows, columns)]


def _double_small(picture: NDArray[Any]) -> NDArray[Any]:
    if max(picture.shape[:2]) > _SMALL_PICTURE_PX:
        return picture
    return picture.repeat(2, axis=0).repeat(2, axis=1)


def _colour_bar(height: int) -> NDArray[np.uint8]:
    """Draw the strip from 0 (bottom) to 1 (top) with its numbers, on black, as high as the picture."""
    scale = max(1, min(8, height // 150))
    margin, bar_width, text_width = 4 * scale, 8 * scale, 13 * scale
    strip = np.zeros((height, margin + bar_width + margin + text_width, 3), np.uint8)
    top, bottom = min(margin, height - 1), max(height - margin, 1)
    shares = np.linspace(255, 0, max(bottom - top, 1)).round().astype(np.uint8)
    strip[top : top + shares.size, margin : margin + bar_width] = VIRIDIS[shares][:, None]
    for text, row in (("1", top), ("0.5", (top + bottom) // 2), ("0", bottom - 1)):
        start = min(max(row - 5 * scale // 2, 0), max(height - 5 * scale, 0))
        glyphs = _drawn(text, scale)
        room = strip[start : start + glyphs.shape[0], 2 * margin + bar_width :][:, : glyphs.shape[1]]
        room[glyphs[: room.shape[0], : room.shape[1]]] = 230
    return strip


def _drawn(text: str, scale: int) -> NDArray[np.bool_]:
    rows = ["".join(_GLYPHS[letter][row] + "." for letter in text) for row in range(5)]
    dots = np.array([[dot == "#" for dot in row] for row in rows])
    return dots.repeat(scale, axis=0).repeat(scale, axis=1)


def _require_same_plane(image: NDArray[Any], plane: NDArray[Any]) -> None:
    if image.ndim != 3 or image.shape[1:] != plane.shape:
        raise ValueError(
            f"image has shape {image.shape} and the plane over it {plane.shape}, expected (C, Y, X), (Y, X)"
        )
