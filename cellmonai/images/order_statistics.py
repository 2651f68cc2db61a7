"""The k-th smallest of more values than fit in memory, exactly: a radix search over bands of them.

A pass counts the first 16 bits of every value, the next one the following 16 bits of those that lie in the right bins,
until all bits are known or so few values are left that they are kept and sorted. 8 and 16 bit values need one pass,
32 bit values two, 64 bit values two to four. Floats are ordered by their bits, with those of negative ones turned over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

KEPT_VALUES = 2**21
"""As many values are kept and sorted instead of counted once more."""

_DIGIT = 16
_PIECE = 2**18  # values at a time, which stay in the processor's cache; counting makes each 8 bytes wide


class OrderStatistics:
    """Search for some order statistics of one channel.

    Parameters
    ----------
    dtype : of the values: bool, an integer or a float type
    ranks : from 0, the smallest value, to one less than how many there are

    Examples
    --------
    >>> search = OrderStatistics(np.dtype(np.float32), [1])
    >>> values = np.array([3.5, -1.0, 2.5], np.float32)
    >>> while not search.done:
    ...     search.add(values)
    ...     search.end_pass()
    >>> float(search.value(1))
    2.5
    """

    def __init__(self, dtype: np.dtype[Any], ranks: Iterable[int]) -> None:
        self.dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
        self._bits = 8 * self.dtype.itemsize
        self._digit = min(_DIGIT, self._bits)
        self._known = 0  # leading bits that are known of every value searched for
        self._places = {rank: (0, rank) for rank in ranks}  # to (known bits, rank among the values that have them)
        self._left = {0: -1}  # known bits to how many values have them; -1 before they were counted
        self._start_pass()

    @property
    def done(self) -> bool:
        """Whether every value is known."""
        return self._known == self._bits

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each value of an 8 or 16 bit type occurs, from the smallest on, after the first pass."""
        return self._counts[0]

    @property
    def smallest(self) -> int:
        """The value that `counts` begins with, for integers."""
        return int(np.iinfo(self.dtype).min)

    def _start_pass(self) -> None:
        few = self._known > 0 and sum(self._left.values()) <= KEPT_VALUES
        self._kept: dict[int, list[NDArray[Any]]] | None = {prefix: [] for prefix in self._left} if few else None
        size = 0 if few else 1 << self._digit
        self._counts = {prefix: np.zeros(size, np.int64) for prefix in self._left}

    def add(self, values: NDArray[Any]) -> None:
        """Take a band of values, of any shape; every pass must be given the same values."""
        flat = np.ascontiguousarray(values).reshape(-1)
        for start in range(0, flat.size, _PIECE):
            self._add(_ordered(flat[start : start + _PIECE], self.dtype))

    def _add(self, keys: NDArray[Any]) -> None:
        rest = self._bits - self._known
        for prefix in self._left:
            chosen = keys[keys >> np.asarray(rest, keys.dtype) == prefix] if self._known else keys
            if self._kept is not None:
                self._kept[prefix].append(chosen)
                continue
            digits = chosen >> np.asarray(rest - self._digit, keys.dtype)
            if self._known:
                digits &= np.asarray((1 << self._digit) - 1, keys.dtype)
            self._counts[prefix] += np.bincount(digits, minlength=1 << self._digit)

    def end_pass(self) -> None:
        """Narrow the search down by what the pass has counted."""
        places, left = {}, {}
        kept = {} if self._kept is None else {p: np.sort(np.concatenate(parts)) for p, parts in self._kept.items()}
        sums = {prefix: np.cumsum(counts) for prefix, counts in self._counts.items()}
        for rank, (prefix, within) in self._places.items():
            if kept:
                places[rank] = (int(kept[prefix][within]), 0)
                continue
            digit = int(np.searchsorted(sums[prefix], within, side="right"))
            below = int(sums[prefix][digit - 1]) if digit else 0
            longer = (prefix << self._digit) | digit
            places[rank] = (longer, within - below)
            left[longer] = int(sums[prefix][digit]) - below
        self._known = self._bits if kept else self._known + self._digit
        self._places, self._left = places, left
        if not self.done:
            self._start_pass()

    def value(self, rank: int) -> Any:  # noqa: ANN401 - a number of the stored type
        """Give the value of a rank that was asked for, as a NumPy number of the stored type."""
        unsigned = np.dtype(f"u{self.dtype.itemsize}")
        key, sign = self._places[rank][0], 1 << (self._bits - 1)
        if self.dtype.kind == "i":
            key ^= sign
        elif self.dtype.kind == "f":
            key = key ^ sign if key & sign else key ^ (2 * sign - 1)
        return np.array([key], unsigned).view(self.dtype)[0]


def _ordered(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Map values to unsigned integers that are ordered as they are."""
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    keys: NDArray[Any] = values.view(unsigned)
    sign = np.asarray(1 << (8 * dtype.itemsize - 1), unsigned)
    if dtype.kind == "i":
        keys = keys ^ sign
    elif dtype.kind == "f":
        negative = values.view(np.dtype(f"i{dtype.itemsize}")) >> (8 * dtype.itemsize - 1)  # all bits, or none
        keys = keys ^ (negative.view(unsigned) | sign)
    return keys
