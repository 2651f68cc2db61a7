"""Small pictures of the counted images for the report: outlines over the image, and few bytes."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cellmonai.images.rows import as_rows, strips
from cellmonai.report.colours import colour_per_label, outline_palette
from cellmonai.report.html.png import indexed_png
from cellmonai.report.pictures import outlines, stretched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows

THUMBNAIL_SIDE_PX = 400
MOST_PICTURES = 200
"""As many pictures are in a report at most: the first ones, and flagged ones for a quarter of the places."""

_SMALL_SIDE_PX = 512  # images that fit here twice are drawn larger, so that lines do not cover small cells
_WIDE_LINES_FROM_PX = 14  # cells of this width in the picture stay visible within lines of 2 px
_FIRST_PICTURES = MOST_PICTURES * 3 // 4
_FEW_COLOURS = 32  # plates as heat maps; PNG keeps them sharp and small
_BAND_PX = 1 << 20  # of a picture that are resized at a time
_QUALITIES = (85, 72, 58, 42)

MASK_COLOURS: NDArray[np.uint8] = np.concatenate(
    [np.array([[18, 18, 18], [120, 120, 120]], np.uint8), outline_palette(bright=False)]
)
"""The colours of pictures of masks alone, (n, 3): background, cells, then the lines around cells."""

_CELL, _FIRST_LINE = 1, 2


class ChannelRows(Protocol):
    """An image (C, Y, X) of which any full-width rows can be asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, rows and columns."""
        ...

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open, shape (C, bottom - top, X)."""
        ...


@dataclass(slots=True)
class PictureChoice:
    """Which images get a picture, decided one after the other so that none has to be kept for later.

    The first 150 do, and of the others the first 50 that need a look. Ask `wants` once for each image, in order.
    """

    first: int = 0
    flagged: int = 0

    def wants(self, *, flagged: bool) -> bool:
        """Tell whether the next image gets a picture; `flagged` is `words.needs_a_look` of its row."""
        if self.first < _FIRST_PICTURES:
            self.first += 1
            return True
        if flagged and self.flagged < MOST_PICTURES - _FIRST_PICTURES:
            self.flagged += 1
            return True
        return False


