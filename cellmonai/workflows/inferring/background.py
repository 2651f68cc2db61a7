"""Whether a window holds nothing but background: `infer --skip-background`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELL_PX = 16
_LEAST_RANGE = 0.05


def is_background(pixels: NDArray[np.float32]) -> bool:
    """Tell whether a window (C, h, w), normalised to about 0 to 1, shows no structure in its thumbnail.

    The thumbnail averages squares of 16 px, which takes out the noise; where its values are no further apart than 5 %
    of the image's range in any channel, there is nothing in it that is as bright as a cell and larger than a speck.

    Notes
    -----
    Cells that are dim beside the brightest of the image, or much smaller than 16 px, are missed. The test is therefore
    off unless asked for.
    """
    for channel in pixels:
        rows, columns = (max(side // _CELL_PX, 1) for side in channel.shape)
        cut = channel[: rows * _CELL_PX, : columns * _CELL_PX]
        height, width = (min(_CELL_PX, side) for side in cut.shape)
        means = cut[: rows * height, : columns * width].reshape(rows, height, columns, width).mean(axis=(1, 3))
        if float(np.ptp(means)) > _LEAST_RANGE:
            return False
    return True
