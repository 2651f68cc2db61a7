"""How the intensities of a plane that does not fit in memory are scaled, from all its pixels, a band at a time.

The numbers are those that `Normalisation.scaling_for` finds in the whole image: percentiles and extremes of integers
bit for bit, of floats too where neither of the neighbours that are interpolated overflows; the mean and deviation of
8 and 16 bit integers from exact sums, of others to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.bands import bands_of
from cellmonai.images.normalise import Normalisation, Scaling
from cellmonai.images.order_statistics import OrderStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from cellmonai.images.source import ImageSource, Region


def scaling_of(
    source: ImageSource,
    normalisation: Normalisation,
    *,
    channels: Sequence[int],
    plane: int,
    bands: Iterable[Region] | None = None,
    after_band: Callable[[int, int], None] | None = None,
) -> Scaling:
    """Find the scaling of a plane at full size.

    Parameters
    ----------
    source : an open image
    channels : those that are scaled, one pair of numbers for each
    plane : index into `source.planes`
    bands : boxes that cover the plane, each pixel once; boxes of 8 MiB along its tiles by default
    after_band : called with the number of bands that are done and of those known to be needed, over all passes

    Raises
    ------
    InputError
        The pixels cannot be read, or hold NaN or infinity.

    Notes
    -----
    `range` and `none` read nothing; 8 and 16 bit values and `zscore` are read once, 32 bit values twice, 64 bit values
    two to four times. Besides one band, memory takes up to 6 MiB per channel, and 32 MiB more for 32 and 64 bit values.
    """
    if normalisation.method in ("range", "none"):
        pairs = [normalisation.pair() for _ in channels]
    else:
        boxes = tuple(bands_of(source, channels=len(channels)) if bands is None else bands)
        reading = _Passes(source, tuple(channels), plane, boxes, after_band or (lambda _done, _of: None))
        pairs = (_percentiles if normalisation.method == "percentile" else _moments)(reading, normalisation)
    return Scaling(tuple(o for o, _ in pairs), tuple(s for _, s in pairs), normalisation.clip)


@dataclass(slots=True)
class _Passes:
    """Passes over the bands of a plane; `greatest` are the greatest values of the channels, after the first one."""

    source: ImageSource
    channels: tuple[int, ...]
    plane: int
    boxes: tuple[Region, ...]
    after_band: Callable[[int, int], None]
    done: int = 0
    greatest: tuple[float, ...] = ()

    @property
    def pixels(self) -> int:
        return sum((row1 - row0) * (column1 - column0) for row0, column0, row1, column1 in self.boxes)

    @property
    def is_narrow(self) -> bool:
        """Whether the type has at most 65,536 values, all of them whole numbers."""
        return self.source.dtype.kind in "bui" and self.source.dtype.itemsize <= 2

    def over(self, take: Callable[[NDArray[Any]], None], *, passes: int) -> None:
        """Hand every band, (C, h, w), to `take`; `passes` are those that are left with this one."""
        end = self.done + passes * len(self.boxes)
        for box in self.boxes:
            take(self.source.read(box, channels=self.channels, plane=self.plane))
            self.done += 1
            self.after_band(self.done, end)

    def searches(self, ranks: Iterable[int]) -> list[OrderStatistics]:
        """Find order statistics of every channel."""
        searches = [OrderStatistics(self.source.dtype, ranks) for _ in self.channels]
        greatest = [-math.inf for _ in self.channels]

        def take(band: NDArray[Any]) -> None:
            for number, (search, channel) in enumerate(zip(searches, band, strict=True)):
                if not self.greatest:
                    greatest[number] = max(greatest[number], float(channel.max()))
                if not search.done:
                    search.add(channel)

        while not all(search.done for search in searches):
            is_first_of_two = not self.greatest and self.source.dtype.itemsize > 2
            self.over(take, passes=2 if is_first_of_two else 1)
            self.greatest = tuple(greatest)
            for search in searches:
                if not search.done:
                    search.end_pass()
        return searches


def _percentiles(reading: _Passes, normalisation: Normalisation) -> list[tuple[float, float]]:
    last = reading.pixels - 1
    places = [last * (share / 100.0) for share in (normalisation.low, normalisation.high)]
    ends = [(min(int(place), last), min(int(place) + 1, last)) for place in places]
    searches = reading.searches(dict.fromkeys(rank for pair in ends for rank in pair))
    pairs = []
    for search, greatest in zip(searches, reading.greatest, strict=True):
        low, high = (
            _between(search.value(a), search.value(b), place - a) for (a, b), place in zip(ends, places, strict=True)
        )
        pairs.append(normalisation.pair(low, high, greatest=greatest))
    return pairs


def _between(low: Any, high: Any, share: float) -> float:  # noqa: ANN401 - numbers of the stored type
    """Interpolate as NumPy's percentile does, from the nearer end, so that the last bit is the same."""
    step = float(high - low) if low.dtype.kind == "f" else float(int(high) - int(low))
    return float(low) + step * share if share < 0.5 else float(high) - step * (1 - share)


def _moments(reading: _Passes, normalisation: Normalisation) -> list[tuple[float, float]]:
    exact = reading.is_narrow
    moments = [_exact_moments(search) for search in reading.searches(())] if exact else _merged_moments(reading)
    return [normalisation.pair(mean, mean + deviation) for mean, deviation in moments]


def _exact_moments(search: OrderStatistics) -> tuple[float, float]:
    """Give mean and deviation from how often each value occurs, with sums of any length."""
    seen = np.flatnonzero(search.counts)
    values = [int(place) + search.smallest for place in seen]
    counts = [int(count) for count in search.counts[seen]]
    pixels = sum(counts)
    total = sum(value * count for value, count in zip(values, counts, strict=True))
    squares = sum(value * value * count for value, count in zip(values, counts, strict=True))
    return total / pixels, math.sqrt((pixels * squares - total * total) / pixels**2)


def _merged_moments(reading: _Passes) -> list[tuple[float, float]]:
    """Give mean and deviation, merged from those of the bands.

    References
    ----------
    Chan, Golub, LeVeque 1983, Algorithms for computing the sample variance, equations 2.1.
    """
    parts = [(0, 0.0, 0.0) for _ in reading.channels]  # pixels, mean, sum of squared distances from it

    def take(band: NDArray[Any]) -> None:
        for number, channel in enumerate(band):
            before, mean, spread = parts[number]
            values = channel.astype(np.float64)
            here = float(values.mean())
            values -= here
            after, step = before + values.size, here - mean
            spread += float(np.square(values, out=values).sum()) + step * step * before * values.size / after
            parts[number] = (after, mean + step * values.size / after, spread)

    reading.over(take, passes=1)
    return [(mean, math.sqrt(spread / pixels)) for pixels, mean, spread in parts]
