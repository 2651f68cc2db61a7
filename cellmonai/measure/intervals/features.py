"""What the shift test looks at: twelve numbers of an image and of what was counted in it, read strip by strip.

Up to four million pixels are all looked at; of larger planes, bands of rows spread evenly, chosen by the shape alone,
so that the same image gives the same numbers however it is stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import strips
from cellmonai.measure.shapes.intensity import ArrayChannels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.measure.shapes.intensity import ChannelRows

_PIXELS_LOOKED_AT = 1 << 22
_BANDS = 64
_SAMPLED_VALUES = 1 << 20  # of types with too many values for a histogram
_QUANTILES = {
    "intensity_01": 0.01,
    "intensity_25": 0.25,
    "intensity_50": 0.5,
    "intensity_75": 0.75,
    "intensity_99": 0.99,
}
_LAPLACIAN_NOISE_GAIN = math.sqrt(20.0)  # of white noise: 4² + 4 · 1²


def image_features(
    image: NDArray[Any] | ChannelRows, *, pixel_size_um: PixelSize | None, channels: Sequence[int] | None = None
) -> dict[str, float]:
    """Measure the features that an image has before any model sees it.

    Parameters
    ----------
    image : shape (Y, X) or (C, Y, X), any real dtype, as stored: not normalised
    pixel_size_um : (y, x), or None
    channels : indices of those to look at; all when None

    Returns
    -------
    Per channel (names of further channels end in `@1`, …) the intensities at 1, 25, 50, 75 and 99 %; `saturated`, the
    share of pixels at the greatest value that occurs; `sharpness`, the standard deviation of the Laplacian in units of
    what white noise of 1 would give; `dynamic_range`, greatest minus smallest value. Then `pixel_size` in µm, the
    geometric mean of both sides, where known. Rounded to 6 digits; nan where undefined.
    """
    planes = ArrayChannels(image) if isinstance(image, np.ndarray) else image
    shape = planes.shape
    bands = list(looked_at((shape[1], shape[2])))
    seen = sum(bottom - top for top, bottom in bands) * shape[2]
    chosen = list(range(shape[0])) if channels is None else list(channels)
    gathered = [_Channel(step=max(1, seen // _SAMPLED_VALUES)) for _ in chosen]
    for top, bottom in bands:
        above, below = max(0, top - 1), min(shape[1], bottom + 1)
        pixels = planes.rows(above, below)
        for channel, number in zip(gathered, chosen, strict=True):
            plane = pixels[number]
            channel.add_values(plane[top - above : bottom - above])
            channel.add_laplacian(plane)
    features: dict[str, float] = {}
    for number, channel in enumerate(gathered):
        features |= {name + (f"@{number}" if number else ""): value for name, value in channel.features().items()}
    if pixel_size_um is not None:
        features["pixel_size"] = _rounded(math.sqrt(pixel_size_um[0] * pixel_size_um[1]))
    return features


def count_features(
    areas_px: NDArray[Any], shape: tuple[int, int], *, confidence: float | None = None
) -> dict[str, float]:
    """Measure the features of what was counted.

    Parameters
    ----------
    areas_px : shape (N,), the areas of the counted objects
    shape : rows and columns of the image
    confidence : mean foreground probability over the objects, where known

    Returns
    -------
    `density` per megapixel; `area_median` and `area_iqr` (the middle half's spread) in px, nan without objects;
    `confidence` where it is known
    """
    low, median, high = np.quantile(areas_px, [0.25, 0.5, 0.75]).tolist() if areas_px.size else [math.nan] * 3
    features = {"density": areas_px.size / (shape[0] * shape[1]) * 1e6, "area_median": median, "area_iqr": high - low}
    if confidence is not None:
        features["confidence"] = confidence
    return {name: _rounded(value) for name, value in features.items()}


def before_the_model(names: Iterable[str]) -> list[str]:
    """Give the names of features that are about pixel values alone."""
    after = {"density", "area_median", "area_iqr", "confidence", "pixel_size"}
    return [name for name in names if name not in after]


def looked_at(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Give the rows (top, bottom) that are looked at: all, or 64 bands of about 4 million pixels in sum."""
    rows, columns = shape
    if rows * columns <= _PIXELS_LOOKED_AT or rows <= _BANDS:
        yield from strips(shape)
        return
    height = max(1, min(rows, _PIXELS_LOOKED_AT // columns) // _BANDS)
    for band in range(_BANDS):
        top = (rows - height) * band // (_BANDS - 1)
        yield top, top + height


class _Channel:
    """What is gathered of one channel while its strips pass by."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._histogram: NDArray[np.int64] | None = None
        self._first = 0  # the value of the histogram's bin 0
        self._samples: list[NDArray[Any]] = []
        self._sum = self._squares = 0.0
        self._inner_pixels = 0

    def add_values(self, plane: NDArray[Any]) -> None:
        """Count whole numbers of up to 16 bits exactly; of other types keep every `step`-th column."""
        if plane.dtype == bool:
            plane = plane.view(np.uint8)
        if plane.dtype.kind not in "iu" or plane.dtype.itemsize > 2:
            sample = plane[:, :: self._step].ravel()
            self._samples.append(sample[np.isfinite(sample)])
            return
        kind = np.iinfo(plane.dtype)
        self._first = int(kind.min)
        bins = plane.astype(np.intp).ravel() - self._first
        counts = np.bincount(bins, minlength=int(kind.max) - self._first + 1)
        self._histogram = counts if self._histogram is None else self._histogram + counts

    def add_laplacian(self, plane: NDArray[Any]) -> None:
        """Add the Laplacian of all pixels that have four neighbours here."""
        if min(plane.shape) < 3:
            return
        pixels = plane.astype(np.float64)
        laplacian = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:] - 4 * pixels[1:-1, 1:-1]
        self._sum += float(laplacian.sum())
        self._squares += float(np.square(laplacian).sum())
        self._inner_pixels += laplacian.size

    def features(self) -> dict[str, float]:
        """Give the features of the channel, by name."""
        values, counts = self._values()
        names = [*_QUANTILES, "saturated", "dynamic_range"]
        if not values.size:
            return dict.fromkeys([*names, "sharpness"], math.nan)
        numbers = [_quantile(values, counts, share) for share in _QUANTILES.values()]
        numbers += [float(counts[-1] / counts.sum()), float(values[-1]) - float(values[0])]
        return {**dict(zip(names, map(_rounded, numbers), strict=True)), "sharpness": _rounded(self._sharpness())}

    def _values(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        if self._histogram is not None:
            present = np.flatnonzero(self._histogram)
            return present + self._first, self._histogram[present]
        values, counts = np.unique(np.concatenate(self._samples), return_counts=True)
        return values, counts.astype(np.int64)

    def _sharpness(self) -> float:
        if not self._inner_pixels:
            return math.nan
        mean = self._sum / self._inner_pixels
        return math.sqrt(max(0.0, self._squares / self._inner_pixels - mean**2)) / _LAPLACIAN_NOISE_GAIN


def _quantile(values: NDArray[Any], counts: NDArray[np.int64], share: float) -> float:
    """Interpolate between the two nearest pixels in order of value, as `numpy.quantile` does."""
    ends = np.cumsum(counts)
    place = share * (int(ends[-1]) - 1)
    below, above = (
        float(values[np.searchsorted(ends, i, side="right")]) for i in (math.floor(place), math.ceil(place))
    )
    return below + (above - below) * (place - math.floor(place))


def _rounded(value: float) -> float:
    """Keep 6 digits, as the model file does: equal images must stay equal to what was written of them."""
    return float(f"{value:.6g}")
