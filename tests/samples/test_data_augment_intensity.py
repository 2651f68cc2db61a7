"""Contrast, brightness, tint and blur do what their names say, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.colors
import numpy as np
import pytest

from cellmonai.data.transforms.box_blur import RandBoxBlurd, box_blur, draw_odd
from cellmonai.data.transforms.colour import hsv_to_rgb, rgb_to_hsv, shift_hsv
from cellmonai.data.transforms.contrast_brightness import RandContrastBrightnessd
from cellmonai.data.transforms.rgb_shift import RandRGBShiftd

if TYPE_CHECKING:
    from cellmonai.data.transforms.crop_transform import CropTransformd

IMAGE = np.random.default_rng(0).random((3, 40, 40), np.float32)
MIDDLING = 0.3 + 0.4 * IMAGE


def images(transform: CropTransformd, image: np.ndarray, *, draws: int = 200) -> np.ndarray:
    transform.set_random_state(seed=0)
    return np.stack([transform({"image": image})["image"] for _ in range(draws)])


def contrast_brightness(
    *, brightness: float = 0.0, contrast: float = 0.0, noise_sd: float = 0.0, clip: bool = True
) -> RandContrastBrightnessd:
    return RandContrastBrightnessd(prob=1.0, brightness=brightness, contrast=contrast, noise_sd=noise_sd, clip=clip)


def test_brightness_is_a_factor() -> None:
    ratios = images(contrast_brightness(brightness=0.15), MIDDLING) / MIDDLING
    factors = ratios.mean(axis=(1, 2, 3))
    assert np.allclose(ratios, factors[:, None, None, None], atol=1e-4)
    assert 0.85 <= factors.min() < 0.87
    assert 1.13 < factors.max() <= 1.15


def test_contrast_keeps_the_mean() -> None:
    changed = images(contrast_brightness(contrast=0.15), MIDDLING)
    assert changed.mean(axis=(1, 2, 3)) == pytest.approx(np.full(200, MIDDLING.mean()), abs=1e-4)
    factors = changed.std(axis=(1, 2, 3)) / MIDDLING.std()
    assert 0.85 <= factors.min() < 0.87
    assert 1.13 < factors.max() <= 1.15 + 1e-6


def test_noise_has_the_same_strength_every_time() -> None:
    noise = images(contrast_brightness(noise_sd=0.02), MIDDLING, draws=20) - MIDDLING
    assert noise.std(axis=(1, 2, 3)) == pytest.approx(np.full(20, 0.02), rel=0.06)


def test_intensities_are_cut_where_asked() -> None:
    cut, free = (
        images(contrast_brightness(brightness=0.5, contrast=0.5, noise_sd=0.1, clip=clip), IMAGE, draws=20)
        for clip in (True, False)
    )
    assert (cut.min(), cut.max()) == (0, 1)
    assert free.min() < 0 < 1 < free.max()


def test_every_channel_is_shifted_by_its_own_number() -> None:
    transform = RandRGBShiftd(prob=1.0, red=(0.05, 0.06), green=(0.04, 0.045), blue=(0.0, 0.0))
    four = np.concatenate([MIDDLING, MIDDLING[:1]])
    shifts = (images(transform, four) - four).mean(axis=(2, 3))
    assert shifts.min(axis=0) == pytest.approx([0.05, 0.04, 0, 0], abs=5e-4)
    assert shifts.max(axis=0) == pytest.approx([0.06, 0.045, 0, 0], abs=5e-4)
    assert images(transform, IMAGE, draws=3).max() == 1.0
    assert (images(transform, MIDDLING[:1]) - MIDDLING[:1]).max() == pytest.approx(0.06, abs=5e-4)  # grey takes red


def test_a_blurred_point_is_an_even_square() -> None:
    point = np.zeros((1, 21, 21), np.float32)
    point[0, 10, 10] = 1
    square = np.zeros_like(point)
    square[0, 7:14, 7:14] = 1 / 49
    assert box_blur(point, 7) == pytest.approx(square, abs=1e-6)
    transform = RandBoxBlurd(prob=1.0, kernel_px=(7.0, 8.0))
    assert transform({"image": point})["image"] == pytest.approx(square, abs=1e-6)


@pytest.mark.parametrize(
    ("ends", "sides"),
    [
        pytest.param((3.0, 25.0), range(3, 26, 2), id="published"),
        pytest.param((4.0, 6.0), (3, 5), id="even ends count as the odd ones below"),
        pytest.param((1.0, 1.0), (1,), id="none"),
    ],
)
def test_sides_of_the_blur_are_odd_and_equally_likely(ends: tuple[float, float], sides: range | tuple[int]) -> None:
    random = np.random.RandomState(0)
    drawn, shares = np.unique([draw_odd(random, ends) for _ in range(4000)], return_counts=True)
    assert drawn.tolist() == list(sides)
    assert shares / 4000 == pytest.approx(np.full(len(sides), 1 / len(sides)), abs=0.03)


def test_hue_saturation_and_value_are_those_of_matplotlib() -> None:
    image = IMAGE.copy()
    image[:, :4], image[:, 4:8], image[0, 8:12] = 0, 0.5, image[1, 8:12]  # black, grey, two channels alike
    hue, saturation, value = np.moveaxis(matplotlib.colors.rgb_to_hsv(np.moveaxis(image, 0, -1)), -1, 0)
    assert rgb_to_hsv(image) == pytest.approx(np.stack([6 * hue, saturation, value]), abs=1e-5)
    assert hsv_to_rgb(rgb_to_hsv(image)) == pytest.approx(image, abs=1e-5)


def test_a_third_of_the_circle_turns_red_into_green_and_a_grey_image_only_gets_brighter() -> None:
    red = np.array([0.8, 0.0, 0.0], np.float32)[:, None, None]
    assert shift_hsv(red, hue_deg=120).ravel() == pytest.approx([0, 0.8, 0], abs=1e-6)
    assert shift_hsv(red, value=0.1).ravel() == pytest.approx([0.9, 0, 0], abs=1e-6)
    assert shift_hsv(red, saturation=-0.5).ravel() == pytest.approx([0.8, 0.4, 0.4], abs=1e-6)
    assert shift_hsv(red[:1], hue_deg=120, saturation=-0.5, value=0.1).ravel() == pytest.approx([0.9])
