"""The steps that the augmentation of c-ResUnet is made of: geometry, lookup of intensities, elastic deformation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.data.transforms.colour import scale_contrast, shift_hsv
from cellmonai.data.transforms.displacement import gaussian_field
from cellmonai.data.transforms.warp import map_places, pixel_places, warp_crop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Crop = dict[str, NDArray[np.float32]]

_WRITTEN_FOR_PX = 512  # side of the crops for which the article's lengths were chosen


@dataclass(frozen=True, slots=True)
class Elastic:
    """Values that an elastic deformation chooses from, each entry as likely.

    `alpha` is the factor of Simard's field in px, `anchor_px` how far each of three points of the affine part moves at
    most in a crop of 512 px, `sigma_px` the smoothing of the field.
    """

    alpha: tuple[float, ...]
    anchor_px: tuple[float, ...]
    sigma_px: tuple[float, ...]


CELLS = Elastic((30, 30, 40, 40, 40, 50, 60), (40, 50, 50, 75, 75), (20, 30, 30, 40, 50))
ARTEFACTS = Elastic((30, 30, 30, 40), (20, 20, 20, 30, 40, 40), (20, 20, 20, 20, 30, 30, 15))


def change_geometry(crop: Crop, random: np.random.RandomState, prob: float) -> Crop:
    """With `prob`: turn by any angle in 3 of 4 cases, then with `prob` again flip rows or columns."""
    if random.rand() >= prob:
        return crop
    if random.rand() < 0.75:
        angle = np.deg2rad(random.uniform(-180, 180))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        crop = warp_crop(crop, map_places(pixel_places(crop["image"].shape[-2:]), turn))
    if random.rand() < prob:
        axis = 1 + int(random.randint(2))
        crop = {key: np.flip(array, axis) for key, array in crop.items()}
    return crop


def look_up(crop: Crop, random: np.random.RandomState, prob: float) -> Crop:
    """With `prob` twice over: lower the contrast, or shift the value by up to 0.05 either way, as likely."""
    if random.rand() >= prob or random.rand() >= prob:
        return crop
    if random.rand() < 0.5:
        return crop | {"image": scale_contrast(crop["image"], 1 + random.uniform(-0.7, 0.0))}
    return crop | {"image": shift_hsv(crop["image"], value=random.uniform(-0.05, 0.05))}


def shift_colours(crop: Crop, random: np.random.RandomState, *, hue_deg: float) -> Crop:
    """With probability 0.6: shift hue, saturation and value, or change the contrast by up to 0.4, as likely."""
    if random.rand() >= 0.6:
        return crop
    if random.rand() < 0.5:
        hue = random.uniform(-hue_deg, hue_deg)
        saturation, value = random.uniform(-0.1, 0.1, 2)
        return crop | {"image": shift_hsv(crop["image"], hue_deg=hue, saturation=saturation, value=value)}
    return crop | {"image": scale_contrast(crop["image"], 1 + random.uniform(-0.4, 0.4))}


def bend(crop: Crop, random: np.random.RandomState, settings: Elastic) -> Crop:
    """Move three points of the crop, add Simard's field, and in 3 of 10 cases move all by up to a tenth of the side."""
    return warp_crop(crop, draw_bent_places(crop["image"].shape[-2:], random, settings))


def draw_bent_places(shape: tuple[int, int], random: np.random.RandomState, settings: Elastic) -> NDArray[np.float32]:
    """Draw the sources of `bend`, (2, Y, X) in px.

    The original resamples after each part; here the parts are joined first, so that cells are blurred once. The points
    move in proportion to the side of the crop: by 75 px they would turn a crop of 128 px inside out.
    """
    alpha, anchor_px, sigma = (
        float(random.choice(values)) for values in (settings.alpha, settings.anchor_px, settings.sigma_px)
    )
    matrix, offset = _draw_affine(shape, random, anchor_px * min(shape) / _WRITTEN_FOR_PX)
    places = pixel_places(shape) + alpha * gaussian_field(random, shape, sigma_px=sigma)
    if random.rand() < 0.3:
        places += (random.uniform(-0.1, 0.1, 2) * shape)[:, None, None]
    return np.asarray(np.tensordot(matrix, places, axes=1) + offset[:, None, None], np.float32)


def _draw_affine(
    shape: tuple[int, int], random: np.random.RandomState, anchor_px: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give matrix (2, 2) and offset (2,) from places of the result to those of the crop as it was."""
    middle, reach = np.array(shape) // 2, min(shape) // 3
    before = middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    after = before + random.uniform(-anchor_px, anchor_px, (3, 2))
    solution = np.linalg.solve(np.column_stack([after, np.ones(3)]), before)
    return solution[:2].T, solution[2]