def thumbnail(
    image: NDArray[Any] | ChannelRows | None,
    labels: NDArray[Any] | Rows,
    *,
    max_side_px: int = THUMBNAIL_SIDE_PX,
) -> NDArray[np.uint8]:
    """Draw the outlines of cells over a small version of the image.

    Parameters
    ----------
    image : (C, Y, X), any real dtype, or something that gives its rows; None draws the cells grey on black
    labels : (Y, X), whole numbers, 0 background, or something that gives its rows
    max_side_px : the longer side of the picture

    Returns
    -------
    uint8: (h, w, 3), RGB; without an image (h, w), numbers of `MASK_COLOURS`. The longer side is `max_side_px` where
    the image is larger; small images are enlarged by a whole number to at most 512 px, so that lines do not hide small
    cells.

    Raises
    ------
    ValueError
        The image's rows and columns are not those of the labels.

    Notes
    -----
    Read once from top to bottom in strips, so that slides need little memory. A label is taken at the centre of each
    picture pixel: of cells smaller than that some are not drawn.
    """
    rows = as_rows(labels)
    if image is not None and tuple(image.shape[1:]) != tuple(rows.shape):
        raise ValueError(f"image has shape {image.shape} and the labels {rows.shape}, expected (C, Y, X), (Y, X)")
    height, width = _size(rows.shape, max_side_px)
    shown = _with_small_numbers(_sampled(rows, height, width))
    line = outlines(shown, width_px=2 if _typical_side_px(shown) >= _WIDE_LINES_FROM_PX else 1)
    if image is None:
        drawn = (shown > 0).astype(np.uint8) * np.uint8(_CELL)
        drawn[line] = _FIRST_LINE + colour_per_label(shown, len(MASK_COLOURS) - _FIRST_LINE)[shown[line]]
        return drawn
    picture = _resized(stretched(_reduced(image, max(1, max(rows.shape) // max_side_px))), height, width)
    palette = outline_palette(bright=float(np.median(picture)) > 127)
    picture[line] = palette[colour_per_label(shown, len(palette))[shown[line]]]
    return picture


def data_uri(picture: NDArray[np.uint8], max_bytes: int) -> str:
    """Give a picture as a data URI of at most `max_bytes`: PNG for few colours, else JPEG, made smaller until it fits.

    Parameters
    ----------
    picture : uint8: (h, w, 3), RGB, or (h, w), numbers of `MASK_COLOURS`
    max_bytes : length of the URI; never less than a JPEG of 16 px needs
    """
    room = max(max_bytes - 30, 0) * 3 // 4  # base64 writes four characters for three bytes
    if picture.ndim == 2:
        flat = indexed_png(picture, MASK_COLOURS)
        return _uri("image/png", flat) if len(flat) <= room else data_uri(MASK_COLOURS[picture], max_bytes)
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    if image.getcolors(_FEW_COLOURS) is not None:
        flat = _saved(image.quantize(_FEW_COLOURS), format="PNG", compress_level=3)
        if len(flat) <= room:
            return _uri("image/png", flat)
    while True:
        for quality in _QUALITIES:
            # full colour resolution: outlines are one pixel wide
            data = _saved(image, format="JPEG", quality=quality, subsampling=0)
            if len(data) <= room or max(image.size) <= 16:
                return _uri("image/jpeg", data)
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))


def _saved(image: Any, **options: Any) -> bytes:  # noqa: ANN401 - of Pillow, which is imported late
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _size(shape: tuple[int, ...], max_side_px: int) -> tuple[int, int]:
    longest = max(*shape, 1)
    scale = max_side_px / longest if longest > max_side_px else max(1, _SMALL_SIDE_PX // longest)
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def _with_small_numbers(labels: NDArray[Any]) -> NDArray[Any]:
    """Give the labels numbered anew where they are so great that a table with a place for each would be large."""
    if labels.max(initial=0) <= labels.size:
        return labels
    # the 0 in front stays the background, even where there is none
    return np.unique(np.append(0, labels), return_inverse=True)[1][1:].reshape(labels.shape)


def _typical_side_px(labels: NDArray[Any]) -> float:
    """Give the side of a square with the median area of the drawn cells."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(np.median(areas))) if areas.size else 0.0


def _centres(pixels: int, side: int) -> NDArray[np.intp]:
    """Give, for each of `pixels` picture pixels along a side of the image, the image pixel under its centre."""
    return ((2 * np.arange(pixels) + 1) * side // (2 * pixels)).astype(np.intp)


def _sampled(rows: Rows, height: int, width: int) -> NDArray[Any]:
    wanted, columns = _centres(height, rows.shape[0]), _centres(width, rows.shape[1])
    parts = []
    for top, bottom in strips((rows.shape[0], rows.shape[1])):
        here = wanted[(wanted >= top) & (wanted < bottom)]
        if here.size:
            parts.append(rows.rows(top, bottom).take(here - top, axis=0).take(columns, axis=1))
    return np.concatenate(parts) if parts else np.zeros((height, width), np.int32)


def _reduced(image: NDArray[Any] | ChannelRows, step: int) -> NDArray[np.float32]:
    """Average blocks of `step` x `step` px, float32 (C, h, w); values that are not finite count as 0."""
    rows = _array_rows(image) if isinstance(image, np.ndarray) else image.rows
    height, width = image.shape[1:]
    strip = max(1, (1 << 20) // (max(width, 1) * step)) * step  # whole blocks
    parts = [_block_means(rows(top, min(top + strip, height)), step) for top in range(0, height, strip)]
    return np.concatenate(parts, axis=1)


def _array_rows(image: NDArray[Any]) -> Any:  # noqa: ANN401 - the method of ChannelRows
    return lambda top, bottom: image[:, top:bottom]


def _block_means(part: NDArray[Any], step: int) -> NDArray[np.float32]:
    values = np.nan_to_num(part.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if step == 1:
        return values
    for axis in (1, 2):
        starts = np.arange(0, values.shape[axis], step)
        sizes = np.diff(np.append(starts, values.shape[axis])).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = starts.size
        values = (np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)).astype(np.float32)
    return values


def _resized(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a picture (h, w, 3), a band at a time: Pillow holds three copies of what it is given."""
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture.copy()
    rows, columns = picture.shape[:2]
    how = Image.Resampling.NEAREST if height > rows else Image.Resampling.BOX
    out = np.empty((height, width, 3), np.uint8)
    step = max(1, _BAND_PX // max(columns, width, 1))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = top * rows / height, bottom * rows / height
        begin, end = math.floor(first), min(math.ceil(last), rows)
        band = Image.fromarray(np.ascontiguousarray(picture[begin:end]))
        box = (0, first - begin, columns, last - begin)
        out[top:bottom] = np.asarray(band.resize((width, bottom - top), how, box=box))
    return out
