"""The blur agrees with SciPy's and keeps what a blur must keep."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cellmonai.simulate.blur import blur, rough

ndimage = pytest.importorskip("scipy.ndimage")


@pytest.mark.parametrize("sigma_px", [0.5, 1.3, 4.0])
def test_the_blur_equals_the_one_of_scipy(sigma_px: float) -> None:
    image = np.random.default_rng(1).random((40, 57), np.float32)
    expected = ndimage.gaussian_filter(image, sigma_px, mode="reflect", radius=int(np.ceil(3 * sigma_px)))
    assert np.abs(blur(image, sigma_px) - expected).max() < 1e-5  # float32 sums of up to 25 terms


def test_a_wide_blur_comes_close_to_the_one_of_scipy() -> None:
    image = np.zeros((150, 120), np.float32)
    image[40:70, 30:60] = 1
    assert np.abs(blur(image, 14.0) - ndimage.gaussian_filter(image, 14.0)).max() < 0.02


@pytest.mark.parametrize("sigma_px", [0.0, 0.7, 5.0, 30.0])
def test_a_level_image_stays_level(sigma_px: float) -> None:
    level = np.full((33, 20), 0.25, np.float32)
    assert np.abs(blur(level, sigma_px) - 0.25).max() < 1e-6


def test_the_input_stays_as_it_was() -> None:
    image = np.random.default_rng(1).random((9, 9), np.float32)
    before = image.copy()
    blur(image, 0.0)[:] = 9
    blur(image, 1.0)[:] = 9
    assert np.array_equal(image, before)


@pytest.mark.parametrize("scale_px", [0.1, 2.0, 40.0])
@pytest.mark.parametrize("shape", [(1, 1), (64, 50)])
def test_a_rough_surface_is_normalised(shape: tuple[int, int], scale_px: float) -> None:
    surface = rough(shape, scale_px, np.random.default_rng(2))
    assert surface.shape == shape
    assert surface.dtype == np.float32
    assert abs(float(surface.mean())) < 1e-3
    assert surface.size == 1 or abs(float(surface.std()) - 1) < 1e-3


def test_painting_needs_numpy_alone() -> None:
    code = (
        "import sys; from cellmonai.simulate import FieldSettings, paint_field;"
        "paint_field(FieldSettings(shape=(64, 64), cells=3), 1);"
        "sys.exit(bool({'scipy', 'skimage', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
