"""Decoded tiles, strips and chunks that were used last: neighbouring windows share them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT_BYTES = 32 * 2**20
"""Most that a source keeps, however large the budget: the tiles that windows beside each other share, and no more.

Windows below one another would need whole rows of tiles of a slide to share any, which cost more memory than time.
"""


class SegmentCache:
    """Decoded segments up to a number of bytes; the one that was used longest ago goes first.

    Parameters
    ----------
    limit : in bytes; a segment that is larger by itself is not kept
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._kept: OrderedDict[tuple[int, ...], NDArray[Any]] = OrderedDict()

    def get(self, key: tuple[int, ...]) -> NDArray[Any] | None:
        """Give a kept segment and mark it as used."""
        segment = self._kept.get(key)
        if segment is not None:
            self._kept.move_to_end(key)
        return segment

    def put(self, key: tuple[int, ...], segment: NDArray[Any]) -> None:
        """Keep a segment and forget the oldest ones that no longer fit."""
        if segment.nbytes > self.limit:
            return
        self._kept[key] = segment
        self.used += segment.nbytes
        self.make_room(0)

    def make_room(self, amount: int) -> None:
        """Forget the oldest segments until `amount` bytes more would fit, or none is left."""
        while self._kept and self.used + amount > self.limit:
            _, old = self._kept.popitem(last=False)
            self.used -= old.nbytes
