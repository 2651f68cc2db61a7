"""Pictures of why a network gave what it gave: attention, uncertainty, saliency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.panels import Panel, coloured, limits_of, mounted
from cellmonai.report.pictures import block_mean, reduction, stretched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_PANEL_PX = 720  # longest side of a panel; smaller ones are enlarged to it by a whole number
_SHOWN_SHARE = 0.95  # of a saliency map; the far rest of what a network can see mostly matters too little to be seen
_LEAST_RADIUS_PX = 16  # of what is shown around a pixel
_MARK = np.array([255, 120, 0], np.uint8)
_MARK_GAP_PX, _MARK_ARM_PX = 3, 7


def attention_picture(
    image: NDArray[Any], gates: Sequence[tuple[int, NDArray[np.float32]]], *, windows: int = 1
) -> NDArray[np.uint8]:
    """Show the image and beside it the map of every attention gate.

    Parameters
    ----------
    image : (C, Y, X), any real dtype
    gates : for each gate, px of the image per value of its map, and the map (Y / px, X / px), rounded up
    windows : how many windows it was computed in, for the caption

    Returns
    -------
    uint8 (h, w, 3), RGB; each map has its own range of colours, which its bar tells
    """
    _, height, width = image.shape
    panels = [Panel("image", _shown(image))]
    for number, (px, attention) in enumerate(gates, start=1):
        limits = limits_of(attention)
        values = _at_size(attention, px, (height, width))
        title = f"gate {number} of {len(gates)}, " + ("full size" if px == 1 else f"1/{px} of the size")
        panels.append(Panel(title, coloured(values, limits), limits))
    cores = "one window" if windows == 1 else f"{windows:,} windows, whose cores equal one pass over the whole image"
    return mounted(
        panels,
        "Attention: the share of its skip connection that each gate lets pass, from 0 (hidden) to 1. Each map has "
        f"colours of its own range. The whole image, {width} x {height} px, in {cores}{_reduced_words(image.shape)}.",
    )


def uncertainty_picture(image: NDArray[Any], uncertainty: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Show the image and beside it the standard deviation (Y, X) that a model predicts of its foreground map."""
    limits = limits_of(uncertainty)
    values = _at_size(uncertainty, 1, (image.shape[1], image.shape[2]))
    return mounted(
        [Panel("image", _shown(image)), Panel("uncertainty", coloured(values, limits), limits)],
        "Uncertainty: the standard deviation of the foreground that the model predicts for each pixel; "
        f"from {limits[0]:.3g} to {limits[1]:.3g} in this image{_reduced_words(image.shape)}.",
    )


def saliency_picture(
    image: NDArray[Any],
    gradient: NDArray[np.float64],
    box: tuple[int, int, int, int],
    pixel: tuple[int, int],
    *,
    probability: float,
) -> NDArray[np.uint8]:
    """Show what the foreground probability of one pixel hangs on.

    Parameters
    ----------
    image : (C, Y, X), any real dtype
    gradient : (y, x), absolute, of the pixels of `box`
    box : row0, col0, row1, col1 of the part of the image that can change the probability
    pixel : row and column, inside the box
    probability : of this pixel to be foreground
    """
    _, height, width = image.shape
    limits = (0.0, limits_of(gradient)[1])
    row0, col0, row1, col1 = shown = _part_that_matters(gradient, box, pixel)
    place, size = (pixel[0] - row0, pixel[1] - col0), (row1 - row0, col1 - col0)
    share = gradient[row0 - box[0] : row1 - box[0], col0 - box[1] : col1 - box[1]] / (limits[1] or 1.0)
    heat = coloured(_at_size(share, 1, size), (0.0, 1.0))
    panels = [
        Panel("image", _framed(_shown(image), (height, width), shown)),
        Panel("the part in the frame", _marked(_shown(image, shown), size, place)),
        Panel("how much each pixel matters", _marked(heat, size, place), limits),
    ]
    beyond = (
        ""
        if box == (0, 0, height, width)
        else (f" Nothing beyond x {box[1]} to {box[3] - 1}, y {box[0]} to {box[2] - 1} can change the probability.")
    )
    flat = "" if limits[1] > 0 else " It is 0 everywhere: no small change of the image changes this probability."
    return mounted(
        panels,
        f"Saliency of the pixel x {pixel[1]}, y {pixel[0]} (orange), whose foreground probability is "
        f"{probability:.4f}: its absolute gradient by the intensity of each pixel, scaled as the network sees it, the "
        f"greatest of all channels.{flat} Shown: x {col0} to {col1 - 1}, y {row0} to {row1 - 1} of {width} x {height} "
        f"px, with at least {_SHOWN_SHARE:.0%} of it.{beyond}",
    )


