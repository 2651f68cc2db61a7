"""How a tiled convolutional network for neurons counts: flood fill of its stitched 8-bit map, nothing else.

Source: a notebook on the Fluorescent Neuronal Cells pictures, without a paper of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.instances.components import label_components

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def floodfill(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Label 4-connected regions, however small.

    Parameters
    ----------
    mask : bool, shape (Y, X), map above the threshold
    original : only the threshold differs, see `presets.preset_foreground`

    Returns
    -------
    int32, shape (Y, X); 0 is background, objects are 1..N by their first pixel, each 4-connected
    """
    del original
    return label_components(mask, connectivity=4)
