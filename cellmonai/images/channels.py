"""Channels: grey pictures stored as colour, and what a model wants of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RGB_NAMES = ("red", "green", "blue")

_ABOUT = 0.9
"""Channels whose standard deviations are so near each other differ about as much."""


def is_grey_rgb(array: NDArray[Any]) -> bool:
    """Tell whether `array` (C, Y, X) has three equal channels: a grey picture stored as colour."""
    return (
        array.ndim == 3
        and array.shape[0] == 3
        and bool(np.array_equal(array[0], array[1]) and (array[1] == array[2]).all())
    )


def strongest_channel(array: NDArray[Any]) -> int:
    """Give the index of the channel of `array` (C, Y, X) that holds the signal.

    It is the one whose values differ most; of several that differ about as much, the first.
    """
    spread = np.array([channel.std(dtype=np.float64) for channel in array])
    return int(np.argmax(spread >= _ABOUT * spread.max()))


def to_channels(array: NDArray[Any], wanted: int, *, where: str = "") -> NDArray[Any]:
    """Give `array` (C, Y, X) with `wanted` channels, where that loses nothing.

    Three equal channels become one; colour never becomes grey without being asked for.

    Raises
    ------
    InputError
        The number of channels is another one and the channels are not equal.
    """
    found = array.shape[0]
    if found == wanted:
        return array
    if wanted == 1 and is_grey_rgb(array):
        return array[:1]
    cure = f"give images with {wanted} channels"
    if wanted == 1:
        name = RGB_NAMES[strongest_channel(array)] if found == len(RGB_NAMES) else str(strongest_channel(array))
        cure = f"choose one, as --channel {name}, which varies most"
    kind = "colour with 3 different channels" if found == 3 else f"{found} channels"
    expected = "1 channel is" if wanted == 1 else f"{wanted} channels are"
    raise InputError(f"the image has {kind} and {expected} expected", where=where, cure=cure)
