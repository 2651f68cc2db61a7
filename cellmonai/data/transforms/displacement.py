"""Smooth random displacement fields, and the bound that keeps them from folding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gaussian_field(random: np.random.RandomState, shape: tuple[int, int], *, sigma_px: float) -> NDArray[np.float32]:
    """Draw two fields of uniform noise between -1 and 1, smoothed by a Gaussian; (2, Y, X) float32.

    From 1 px on, the values have a standard deviation of `uniform_noise_rms(sigma_px)`. The noise is drawn on a larger
    area, so that the edge of the crop is like its middle.
    """
    sizes = [fft.next_fast_len(size + math.ceil(4 * sigma_px), real=True) for size in shape]
    noise = random.uniform(-1.0, 1.0, (2, *sizes)).astype(np.float32)
    rows, cols = fft.fftfreq(sizes[0]), fft.rfftfreq(sizes[1])
    gains = [np.exp(-2 * (math.pi * sigma_px * frequency) ** 2) for frequency in (rows, cols)]
    smooth = fft.irfft2(fft.rfft2(noise) * np.multiply.outer(*gains).astype(np.float32), s=sizes)
    return np.ascontiguousarray(smooth[:, : shape[0], : shape[1]], np.float32)


def uniform_noise_rms(sigma_px: float) -> float:
    """Give the root mean square of uniform noise between -1 and 1 after a Gaussian of `sigma_px`: 0.163 / sigma."""
    return math.sqrt(1 / 3) / (2 * math.sqrt(math.pi) * sigma_px)


def steepest(field: NDArray[np.float32]) -> float:
    """Give the greatest change of a field (2, Y, X) from a pixel to the next, either component, either direction."""
    return max((float(np.abs(np.diff(field, axis=axis)).max(initial=0.0)) for axis in (1, 2)), default=0.0)


def unfolded(field: NDArray[np.float32], *, largest_gradient: float) -> NDArray[np.float32]:
    """Scale a displacement field (2, Y, X) in px down until no derivative exceeds `largest_gradient`.

    With every derivative within g the Jacobian determinant of place + displacement is at least (1 - g)² - g² = 1 - 2g:
    below g = 0.5 nothing folds, tears or vanishes.
    """
    gradient = steepest(field)
    return field if gradient <= largest_gradient else field * np.float32(largest_gradient / gradient)
