"""Even tiling: tiles of one size at even distances that cover a length."""

from __future__ import annotations

import math


def even_starts(length: int, tile: int, min_overlap: int) -> tuple[float, ...]:
    """Give where evenly spaced tiles begin, in px; to be rounded half to even where pixels are cut.

    Parameters
    ----------
    length : what is covered, px, at least 1
    tile : side of a tile, px
    min_overlap : what neighbours share at least, px, below `tile`

    Returns
    -------
    ceil((length - min_overlap) / (tile - min_overlap)) starts, the first 0, the last length - tile; one tile at 0
    where the length is not above the tile's, which the published form divides by zero for

    Raises
    ------
    ValueError
        A length below 1, or an overlap as wide as the tile.

    References
    ----------
    The tiled network for neuronal cells in fluorescence images that cellmonai's `tiled_cnn` follows: tiles of 400 px
    with at least 100 px shared.
    """
    if length < 1 or not 0 <= min_overlap < tile:
        raise ValueError(f"length {length}, tile {tile}, overlap {min_overlap}: expected 1 or more, and overlap < tile")
    if length <= tile:
        return (0.0,)
    count = math.ceil((length - min_overlap) / (tile - min_overlap))
    advance = tile - (count * tile - length) / (count - 1)
    return tuple(index * advance for index in range(count))
