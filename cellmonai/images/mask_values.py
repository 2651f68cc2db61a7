"""Which values a mask holds, learnt strip by strip: two of them, a few, or labels, and whether its borders are grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows

MOST_CLASSES = 32
"""Masks with more values than this are not taken for masks of classes; their values are not listed."""

USUAL_FOREGROUND = (1, 255, 65535)
"""What programs write for the foreground of a binary mask."""

_DARK, _BRIGHT = 31 / 255, 224 / 255  # JPEG at quality 30 moves 0 and 255 by less than this, away from borders
_LEAST_AT_ENDS, _LEAST_EXACT, _LEAST_BRIGHT = 0.7, 0.3, 5e-4
_LEAST_HIGH = 32  # greys of masks with a smaller foreground value cannot be told from labels
_MANY_GREYS = 12
_MOST_EQUAL_NEIGHBOURS = 0.5  # in label images of cells of 4 px and more it is 0.8 and above
_MOST_FLAT = 0.25  # for few greys; a square label of 3 px has 0.44


@dataclass(frozen=True, slots=True)
class MaskValues:
    """What the values of one plane of a mask are.

    Parameters
    ----------
    low, high : the smallest and the greatest value
    is_label_like : whether more than two values occur
    distinct : all values in rising order; None where there are more than `MOST_CLASSES`
    foreground_px, pixels : how many pixels are not 0, and how many there are
    grey_px : pixels strictly between 0 and `high`, of masks whose borders are grey; else 0
    is_stored_bool : the file stores single bits, so that its one value is neither 1 nor 255
    """

    low: int = 0
    high: int = 0
    is_label_like: bool = False
    distinct: tuple[int, ...] | None = ()
    foreground_px: int = 0
    pixels: int = 0
    grey_px: int = 0
    is_stored_bool: bool = False

    @property
    def is_blurred(self) -> bool:
        """Whether this was a mask of two values whose borders JPEG, resizing or antialiasing made grey.

        Nearly all pixels lie near 0 or the greatest value, many at them; the others hardly ever equal their neighbours.
        In a label image, pixels mostly equal their neighbours; in a photograph, few lie at the ends.
        """
        return self.grey_px > 0

    @property
    def odd_value(self) -> int | None:
        """The only value beside 0 where it is none that masks use, as the label of a single cell; else None."""
        if self.is_label_like or self.low != 0 or not self.high or self.is_stored_bool:
            return None
        return None if self.high in USUAL_FOREGROUND else self.high


def values_of(plane: Rows) -> MaskValues:
    """Look at every pixel of a mask once, from top to bottom.

    Raises
    ------
    InputError
        The plane holds what is no label, or cannot be read.
    """
    seen: set[int] = set()
    low = high = foreground_px = pixels = 0
    few, label_like, is_bool = True, False, False
    greys: _Greys | None = None
    for number, (top, bottom) in enumerate(strips(plane.shape)):
        part = plane.rows(top, bottom)
        least, most = int(part.min()), int(part.max())
        if number == 0:
            low, high = least, most
            is_bool = part.dtype == np.bool_
            greys = _Greys(part.dtype.itemsize) if part.dtype in (np.uint8, np.uint16) else None
        many = bool(((part != least) & (part != most)).any()) if not is_bool and most > least else False
        label_like |= many or len({low, high, least, most}) > 2
        low, high = min(low, least), max(high, most)
        if few:
            seen |= set(_distinct(part)) if many else {least, most}
            few = len(seen) <= MOST_CLASSES
        if greys is not None:
            greys.add(part, (least, most), high, many=many)
        foreground_px += int(np.count_nonzero(part))
        pixels += part.size
    return MaskValues(
        low=low,
        high=high,
        is_label_like=label_like,
        distinct=tuple(sorted(seen)) if few else None,
        foreground_px=foreground_px,
        pixels=pixels,
        grey_px=greys.grey_px(high) if greys is not None and label_like else 0,
        is_stored_bool=is_bool,
    )


def _distinct(part: NDArray[Any]) -> list[int]:
    """Return the values of a strip; most pixels equal their left neighbour and need no sorting."""
    starts = np.ones(part.shape, np.bool_)
    np.not_equal(part[:, 1:], part[:, :-1], out=starts[:, 1:])
    found: list[int] = np.unique(part[starts]).tolist()
    return found


class _Greys:
    """How often each value occurs, and how many pixels of it equal their neighbours, of unsigned integers."""

    def __init__(self, itemsize: int) -> None:
        self.histogram = np.zeros(256**itemsize, np.int64)
        self.right = self.flat = 0

    def add(self, part: NDArray[Any], ends: tuple[int, int], high: int, *, many: bool) -> None:
        """Take a strip whose least and greatest values are `ends`; `many` says that it holds others too.

        `high` is the greatest value so far; pixels that equal it are not grey.
        """
        if not many:  # two values are counted much quicker than all; neither of them is grey
            at_high = int(np.count_nonzero(part == ends[1]))
            self.histogram[ends[1]] += at_high
            self.histogram[ends[0]] += part.size - at_high
            return
        self.histogram += np.bincount(part.ravel(), minlength=self.histogram.size)
        grey = (part != 0) & (part != high)
        equal = grey[:, :-1] & (part[:, 1:] == part[:, :-1])
        self.right += int(np.count_nonzero(equal))
        self.flat += int(np.count_nonzero(equal[:-1] & (part[1:, :-1] == part[:-1, :-1])))

    def grey_px(self, high: int) -> int:
        """Return how many pixels lie between 0 and `high` where the plane is a mask with grey borders, else 0."""
        counts = self.histogram[: high + 1]
        pixels, grey = int(counts.sum()), int(counts[1:-1].sum())
        if high < _LEAST_HIGH or not grey:
            return 0
        dark, bright = int(counts[: int(_DARK * high) + 1].sum()), int(counts[round(_BRIGHT * high) :].sum())
        ends = (
            dark + bright >= _LEAST_AT_ENDS * pixels
            and int(counts[0] + counts[-1]) >= _LEAST_EXACT * pixels
            and min(dark, bright) >= _LEAST_BRIGHT * pixels
        )
        many = np.count_nonzero(counts[1:-1]) >= _MANY_GREYS
        uneven = self.right <= _MOST_EQUAL_NEIGHBOURS * grey if many else self.flat <= _MOST_FLAT * grey
        return grey if ends and uneven else 0
