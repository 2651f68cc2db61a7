"""What each pixel counts in a loss, by name: maps made from a label image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cellmonai.losses.border_weights import border_weights
from cellmonai.losses.crowding import crowding, crowding_morelli2021

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_MAKERS: dict[str, Callable[[NDArray[np.integer[Any]]], NDArray[np.float32]]] = {
    "crowding": crowding,
    "crowding_morelli2021": crowding_morelli2021,
    "border": partial(border_weights, where="background"),
    "border_everywhere": partial(border_weights, where="everywhere"),
}


def make_weight_map(labels: NDArray[np.integer[Any]], name: str) -> NDArray[np.float32]:
    """Make a weight map.

    Parameters
    ----------
    labels : integers (Y, X), 0 background, every other value one cell
    name : crowding, crowding_morelli2021, border or border_everywhere

    Returns
    -------
    float32 (Y, X); 1 or more, for crowding_morelli2021 0.25 to 1

    Raises
    ------
    ValueError
        There is no such map.
    InputError
        For crowding_morelli2021: cells more crowded than the original allows.
    """
    if name not in _MAKERS:
        raise ValueError(f"weight map {name!r} is none of {', '.join(_MAKERS)}")
    return _MAKERS[name](labels)
