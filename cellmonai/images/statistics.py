"""How a plane's intensities are scaled, found band by band: the numbers are those of the whole plane at once.

Percentiles are exact order statistics, found as a radix sort would: a histogram of the upper 16 bits of all values,
then of the next 16 bits of those that share them, and so on. Values of 8 and 16 bits take one pass over the plane, of
32 bits two, of 64 bits four; memory does not depend on the plane.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.normalise import Scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cellmonai.images.normalise import Normalisation
    from cellmonai.images.source import ImageSource

    Bands = Callable[[], Iterator[NDArray[Any]]]

_BAND_PX = 1 << 22
_DIGIT = 16


def scaling_of(
    source: ImageSource, normalisation: Normalisation, *, channels: Sequence[int] | None = None, plane: int = 0
) -> Scaling:
    """Find the scaling of a plane as `Normalisation.scaling_for` does for an image in memory.

    Parameters
    ----------
    source : the image; it is read in bands of about 4 million px of a channel
    channels, plane : which part of it

    Returns
    -------
    one offset and scale per channel; for whole numbers the very same as of the image in memory, for others but for the
    rounding of interpolated percentiles and sums

    Raises
    ------
    InputError
        The pixels cannot be read.
    """
    wanted = range(source.shape[0]) if channels is None else channels
    pairs = [_ends(normalisation, partial(_bands, source, channel, plane), source) for channel in wanted]
    scales = [(high - low) if high > low else 1.0 for low, high in pairs]
    return Scaling(tuple(low for low, _ in pairs), tuple(scales), normalisation.clip)


def _bands(source: ImageSource, channel: int, plane: int) -> Iterator[NDArray[Any]]:
    _, rows, columns = source.shape
    band = max(1, _BAND_PX // columns)
    for top in range(0, rows, band):
        yield source.read((top, 0, min(top + band, rows), columns), channels=[channel], plane=plane)


def _ends(normalisation: Normalisation, bands: Bands, source: ImageSource) -> tuple[float, float]:
    """Give what becomes 0 and what becomes 1."""
    count = source.shape[1] * source.shape[2]
    match normalisation.method:
        case "percentile":
            low, high, greatest = _percentiles(bands, (normalisation.low, normalisation.high), count)
            return low, greatest if low == high else high
        case "range":
            return normalisation.low, normalisation.high
        case "zscore":
            mean = math.fsum(float(part.sum(dtype=np.float64)) for part in bands()) / count
            squares = math.fsum(float(np.square(part.astype(np.float64) - mean).sum()) for part in bands())
            return mean, mean + math.sqrt(squares / count)
        case "none":
            return 0.0, 1.0


def _percentiles(bands: Bands, percents: tuple[float, float], count: int) -> tuple[float, float, float]:
    """Give two percentiles, by linear interpolation between order statistics, and the greatest value."""
    places = [percent / 100 * (count - 1) for percent in percents]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))} | {count - 1})
    values = dict(zip(ranks, order_statistics(bands, ranks), strict=True))
    low, high = (_between(values[math.floor(place)], values[math.ceil(place)], place % 1.0) for place in places)
    return low, high, values[count - 1]


def _between(below: float, above: float, share: float) -> float:
    # as NumPy interpolates: from the nearer end, so that no rounding leads past the farther one
    return below + (above - below) * share if share < 0.5 else above - (above - below) * (1.0 - share)


def order_statistics(bands: Bands, ranks: Sequence[int]) -> list[float]:
    """Give the values of given ranks, 0 being the least, among all values of the bands, which are gone over anew.

    `bands` gives the same arrays of one type every time it is called; NaN is not among them.
    """
    found = {rank: (0, rank) for rank in ranks}  # the leading digits so far, and the rank among those that share them
    dtype: np.dtype[Any] | None = None
    shift = None
    while shift is None or shift > 0:
        histograms: dict[int, NDArray[np.int64]] = {}
        for part in bands():
            keys = _sortable(part)
            dtype, bits = part.dtype, keys.dtype.itemsize * 8
            now = max(bits - _DIGIT, 0) if shift is None else shift - _DIGIT
            for digits in {digits for digits, _ in found.values()}:
                _count(histograms, digits, keys, now, first=shift is None)
        shift = now
        found = {rank: _narrowed(histograms[digits], digits, left) for rank, (digits, left) in found.items()}
    assert dtype is not None
    return [_value_of(found[rank][0], dtype) for rank in ranks]


def _count(
    histograms: dict[int, NDArray[np.int64]], digits: int, keys: NDArray[Any], shift: int, *, first: bool
) -> None:
    kept = keys if first else keys[(keys >> np.uint64(shift + _DIGIT)) == digits]
    digit = ((kept >> kept.dtype.type(shift)) & kept.dtype.type(min(0xFFFF, np.iinfo(kept.dtype).max))).astype(
        np.uint16
    )
    counts = np.bincount(digit, minlength=1 << _DIGIT)
    histograms[digits] = histograms[digits] + counts if digits in histograms else counts


def _narrowed(histogram: NDArray[np.int64], digits: int, rank: int) -> tuple[int, int]:
    sums = np.cumsum(histogram)
    digit = int(np.searchsorted(sums, rank, side="right"))
    return (digits << _DIGIT) | digit, rank - (int(sums[digit - 1]) if digit else 0)


def _sortable(values: NDArray[Any]) -> NDArray[Any]:
    """Give unsigned integers in the order of the values."""
    flat = np.ascontiguousarray(values).ravel()
    if flat.dtype.kind == "b":
        return flat.astype(np.uint8)
    keys: NDArray[Any] = flat.view(f"u{flat.dtype.itemsize}")
    if flat.dtype.kind == "u":
        return keys
    sign = keys.dtype.type(1 << (8 * keys.dtype.itemsize - 1))
    if flat.dtype.kind == "i":
        flipped: NDArray[Any] = keys ^ sign
        return flipped
    return np.where(keys & sign, ~keys, keys | sign)


def _value_of(key: int, dtype: np.dtype[Any]) -> float:
    """Give the value of a sortable integer."""
    if dtype.kind in "bu":
        return float(key)
    bits = 8 * dtype.itemsize
    sign = 1 << (bits - 1)
    if dtype.kind == "i":
        return float(key - sign)
    raw = key & ~sign if key & sign else ~key & ((1 << bits) - 1)
    return float(np.array([raw], f"u{dtype.itemsize}").view(dtype)[0])
