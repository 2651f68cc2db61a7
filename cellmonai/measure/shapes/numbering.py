"""Places for labels in tables: small labels are their own place, wild ones get the next free one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Numbering:
    """Turns the labels of strips into places 1, 2, … of a table that stays smaller than the image.

    A label image of a million pixels may well name its three objects 1, 2 and two billion. As long as no label is
    larger than the number of pixels seen so far, a label is its place and nothing is looked up. From the first larger
    one on, labels that are new get places behind all others, in order of arrival.
    """

    def __init__(self) -> None:
        self.size = 1  # places in use, with the background's
        self._own_place = 1  # labels below are their own place
        self._wild: dict[int, int] = {}
        self._pixels = 0

    def places(self, window: NDArray[np.integer]) -> NDArray[np.int32]:
        """Give the places of the labels, int32, shape (Y, X); 0 stays 0.

        Raises
        ------
        InputError
            A label is negative.
        """
        self._pixels += window.size
        highest = _highest(window)
        if not self._wild and highest <= self._pixels:
            self.size = self._own_place = max(self.size, highest + 1)
            return np.ascontiguousarray(window, np.int32)
        values, position = np.unique(window, return_inverse=True)
        places = np.array([self._place(int(value)) for value in values], np.int32)
        return places[position].reshape(window.shape)

    def labels(self) -> NDArray[np.int64]:
        """Give the label of every place, int64, shape (size,)."""
        own = np.arange(self._own_place, dtype=np.int64)
        return np.concatenate([own, np.fromiter(self._wild, np.int64, len(self._wild))])

    def _place(self, label: int) -> int:
        if label < self._own_place:
            return label
        if label not in self._wild:
            self._wild[label] = self.size
            self.size += 1
        return self._wild[label]


def _highest(window: NDArray[np.integer]) -> int:
    if window.size == 0:
        return 0
    if window.dtype == np.int32:  # one look finds negative labels too: unsigned they are the largest
        highest = int(window.view(np.uint32).max())
        if highest < 1 << 31:
            return highest
    if window.dtype.kind == "i" and (lowest := int(window.min())) < 0:
        raise InputError(f"a label is {lowest}, expected 0 for background and 1 or more for objects")
    return int(window.max())
