"""An image with bright and dark swapped, for dark cells on a bright ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.source import ImageFacts, ImageSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.images.source import Region

_BAND_PX = 1 << 22


class InvertedSource(ImageSource):
    """Another source with its intensities turned over, in the same range.

    The range is that of the type for whole numbers, and that of the plane and channel for others, found by a pass over
    them at the first reading.

    Parameters
    ----------
    source : stays open as long as this is used; closing this closes it
    """

    def __init__(self, source: ImageSource) -> None:
        facts = ImageFacts(
            stored_axes=source.stored_axes,
            shape=source.shape,
            channels=source.channels,
            dtype=source.dtype,
            pixel_size_um=source.pixel_size_um,
            levels=source.levels,
            planes=source.planes,
            z_step_um=source.z_step_um,
            notes=source.notes,
            warnings=source.warnings,
        )
        super().__init__(source.path, facts, source.budget)
        self._source = source
        self._sums: dict[tuple[int, int], Any] = {}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file's content, in hexadecimal."""
        return self._source.fingerprint

    def require_unchanged(self) -> None:
        """As of the source."""
        self._source.require_unchanged()

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of a tile, strip or chunk of the source."""
        return self._source.block_shape(level)

    def keep_rows_only(self) -> None:
        """As of the source."""
        self._source.keep_rows_only()

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

    def close(self) -> None:
        """Close the source."""
        self._source.close()
