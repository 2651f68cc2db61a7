"""Even tiles of which a pixel keeps the lowest probability: the stitch of a tiled network for neuronal cells.

A cell that any tile sees cut by its edge, and so less surely, shrinks or vanishes there; the exact and the blended
stitches do not have this fault. The stitch is here to reproduce the published system, which is a notebook on the
Fluorescent Neuronal Cells pictures without a paper of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.inference.canvas import Lowest
from cellmonai.inference.stitch import padded_image
from cellmonai.inference.tiling import PUBLISHED_TILE_PX
from cellmonai.inference.windows import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.inference.stitch import AfterWindow, Run
    from cellmonai.inference.tiling import Tiling
    from cellmonai.models.file import Activation


def stitch_minimum(
    run: Run,
    image: NDArray[Any],
    *,
    tiling: Tiling,
    activation: Activation = "sigmoid",
    after_window: AfterWindow,
) -> NDArray[Any]:
    """Run every tile and keep, for each pixel, the result of the tile that gives the lowest foreground probability.

    Parameters
    ----------
    run : a tile (1, C, side, side) to its logits (1, K, side, side); the first map is the foreground
    image : (C, Y, X), normalised; where it is smaller than a tile, its last row and column are repeated
    tiling : tiles of the image's shape, with a side that the network takes
    after_window : told after each tile how many px of the image it settled; may raise to stop

    Returns
    -------
    (K, Y, X), probabilities in [0, 1]

    Notes
    -----
    Published for one map. Others (borders, distances, uncertainty) are taken from the tile that gave the foreground:
    the minimum of borders would join touching cells.
    """
    height, width = image.shape[-2:]
    canvas = Lowest(Box(0, 0, height, width), activation=activation)
    for box in tiling.boxes:
        inside = box.clipped((height, width))
        tile = padded_image(image[(slice(None), *inside.slices)], (tiling.side, tiling.side))
        canvas.add(box, run(tile[None])[0])
        after_window(height * width / len(tiling.boxes))
    maps = canvas.maps()
    assert maps is not None  # an image has at least one tile
    return maps


def stitch_minimum_8bit(
    tiles: NDArray[np.float32],
    corner_xy: Sequence[tuple[float, float]] | NDArray[np.float64],
    shape: tuple[int, int],
    *,
    side: int = PUBLISHED_TILE_PX,
) -> NDArray[np.uint8]:
    """Stitch reduced tile probabilities as published: cut to 8 bit, enlarged, lowest value kept.

    Parameters
    ----------
    tiles : (N, h, w), in [0, 1]; the published network gives 50 x 50 values for a tile of 400 px
    corner_xy : (x, y) of the top left corner of each tile in px, rounded half to even
    shape : (Y, X) of the image in px; tiles end at its edges
    side : rows and columns of a tile in the image, px

    Returns
    -------
    uint8 (Y, X), 255 for probability 1; 255 too where there is no tile

    Notes
    -----
    The published system counts 4-connected regions above 127 of this map. The bicubic enlargement (Keys 1981,
    a = -0.5) is Pillow's, which rounds between the two directions.
    """
    from PIL import Image

    canvas = np.full(shape, 255, np.uint8)
    for tile, (x, y) in zip(tiles, corner_xy, strict=True):
        coarse = Image.fromarray((tile * 255).astype(np.uint8))  # truncated, not rounded
        fine = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
        row, col = round(float(y)), round(float(x))
        box = Box(row, col, row + side, col + side).clipped(shape)
        room = canvas[box.slices]
        np.minimum(room, fine[: box.shape[0], : box.shape[1]], out=room)
    return canvas
