"""Intensities are scaled by numbers of the whole image, also where the image is nearly empty."""

from __future__ import annotations

import numpy as np
import pytest

from cellmonai.images.normalise import Normalisation


def test_percentiles_become_0_and_1_in_every_channel() -> None:
    image = np.stack([np.arange(10_000.0), 10 * np.arange(10_000.0)]).reshape(2, 100, 100)
    scaled = Normalisation("percentile", 1.0, 99.0).scaling_for(image).apply(image)
    assert np.percentile(scaled[0], [1, 99]) == pytest.approx([0, 1], abs=1e-4)
    assert scaled[0] == pytest.approx(scaled[1], abs=1e-5)
    assert scaled.dtype == np.float32


def test_percentiles_are_interpolated_between_the_two_nearest_values_of_the_whole_16_bit_range() -> None:
    image = np.array([[[0, 100, 200, 300, 65_535]]], np.uint16)
    scaled = Normalisation("percentile", 2.0, 98.0).scaling_for(image).apply(image).ravel()
    low, high = 0.08 * 100, 300 + 0.92 * (65_535 - 300)  # rank 4 * 0.02 = 0.08 and 4 * 0.98 = 3.92
    assert scaled == pytest.approx((image.ravel() - low) / (high - low), abs=1e-6)


def test_a_single_cell_on_a_flat_ground_is_scaled_to_1() -> None:
    image = np.zeros((1, 512, 512), np.uint16)
    image[0, 100:120, 100:120] = 4000  # fewer pixels than the upper percentile leaves above it
    assert Normalisation().scaling_for(image).apply(image).max() == 1.0


@pytest.mark.parametrize("method", ["percentile", "zscore"])
def test_a_constant_image_is_flat_and_finite(method: str) -> None:
    image = np.full((1, 8, 8), 77, np.uint8)
    assert not Normalisation(method).scaling_for(image).apply(image).any()  # type: ignore[arg-type] # parametrised


def test_a_range_is_taken_at_its_word_and_none_changes_nothing() -> None:
    image = np.array([[[0, 50, 100, 200]]], np.uint8)
    assert Normalisation("range", 50, 150).scaling_for(image).apply(image).ravel().tolist() == [-0.5, 0, 0.5, 1.5]
    assert Normalisation("none").scaling_for(image).apply(image).ravel().tolist() == [0, 50, 100, 200]


def test_zscore_gives_mean_0_and_deviation_1() -> None:
    image = np.random.default_rng(0).normal(100, 20, (1, 64, 64))
    scaled = Normalisation("zscore").scaling_for(image).apply(image)
    assert scaled.mean() == pytest.approx(0, abs=1e-4)
    assert scaled.std() == pytest.approx(1, abs=1e-4)


def test_a_clipped_stretch_ends_at_0_and_1_and_a_constant_frame_is_0() -> None:
    frame = np.arange(1000, dtype=np.uint16).reshape(1, 25, 40)
    stretch = Normalisation("percentile", 2.0, 98.0, clip=True)
    scaled = stretch.scaling_for(frame).apply(frame)
    low, high = np.percentile(frame, (2, 98))
    np.testing.assert_allclose(scaled, np.clip((frame - low) / (high - low), 0, 1), atol=1e-6)
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    constant = np.full((1, 8, 8), 700, np.uint16)
    assert not stretch.scaling_for(constant).apply(constant).any()
