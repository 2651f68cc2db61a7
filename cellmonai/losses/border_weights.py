"""Weight map of the U-Net article: narrow background between two cells counts more.

References
----------
Ronneberger et al. 2015, arXiv:1505.04597, equation 2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.losses.cells import each_cell, squared_distance, widened

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEIGHT = 10.0
_SIGMA_PX = 5.0
_NEGLIGIBLE = 1e-7
_REACH_PX = math.ceil(_SIGMA_PX * math.sqrt(2 * math.log(_HEIGHT / _NEGLIGIBLE)))


def border_weights(labels: NDArray[np.integer[Any]], *, where: str) -> NDArray[np.float32]:
    """Give 1 + 10·exp(-(d1 + d2)² / (2·5²)) of the distances in px to the nearest and the second nearest cell; (Y, X).

    Parameters
    ----------
    labels : integers (Y, X)
    where : "background" adds the second term on background only, "everywhere" also inside cells, where d1 is 0

    Notes
    -----
    With fewer than two cells every weight is 1, and further than 31 px from a cell its share is below 1e-7 and left
    out. The article's term for the share of the classes is a constant 1 here; losses have weights of their own.
    """
    nearest = np.full(labels.shape, np.inf, np.float32)
    second = np.full(labels.shape, np.inf, np.float32)
    for box, cell in each_cell(labels):
        window = widened(box, _REACH_PX, labels.shape)
        squared = squared_distance(cell, box, window)
        second[window] = np.minimum(second[window], np.maximum(nearest[window], squared))
        nearest[window] = np.minimum(nearest[window], squared)
    weights = np.ones(labels.shape, np.float32)
    chosen = np.isfinite(second)
    if where == "background":
        chosen &= labels == 0
    reach = np.sqrt(nearest[chosen].astype(np.float64)) + np.sqrt(second[chosen].astype(np.float64))
    weights[chosen] += _HEIGHT * np.exp(-np.square(reach) / (2 * _SIGMA_PX**2))
    return weights
