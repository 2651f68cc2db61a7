"""Weights of cell and background pixels from how often each occurs in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class ClassWeights(NamedTuple):
    """What a pixel of a cell and a pixel of background count in a loss."""

    positive: float
    negative: float


def foreground_share(foregrounds: Iterable[NDArray[Any]]) -> float:
    """Give the share of cell pixels, 0 to 1, in all pixels of training images together.

    Parameters
    ----------
    foregrounds : label images, masks or foreground maps of any shape; a pixel above 0 is a cell's

    Raises
    ------
    ValueError
        There is no pixel at all.
    """
    cells = pixels = 0
    for foreground in foregrounds:
        cells += int(np.count_nonzero(foreground > 0))
        pixels += foreground.size
    if pixels == 0:
        raise ValueError("no training pixels, of which the share of cells could be told")
    return cells / pixels


def shares_as_weights(share: float, *, factor: float = 1.0) -> ClassWeights:
    """Weigh each class by the share of the other one: background by f, cells by factor·(1 - f).

    These are inverse frequencies that add up to 1. The tiled CNN of the reference systems has a factor of 0.33, which
    with f = 0.0198 makes a cell pixel 16 times as dear as a background pixel.

    Raises
    ------
    InputError
        One of the classes does not occur.
    """
    _require_both(share)
    return ClassWeights(positive=factor * (1.0 - share), negative=share)


def ratio_as_weights(share: float, *, factor: float = 1.0) -> ClassWeights:
    """Weigh background by 1 and cells by factor·(1 - f)/f, so that with factor 1 both classes count the same in all.

    Raises
    ------
    InputError
        One of the classes does not occur.
    """
    _require_both(share)
    return ClassWeights(positive=factor * (1.0 - share) / share, negative=1.0)


def _require_both(share: float) -> None:
    if not 0.0 < share < 1.0:
        only = "background" if share <= 0.0 else "cells"
        raise InputError(
            f"the training images hold nothing but {only}, so that classes cannot be weighed by their shares",
            where="loss.class_weights",
            cure='use class_weights = "fixed", or check the masks',
        )
