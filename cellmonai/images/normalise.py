"""Intensities to the scale a network sees, by numbers taken once from the whole image.

The numbers belong to the image, never to a window of it: a window-wise percentile would give the same cell another
brightness in every window, and seams where windows meet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["percentile", "range", "zscore", "none"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """`(value - offset) / scale`, one pair of numbers per channel, with `clip` cut to 0 to 1."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    clip: bool = False

    def as_json(self) -> dict[str, Any]:
        """Give the form that journals and records hold."""
        return {"offset": list(self.offset), "scale": list(self.scale), "clip": self.clip}

    def apply(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Scale an image (C, Y, X) of any dtype; gives float32 of the same shape."""
        offset = np.asarray(self.offset, np.float32)[:, None, None]
        inverse = np.asarray([1.0 / s for s in self.scale], np.float32)[:, None, None]
        scaled: NDArray[np.float32] = (image.astype(np.float32) - offset) * inverse
        return scaled.clip(0.0, 1.0, out=scaled) if self.clip else scaled


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How the scaling of an image is found.

    `percentile` maps the percentiles `low` and `high` of each channel to 0 and 1, without clipping; where they are
    equal, the greatest value takes the place of the higher one. `range` does the same with the intensities `low` and
    `high` themselves; `zscore` gives mean 0 and standard deviation 1; `none` leaves the values as they are.
    With `clip` what is below 0 or above 1 afterwards is cut off.
    """

    method: Method = "percentile"
    low: float = 1.0
    high: float = 99.8
    clip: bool = False

    def scaling_for(self, image: NDArray[Any]) -> Scaling:
        """Find the scaling of an image (C, Y, X).

        A constant channel is only shifted, so that an empty image stays flat instead of being divided by zero.
        """
        channels = [self._one_channel(channel) for channel in image]
        return Scaling(tuple(o for o, _ in channels), tuple(s for _, s in channels), self.clip)

    def _one_channel(self, channel: NDArray[Any]) -> tuple[float, float]:
        channel = channel.view(np.uint8) if channel.dtype.kind == "b" else channel
        match self.method:
            case "percentile":
                low, high = (float(v) for v in np.percentile(channel, (self.low, self.high)))
            case "zscore":
                low = float(channel.mean(dtype=np.float64))
                high = low + float(channel.std(dtype=np.float64))
            case _:
                return self.pair()
        return self.pair(low, high, greatest=float(channel.max()))

    def pair(self, low: float = 0.0, high: float = 1.0, *, greatest: float = 1.0) -> tuple[float, float]:
        """Give (offset, scale) of one channel.

        Parameters
        ----------
        low, high : its percentiles, or its mean and that plus its deviation; `range` and `none` do not look at them
        greatest : its greatest value
        """
        match self.method:
            case "percentile" if low == high:
                high = greatest  # less foreground than the percentile leaves above it: scale to the brightest pixel
            case "range":
                low, high = self.low, self.high
            case "none":
                low, high = 0.0, 1.0
        return low, (high - low) if high > low else 1.0

    def as_json(self) -> dict[str, Any]:
        """Give the form that the model file holds."""
        return asdict(self)
