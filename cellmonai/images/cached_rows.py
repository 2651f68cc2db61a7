"""Rows that are made in blocks and kept for a while, since strips that overlap ask for the same rows again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BLOCK_PIXELS = 1 << 20
LEAST_BLOCK_ROWS, MOST_BLOCK_ROWS = 16, 256
KEPT_BYTES = 8 * 2**20
"""Blocks up to this sum are kept, or as many as the largest request so far touched, where that is more."""


class CachedRows:
    """A plane (Y, X) whose rows a function makes; `Rows`, safe to be asked by several threads.

    Parameters
    ----------
    shape : rows and columns
    make : gives rows top to bottom, half-open, always in the same type
    block_rows : rows that are made at a time; about a megapixel when None

    Notes
    -----
    Read from top to bottom, every row is made once, also where requests overlap: the blocks of the last request stay.
    Memory is bounded by twice the largest request, or by 8 MiB.
    """

    def __init__(
        self, shape: tuple[int, int], make: Callable[[int, int], NDArray[Any]], *, block_rows: int | None = None
    ) -> None:
        self.shape = shape
        self._make = make
        by_size = min(max(BLOCK_PIXELS // max(shape[1], 1), LEAST_BLOCK_ROWS), MOST_BLOCK_ROWS)
        self._block_rows = block_rows or by_size
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._most_blocks = 1
        self._lock = threading.RLock()

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open; they are not to be written into."""
        if not 0 <= top <= bottom <= self.shape[0]:
            raise ValueError(f"rows are {top} to {bottom}, expected a part of 0 to {self.shape[0]}")
        if top == bottom:
            with self._lock:
                return self._block(0)[:0]
        first, last = top // self._block_rows, (bottom - 1) // self._block_rows
        with self._lock:
            self._most_blocks = max(self._most_blocks, last - first + 1)
            blocks = [self._block(index) for index in range(first, last + 1)]
        start = first * self._block_rows
        if len(blocks) == 1:
            return blocks[0][top - start : bottom - start]
        return np.concatenate([blocks[0][top - start :], *blocks[1:-1], blocks[-1][: bottom - last * self._block_rows]])

    def _block(self, index: int) -> NDArray[Any]:
        block = self._kept.get(index)
        if block is None:
            top = index * self._block_rows
            block = self._make(top, min(top + self._block_rows, self.shape[0]))
            self._kept[index] = block
            self._forget_oldest(block.nbytes)
        self._kept.move_to_end(index)
        return block

    def _forget_oldest(self, block_bytes: int) -> None:
        most = max(self._most_blocks, KEPT_BYTES // max(block_bytes, 1))
        while len(self._kept) > most:
            self._kept.popitem(last=False)