def _part_that_matters(
    gradient: NDArray[np.float64], box: tuple[int, int, int, int], pixel: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Give the smallest square around the pixel, cut where the box ends, that holds most of the gradient, if any."""
    if not gradient.any():
        return box
    rows, columns = np.ogrid[box[0] : box[2], box[1] : box[3]]
    distance = np.maximum(abs(rows - pixel[0]), abs(columns - pixel[1]))
    within = np.bincount(distance.ravel(), weights=np.nan_to_num(gradient).ravel()).cumsum()
    radius = max(int(np.searchsorted(within, _SHOWN_SHARE * within[-1])), _LEAST_RADIUS_PX)
    return (
        max(pixel[0] - radius, box[0]),
        max(pixel[1] - radius, box[1]),
        min(pixel[0] + radius + 1, box[2]),
        min(pixel[1] + radius + 1, box[3]),
    )


def _shown(image: NDArray[Any], box: tuple[int, int, int, int] | None = None) -> NDArray[np.uint8]:
    """Give an image, or the part in a box, in the contrast of the whole and at the size of a panel."""
    if box is None:
        return _enlarged(stretched(image, step=reduction(image.shape, _PANEL_PX)))
    row0, col0, row1, col1 = box
    part = image[:, row0:row1, col0:col1]
    return _enlarged(stretched(part, step=reduction(part.shape, _PANEL_PX), limits_from=image))


def _at_size(values: NDArray[Any], px: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Bring a map with one value per `px` x `px` px of an image (Y, X) to the size of its panel."""
    step = reduction(shape, _PANEL_PX)
    together = max(1, step // px)
    coarse = block_mean(values, together)
    rows, columns = (
        np.minimum((np.arange(-(-side // step)) * step + step // 2) // (px * together), limit - 1)
        for side, limit in zip(shape, coarse.shape, strict=True)
    )
    return _enlarged(coarse[np.ix_(rows, columns)])


def _enlarged(picture: NDArray[Any]) -> NDArray[Any]:
    times = max(1, _PANEL_PX // max(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _reduced_words(shape: tuple[int, ...]) -> str:
    step = reduction(shape, _PANEL_PX)
    return f", shown at 1/{step} of its size" if step > 1 else ""


def _marked(picture: NDArray[np.uint8], shape: tuple[int, ...], place: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw four arms around a pixel of what the picture shows, (Y, X) px, without covering it."""
    marked = picture.copy()
    row, col = (int((at + 0.5) * side / px) for at, side, px in zip(place, picture.shape[:2], shape, strict=True))
    gap = _MARK_GAP_PX + -(-picture.shape[0] // shape[0]) // 2  # beyond the pixel's own square
    for first, last in ((-gap - _MARK_ARM_PX, -gap), (gap + 1, gap + 1 + _MARK_ARM_PX)):
        marked[max(row + first, 0) : max(row + last, 0), max(col - 1, 0) : col + 2] = _MARK
        marked[max(row - 1, 0) : row + 2, max(col + first, 0) : max(col + last, 0)] = _MARK
    return marked


def _framed(picture: NDArray[np.uint8], shape: tuple[int, int], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    framed = picture.copy()
    scales = [side / px for side, px in zip(picture.shape[:2], shape, strict=True)]
    row0, col0, row1, col1 = (round(edge * scales[index % 2]) for index, edge in enumerate(box))
    for rows, columns in (
        (slice(row0, row0 + 2), slice(col0, col1)),
        (slice(max(row1 - 2, 0), row1), slice(col0, col1)),
        (slice(row0, row1), slice(col0, col0 + 2)),
        (slice(row0, row1), slice(max(col1 - 2, 0), col1)),
    ):
        framed[rows, columns] = _MARK
    return framed
