"""Turns, slants and zooms with signs; what comes in from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painting import Disc, paint
from scipy import ndimage

from cellmonai.data.transforms.affine_shear import RandAffineSheard
from cellmonai.data.transforms.rotate180 import RandRotate180d

STILL: dict[str, Any] = {"rotate_deg": (0.0, 0.0), "shear_deg": 0.0, "zoom": (1.0, 1.0), "flips": False}
PUBLISHED: dict[str, Any] = {"rotate_deg": (0.0, 360.0), "shear_deg": 10.0, "zoom": (0.8, 1.5), "flips": True}


def affine(settings: dict[str, Any], **given: object) -> RandAffineSheard:
    others = {"padding_mode": "reflection", "fill": (0.0, 0.0), "interpolation": "linear"}
    transform = RandAffineSheard(prob=1.0, **(settings | others | given))  # type: ignore[arg-type] # mixed kinds
    transform.set_random_state(seed=1)
    return transform


def test_the_result_is_that_of_scipy_with_the_same_matrix() -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((64, 64), np.float32), 1)
    result = affine(PUBLISHED)({"image": image[None]})["image"][0]
    drawn = affine(PUBLISHED)
    drawn.randomize(None)
    matrix, middle = drawn.draw_matrix(), np.full(2, 31.5)
    expected = ndimage.affine_transform(image, matrix, middle - matrix @ middle, order=1, mode="mirror")
    assert result == pytest.approx(expected, abs=1e-3)


def test_angles_zooms_and_signs_are_drawn_from_their_whole_ranges() -> None:
    transform = affine(PUBLISHED)
    matrices = np.stack([transform.draw_matrix() for _ in range(2000)])
    areas = np.linalg.det(matrices)
    assert np.mean(areas < 0) == pytest.approx(0.5, abs=0.04)  # one axis flipped, not both
    assert 0.8**2 * np.cos(np.deg2rad(10)) < np.abs(areas).min() < 0.75
    assert 2.0 < np.abs(areas).max() < 1.5**2
    quadrants = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]) // (np.pi / 2)
    assert np.unique(quadrants, return_counts=True)[1] / 2000 == pytest.approx([0.25] * 4, abs=0.04)


def test_a_zoom_above_1_shrinks_cells() -> None:
    target = (paint([Disc(32, 32, 20)], (64, 64)) > 0).astype(np.float32)[None]
    shrunk = affine(STILL | {"zoom": (1.5, 1.5)}, padding_mode="constant")({"image": target, "target": target})[
        "target"
    ]
    assert target.sum() / shrunk.sum() == pytest.approx(2.25, rel=0.05)


def test_nothing_to_do_changes_nothing() -> None:
    image = np.random.default_rng(0).random((3, 40, 40), np.float32)
    assert affine(STILL)({"image": image})["image"] == pytest.approx(image, abs=1e-4)


def test_a_grey_comes_in_from_outside_and_no_target_nor_weight() -> None:
    ones = np.ones((1, 64, 64), np.float32)
    transform = affine(STILL | {"zoom": (2.0, 2.0)}, padding_mode="constant", fill=(0.1, 0.2))
    crops = [transform({"image": ones, "target": ones, "weight": ones}) for _ in range(5)]
    greys = [crop["image"][0, 0, 0] for crop in crops]
    assert all(0.1 <= grey <= 0.2 for grey in greys)
    assert len(set(greys)) == 5
    for crop, grey in zip(crops, greys, strict=True):
        assert crop["image"][0, 0] == pytest.approx(grey)
        assert crop["target"][0, 0].max() == crop["weight"][0, 0].max() == 0
        assert crop["image"][0, 32, 32] == pytest.approx(1)
        assert crop["target"][0, 32, 32] == crop["weight"][0, 32, 32] == 1


def test_a_half_turn_is_exact() -> None:
    crop = {key: np.random.default_rng(0).random((2, 30, 40), np.float32) for key in ("image", "target", "weight")}
    turned = RandRotate180d(prob=1.0)(crop)
    assert all(np.array_equal(turned[key], np.rot90(crop[key], 2, axes=(1, 2))) for key in crop)
