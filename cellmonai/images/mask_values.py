"""Which values a mask holds, learnt strip by strip: two of them or labels, and whether its borders were blurred."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows

_DARK, _BRIGHT = 31, 224  # JPEG at quality 30 moves 0 and 255 by less than this, away from borders
_LEAST_AT_ENDS, _LEAST_EXACT, _LEAST_BRIGHT = 0.7, 0.3, 5e-4
_LEAST_GREYS = 12
_MOST_EQUAL_NEIGHBOURS = 0.5  # in label images of cells of 4 px and more it is 0.8 and above


@dataclass(slots=True)
class MaskValues:
    """What the values of one plane of a mask are.

    Parameters
    ----------
    low, high : the smallest and the greatest value
    is_label_like : whether more than two values occur, as only in a label image
    foreground_px, pixels : how many pixels are not 0, and how many there are
    histogram : of uint8 planes, else empty; int64, shape (256,)
    grey_px, equal_neighbours : of uint8 planes: pixels other than 0 and 255, and those whose right neighbour is equal
    """

    low: int = 0
    high: int = 0
    is_label_like: bool = False
    foreground_px: int = 0
    pixels: int = 0
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    grey_px: int = 0
    equal_neighbours: int = 0

    @property
    def is_blurred(self) -> bool:
        """Whether this was a mask of 0 and 255 whose borders JPEG or resizing blurred.

        Nearly all pixels lie near 0 or 255, many at them; the others take many values and hardly ever equal their
        neighbour. In a label image, pixels mostly equal their neighbour; in a photograph, few lie at the ends.
        """
        if not self.histogram.size or not self.is_label_like or not self.grey_px:
            return False
        dark, bright = int(self.histogram[: _DARK + 1].sum()), int(self.histogram[_BRIGHT:].sum())
        exact = int(self.histogram[0] + self.histogram[-1])
        greys = int(np.count_nonzero(self.histogram[1:-1]))
        return (
            dark + bright >= _LEAST_AT_ENDS * self.pixels
            and exact >= _LEAST_EXACT * self.pixels
            and min(dark, bright) >= _LEAST_BRIGHT * self.pixels
            and greys >= _LEAST_GREYS
            and self.equal_neighbours <= _MOST_EQUAL_NEIGHBOURS * self.grey_px
        )


def values_of(plane: Rows) -> MaskValues:
    """Look at every pixel of a mask once, from top to bottom.

    Raises
    ------
    InputError
        The plane holds what is no label, or cannot be read.
    """
    seen = MaskValues()
    for number, (top, bottom) in enumerate(strips(plane.shape)):
        part = plane.rows(top, bottom)
        low, high = int(part.min()), int(part.max())
        if number == 0:
            seen.low, seen.high = low, high
            seen.histogram = np.zeros(256 if part.dtype == np.uint8 else 0, np.int64)
        many = bool(((part != low) & (part != high)).any()) if part.dtype != np.bool_ and high > low else False
        seen.is_label_like |= many or len({seen.low, seen.high, low, high}) > 2
        seen.low, seen.high = min(seen.low, low), max(seen.high, high)
        seen.foreground_px += int(np.count_nonzero(part))
        seen.pixels += part.size
        if seen.histogram.size:
            _look_at_greys(seen, part, low, high, many=many)
    return seen


def _look_at_greys(seen: MaskValues, part: NDArray[Any], low: int, high: int, *, many: bool) -> None:
    if not many:  # two values are counted much quicker than 256
        at_high = int(np.count_nonzero(part == high))
        seen.histogram[high] += at_high
        seen.histogram[low] += part.size - at_high
        return
    seen.histogram += np.bincount(part.ravel(), minlength=256)
    grey = part - np.uint8(1) < np.uint8(254)  # 0 wraps to 255
    seen.grey_px += int(np.count_nonzero(grey))
    seen.equal_neighbours += int(np.count_nonzero(grey[:, :-1] & (part[:, 1:] == part[:, :-1])))
