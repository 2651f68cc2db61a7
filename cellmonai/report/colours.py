"""Colours that are told apart with every common colour vision, and which object gets which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# after Okabe and Ito 2008, "Color universal design"; no red beside green
_ON_DARK = np.array([[255, 176, 0], [86, 200, 255], [255, 120, 200], [245, 235, 80]], np.uint8)
_ON_BRIGHT = np.array([[0, 114, 255], [230, 85, 0], [214, 0, 147], [0, 160, 140]], np.uint8)

# every ninth of viridis (van der Walt and Smith 2015, CC0), between which colours are interpolated
_VIRIDIS_NODES = np.array(
    [
        [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
        [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
    ],
    np.float64,
)  # fmt: skip

VIRIDIS: NDArray[np.uint8] = np.stack(
    [np.interp(np.linspace(0, 9, 256), np.arange(10), column) for column in _VIRIDIS_NODES.T], axis=1
).round().astype(np.uint8)  # fmt: skip
"""256 colours from dark violet to yellow, even steps to the eye."""

# mixed additively; magenta and green overlap to white, and differ to every eye
_MIXED = np.array([[0, 1, 0], [1, 0, 1], [1, 0.6, 0], [0, 0.6, 1]], np.float32)


def channel_colours(channels: int) -> NDArray[np.float32]:
    """Give one RGB colour in [0, 1] per channel: white for one, red, green, blue for three, mixed ones otherwise."""
    if channels == 1:
        return np.ones((1, 3), np.float32)
    if channels == 3:
        return np.eye(3, dtype=np.float32)
    return _MIXED[np.arange(channels) % len(_MIXED)]


def outline_palette(*, bright: bool) -> NDArray[np.uint8]:
    """Give the line colours, (4, 3): light ones for a dark picture, dark ones for a bright picture."""
    return _ON_BRIGHT if bright else _ON_DARK


def colour_per_label(labels: NDArray[Any], colours: int) -> NDArray[np.intp]:
    """Give a colour number for each label, 0 to the greatest, such that touching objects differ where they can.

    Parameters
    ----------
    labels : (Y, X), whole numbers, 0 is background
    colours : how many colours there are

    Notes
    -----
    Labels start with their number modulo `colours`; of a touching pair of one colour the greater label moves on by one,
    at most eight times over. A function of the label image alone.
    """
    chosen = np.arange(int(labels.max(initial=0)) + 1) % colours
    pairs = np.concatenate([_touching(labels[1:], labels[:-1]), _touching(labels[:, 1:], labels[:, :-1])])
    lesser, greater = pairs.min(axis=1), pairs.max(axis=1)
    for _ in range(8):
        clash = greater[chosen[lesser] == chosen[greater]]
        if not clash.size:
            break
        chosen[clash] = (chosen[clash] + 1) % colours
    return chosen


def _touching(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.intp]:
    """Give the pairs of labels that lie beside each other in two shifted views."""
    where = (one != other) & (one != 0) & (other != 0)
    return np.stack([one[where], other[where]], axis=1).astype(np.intp)
