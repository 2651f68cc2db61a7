"""Strips of rows with what they need to see above and below; each row of the source is asked for once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows


@dataclass(frozen=True, slots=True)
class StripWindow:
    """A strip of rows and its surroundings.

    Parameters
    ----------
    top, bottom : the strip's rows in the image, half-open
    first : row of the image that `pixels` begins with
    pixels : shape (window rows, X); begins and ends `reach` rows beyond the strip, or at the image's border
    image_rows : rows of the whole image
    """

    top: int
    bottom: int
    first: int
    pixels: NDArray[Any]
    image_rows: int

    @property
    def strip(self) -> NDArray[Any]:
        """The strip alone, shape (bottom - top, X)."""
        return self.pixels[self.top - self.first : self.bottom - self.first]

    @property
    def columns(self) -> int:
        """Columns of the image."""
        return int(self.pixels.shape[1])


def strip_windows(source: Rows, *, reach: int, strip_rows: int) -> Iterator[StripWindow]:
    """Cut a plane into strips that see `reach` rows above and below themselves."""
    height, width = source.shape
    held, held_first = np.zeros((0, width), np.bool_), 0
    for top in range(0, height, strip_rows):
        bottom = min(top + strip_rows, height)
        first, last = max(top - reach, 0), min(bottom + reach, height)
        known = held_first + held.shape[0]
        kept = held[first - held_first :]
        if last > known:
            new = source.rows(known, last)
            kept = np.concatenate((kept, new)) if len(kept) else new
        held = kept
        held_first = first
        yield StripWindow(top, bottom, first, held, height)
