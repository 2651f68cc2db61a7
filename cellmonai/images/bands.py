"""Boxes that cover a plane and decode every tile, strip or chunk once, for a pass over all its pixels."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cellmonai.images.source import ImageSource, Region

BAND_BYTES = 8 * 2**20


def bands_of(
    source: ImageSource, *, level: int = 0, channels: int | None = None, most_bytes: int = BAND_BYTES
) -> Iterator[Region]:
    """Cut a plane into boxes along the borders of its tiles, strips or chunks.

    Parameters
    ----------
    source : an open image
    level : index into `source.levels`
    channels : how many are read at a time, all by default
    most_bytes : of the pixels of one box; a box is at least one row of a tile

    Yields
    ------
    (row0, column0, row1, column1), half-open, from top to bottom and left to right; each pixel lies in one of them.
    """
    height, width = source.levels[level]
    rows, columns = (min(n, size) for n, size in zip(source.block_shape(level), (height, width), strict=True))
    pixel = (source.shape[0] if channels is None else channels) * source.dtype.itemsize
    fit = max(1, most_bytes // (rows * columns * pixel))
    beside = ceil(width / columns)
    if fit >= beside:
        rows, columns = rows * (fit // beside), width
    else:
        columns *= fit
    step = max(1, min(rows, most_bytes // (columns * pixel)))  # less than a tile where that alone is too large
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            for start in range(top, min(top + rows, height), step):
                yield start, left, min(start + step, top + rows, height), min(left + columns, width)
