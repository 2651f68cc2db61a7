"""An image with bright and dark swapped, for dark cells on a bright ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.wrapped import WrappedSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.images.source import ImageSource, Region

_BAND_PX = 1 << 22


class InvertedSource(WrappedSource):
    """Another source with its intensities turned over, in the same range.

    The range is that of the type for whole numbers, and that of the plane and channel for others, found by a pass over
    them at the first reading.

    Parameters
    ----------
    source : stays open as long as this is used; closing this closes it
    """

    def __init__(self, source: ImageSource) -> None:
        super().__init__(source)
        self._sums: dict[tuple[int, int], Any] = {}

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        pixels = self._source.read(box, channels=channels, level=level, plane=plane)
        if pixels.dtype.kind != "f":
            flipped: NDArray[Any] = np.invert(pixels)  # the largest number minus the value; for signed ones -1 minus it
            return flipped
        sums = [self._sum(channel, plane) for channel in channels]
        return np.stack([total - pixel for total, pixel in zip(sums, pixels, strict=True)]).astype(self.dtype)

    def _sum(self, channel: int, plane: int) -> Any:  # noqa: ANN401 - a number of the stored type
        """Give the least value of a plane plus the greatest."""
        if (channel, plane) not in self._sums:
            _, rows, columns = self.shape
            band = max(1, _BAND_PX // columns)
            ends = []
            for top in range(0, rows, band):
                part = self._source.read((top, 0, min(top + band, rows), columns), channels=[channel], plane=plane)
                ends.append((part.min(), part.max()))
            self._sums[channel, plane] = min(low for low, _ in ends) + max(high for _, high in ends)
        return self._sums[channel, plane]
