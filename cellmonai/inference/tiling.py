"""Even tiling: overlapping tiles of one size, spread evenly over an image; arithmetic only, no torch.

Unlike the windows of the exact and blended stitches, tiles do not begin at multiples of the network's divisor.
"""

from __future__ import annotations

from dataclasses import dataclass

from cellmonai.images.tiling import even_starts
from cellmonai.inference.windows import Box

__all__ = ["PUBLISHED_TILE_PX", "Tiling", "even_starts", "make_tiling", "tile_corners", "tile_starts"]

PUBLISHED_TILE_PX = 400
"""Side of a tile in the system that this tiling is from, whose neighbours share a quarter of it at least."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """All tiles of an image, square, in the order x outer, y inner.

    `side` is that of a tile in px, `shape` the (Y, X) of the image. A tile reaches beyond the bottom or right of an
    image that is smaller than it.
    """

    boxes: tuple[Box, ...]
    side: int
    shape: tuple[int, int]


def tile_corners(shape: tuple[int, int], *, tile: int, min_overlap: int) -> tuple[tuple[float, float], ...]:
    """Give the top left corners (x, y) of the tiles of an image (Y, X), in px, x outer and y inner.

    See `even_starts` for either axis and for what is refused; corners are rounded half to even where pixels are cut
    or pasted.
    """
    rows, columns = (even_starts(length, tile, min_overlap) for length in shape)
    return tuple((x, y) for x in columns for y in rows)


def make_tiling(shape: tuple[int, int], *, tile: int) -> Tiling:
    """Lay tiles over an image (Y, X) that share at least a quarter of their side, give or take 1 px by rounding."""
    rows, columns = tile_starts(shape, tile=tile)
    return Tiling(tuple(Box(row, col, row + tile, col + tile) for col in columns for row in rows), tile, shape)


def tile_starts(shape: tuple[int, int], *, tile: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the first rows and the first columns of the tiles of `make_tiling`, in px."""
    rows, columns = (tuple(round(start) for start in even_starts(length, tile, tile // 4)) for length in shape)
    return rows, columns
