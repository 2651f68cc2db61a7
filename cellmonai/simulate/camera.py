"""What the microscope and its camera make of the light: glow, uneven background, noise, whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.simulate.blur import blur, rough

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.simulate.settings import FieldSettings

_GLOW_SHARE = 0.10  # light of a wide-field microscope that comes from far out of focus
_READ_NOISE = 0.15  # of the camera, as a share of the photon noise at a cell of mean brightness
_VIGNETTE = 0.3  # darkening of the corners at full unevenness


def take_picture(
    light: NDArray[np.float32], settings: FieldSettings, random: np.random.Generator
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Give the camera image of the cells' light, (Y, X) uint8 or uint16."""
    mean_radius = sum(settings.radius_px) / 2
    glow = blur(light, 4 * mean_radius) if light.any() else light
    scene = (1 - _GLOW_SHARE) * light + _GLOW_SHARE * glow + _background(settings, random)
    scene = np.clip(scene * _illumination(settings, random), 0, None)
    # photons arrive by chance: the spread grows with the root of the light; reading them out adds a constant one
    spread = settings.noise * np.sqrt(scene + np.float32(_READ_NOISE**2))
    scene = scene + spread * random.standard_normal(settings.shape, np.float32)
    full = 2**settings.bits - 1
    counts: NDArray[np.float32] = np.clip(np.rint(scene * np.float32(settings.exposure * full)), 0, full)
    return counts.astype(np.uint8) if settings.bits == 8 else counts.astype(np.uint16)


def _background(settings: FieldSettings, random: np.random.Generator) -> NDArray[np.float32]:
    """Give the brightness of the empty field: a level, a slope and soft clouds."""
    rows, columns = _ramps(settings.shape)
    slope = random.uniform(-1, 1, 2).astype(np.float32)
    clouds = rough(settings.shape, max(settings.shape) / 5, random)
    waves = 0.35 * (slope[0] * rows + slope[1] * columns) + 0.12 * clouds
    return np.asarray(settings.background * np.clip(1 + settings.unevenness * waves, 0, None), np.float32)


def _illumination(settings: FieldSettings, random: np.random.Generator) -> NDArray[np.float32]:
    """Give the share of the lamp's light that reaches each pixel: most near the middle."""
    rows, columns = _ramps(settings.shape)
    row, column = random.uniform(-0.3, 0.3, 2).astype(np.float32)
    fall = settings.unevenness * _VIGNETTE / 2
    return np.asarray(1 - fall * ((rows - row) ** 2 + (columns - column) ** 2), np.float32)


def _ramps(shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give rows (Y, 1) and columns (1, X) from -1 to 1."""
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    return rows[:, None], columns[None, :]
