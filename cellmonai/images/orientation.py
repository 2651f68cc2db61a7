"""Orientation tags of EXIF and TIFF: an image turned and mirrored as viewers show it.

Cameras and phones store pixels as the sensor gave them, and a number that says how to turn them. It is applied to
images and masks alike. ImageJ, Bio-Formats and tifffile do not apply it, so that a mask drawn there lies as its image
is stored; `mask_lies` finds this out from the sizes.

References
----------
EXIF 2.32, section 4.6.4, tag 274; TIFF 6.0, page 36.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cellmonai.images.wrapped import WrappedSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.images.source import ImageSource, Region


class _Turn(NamedTuple):
    """Mirror the stored rows, the stored columns, and then swap both axes."""

    rows: bool
    columns: bool
    transposed: bool


_TURNS = {
    1: _Turn(rows=False, columns=False, transposed=False),
    2: _Turn(rows=False, columns=True, transposed=False),
    3: _Turn(rows=True, columns=True, transposed=False),
    4: _Turn(rows=True, columns=False, transposed=False),
    5: _Turn(rows=False, columns=False, transposed=True),
    6: _Turn(rows=True, columns=False, transposed=True),
    7: _Turn(rows=True, columns=True, transposed=True),
    8: _Turn(rows=False, columns=True, transposed=True),
}


def mask_lies(
    orientation: int, shown: Sequence[int], mask: Sequence[int], *, mask_orientation: int
) -> Literal["shown", "stored", "unsure"]:
    """Tell from the sizes whether a mask lies as its image is shown, or as that is stored.

    Parameters
    ----------
    orientation : that was applied to the image
    shown : (Y, X) of the image as it is shown
    mask : (Y, X) of the mask, as it is shown
    mask_orientation : that was applied to the mask; with a tag of its own it lies as it is shown

    Returns
    -------
    "unsure" where the size is the same both ways; a mask of another size lies as it is shown, and is for the caller to
    refuse
    """
    shown, mask = tuple(shown), tuple(mask)
    if orientation == 1 or mask_orientation != 1:
        return "shown"
    stored = shown[::-1] if _TURNS[orientation].transposed else shown
    if stored == shown == mask:
        return "unsure"
    return "stored" if mask == stored else "shown"


def turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Give a view of stored pixels (…, Y, X) as they are shown."""
    turn = _TURNS[orientation]
    array = array[..., :: -1 if turn.rows else 1, :: -1 if turn.columns else 1]
    return array.swapaxes(-1, -2) if turn.transposed else array


def as_shown(source: ImageSource) -> ImageSource:
    """Give `source` with its orientation tag applied; itself where there is none."""
    return source if source.looks.orientation == 1 else OrientedSource(source)


class OrientedSource(WrappedSource):
    """Another source, turned and mirrored.

    Parameters
    ----------
    source : stays open as long as this is used; closing this closes it
    """

    def __init__(self, source: ImageSource) -> None:
        orientation = source.looks.orientation
        self._turn = _TURNS[orientation]
        channels, height, width = source.shape
        size = source.pixel_size_um
        swap = self._turn.transposed
        super().__init__(
            source,
            shape=(channels, width, height) if swap else source.shape,
            levels=tuple((x, y) for y, x in source.levels) if swap else source.levels,
            pixel_size_um=(size[1], size[0]) if swap and size else size,
            notes=(*source.notes, f"orientation tag {orientation} applied"),
            looks=replace(source.looks, orientation=1),
            orientation=orientation,
        )

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of a tile, strip or chunk as it is shown."""
        rows, columns = self._source.block_shape(level)
        return (columns, rows) if self._turn.transposed else (rows, columns)

    def keep_rows_only(self) -> None:
        """As of the source, unless its rows are columns here."""
        if not self._turn.transposed:
            self._source.keep_rows_only()

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        (top, left, bottom, right), (height, width) = box, self._source.levels[level]
        if self._turn.transposed:
            top, left, bottom, right = left, top, right, bottom
        if self._turn.rows:
            top, bottom = height - bottom, height - top
        if self._turn.columns:
            left, right = width - right, width - left
        pixels = self._source.read((top, left, bottom, right), channels=channels, level=level, plane=plane)
        return np.ascontiguousarray(turned(pixels, self.orientation))
