"""From objects that touch to a black-and-white mask that keeps them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from cellmonai.instances.components import label_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOBODY = np.iinfo(np.int32).max


def cut_apart(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Draw a line of one px between objects that touch, out of the larger one, so that regions are the objects.

    Parameters
    ----------
    labels : int32, shape (Y, X); 0 is background

    Returns
    -------
    bool, shape (Y, X); each 8-connected region lies in one object, and no object has two

    Notes
    -----
    Where the line severs an object, its largest piece stays. An object that lies within one px of smaller ones all
    over, and so would be line only, is lost; the smaller of two never is.
    """
    area = np.bincount(labels.ravel(), minlength=1)
    rank = np.empty(area.size, np.int32)
    rank[np.argsort(area, kind="stable")] = np.arange(area.size, dtype=np.int32)  # smaller objects come first
    rank[0] = _NOBODY
    own = rank[labels]
    inside = labels > 0
    smallest_near = ndimage.minimum_filter(own, size=3, mode="nearest")
    return _largest_pieces(labels, inside & (smallest_near == own))


def _largest_pieces(labels: NDArray[np.int32], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    piece = label_components(kept)
    count = int(piece.max(initial=0))
    owner = np.zeros(count + 1, np.intp)
    owner[piece[kept]] = labels[kept]
    area = np.bincount(piece.ravel(), minlength=count + 1)
    # by owner, then the largest first, then the first in raster order
    order = np.lexsort((np.arange(1, count + 1), -area[1:], owner[1:])) + 1
    stays = np.zeros(count + 1, np.bool_)
    stays[order[np.concatenate([[True], np.diff(owner[order]) != 0])[: order.size]]] = True
    mask: NDArray[np.bool_] = stays[piece]
    return mask
