"""From a foreground probability, a mask or a label image to objects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.instances.basin_graph import split_mask
from cellmonai.instances.components import label_components
from cellmonai.instances.filters import Found, filter_objects
from cellmonai.instances.morphology import close_mask, fill_holes, open_mask
from cellmonai.instances.rules import AUTO, NoSplit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.settings import InstanceSettings

__all__ = ["Found", "find_instances", "foreground", "keep_labels"]

_LEVELS = 1 << 16  # a power of two: 65,535 would put 0.1, 0.3, 0.5, … on the edge between two steps
_ROWS_AT_A_TIME = 256


def foreground(probability: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Take the pixels whose probability reaches the threshold, both rounded to whole 65,536ths.

    Parameters
    ----------
    probability : float32, shape (Y, X), in [0, 1]
    threshold : in [0, 1]

    Returns
    -------
    bool, shape (Y, X); a pixel that rounds to the threshold is foreground, one that is not a number is not

    Notes
    -----
    Engines differ by about 1e-6. After rounding, such a difference matters only half a step below the threshold, 8e-6
    away from it, and no longer at the threshold itself, a value such as 0.5 that maps do hold.
    """
    least = math.floor(threshold * _LEVELS + 0.5)
    inside = np.empty(probability.shape, np.bool_)
    for top in range(0, probability.shape[0], _ROWS_AT_A_TIME):
        rows = slice(top, top + _ROWS_AT_A_TIME)
        # float64 holds a float32 times 65,536 plus a half exactly wherever it matters, so nothing is rounded before
        np.greater_equal(probability[rows].astype(np.float64) * _LEVELS + 0.5, least, out=inside[rows])
    return inside


def find_instances(mask: NDArray[np.bool_], settings: InstanceSettings) -> Found:
    """Find the objects of a mask: opening, closing, holes, splitting, filters, numbering, in this order.

    Parameters
    ----------
    mask : bool, shape (Y, X), True on foreground
    settings : the threshold is not used here, see `foreground`

    Returns
    -------
    the label image, and how many objects each filter removed

    Notes
    -----
    An empty mask gives no objects. Pixels outside the image are not background: a cell cut by the border keeps its
    height there, and a field full of foreground is one object.
    """
    labels = split_mask(clean_mask(mask, settings), rule=AUTO if settings.split == "auto" else NoSplit())
    return filter_objects(labels, settings, notes={})


def clean_mask(mask: NDArray[np.bool_], settings: InstanceSettings) -> NDArray[np.bool_]:
    """Apply the morphology of the settings: opening, then closing, then holes."""
    if settings.opening:
        mask = open_mask(mask, settings.opening)
    if settings.closing:
        mask = close_mask(mask, settings.closing)
    return fill_holes(mask) if settings.fill_holes else mask


def keep_labels(labels: NDArray[np.integer], settings: InstanceSettings) -> Found:
    """Take a label image's own objects, filter and renumber them; nothing is split or united by shape.

    Parameters
    ----------
    labels : integer, shape (Y, X), 0 is background; ids may have gaps and any order
    settings : only the filters are used

    Returns
    -------
    the label image; an id that lies in several 8-connected pieces gives one object per piece, and
    `notes["extra_pieces"]` tells how many objects more than ids there were before the filters

    Raises
    ------
    InputError
        The ids are not whole numbers, or one is negative.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"the label image holds {labels.dtype} values, expected whole numbers")
    if labels.size and labels.min() < 0:
        raise InputError(
            f"the label image holds the negative id {labels.min()}, expected 0 for background and ids above"
        )
    pieces = label_components(labels)
    ids = np.unique(labels)
    extra = int(pieces.max(initial=0)) - int((ids != 0).sum())
    return filter_objects(pieces, settings, notes={"extra_pieces": extra} if extra else {})
