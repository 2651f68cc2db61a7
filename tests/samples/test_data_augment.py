"""What holds for every augmentation: cells and target stay together, chance is the state's, nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import set_track_meta
from painting import Disc, paint

from cellmonai.data.augment import build_augmentation, crop_side
from cellmonai.recipe.augmentations import AUGMENTATIONS

SPATIAL = [
    "RandFlip",
    "RandRotate90",
    "RandRotate180",
    "RandAffine",
    "RandAffineShear",
    "RandZoom",
    "Rand2DElastic",
    "RandElastic",
    "RandElasticGrid",
    "RandMorelli2021",
]
TORN = "RandElasticSeed000"  # reflects the image and not the target, as published
INTENSITY = [name for name in AUGMENTATIONS if name not in (*SPATIAL, TORN)]
CHANNELS = [pytest.param(1, id="grey"), pytest.param(3, id="colour")]


@pytest.fixture(autouse=True)
def _without_metadata() -> None:
    set_track_meta(False)


def step(name: str, **given: object) -> dict[str, Any]:
    return {"name": name, **{key: row.default for key, row in AUGMENTATIONS[name].items()}, **given}


def painted_crop(side: int, *, channels: int = 1) -> dict[str, np.ndarray]:
    """One large cell of brightness 0.8 on a ground of 0.1, its mask, and a weight of 2 inside and 1 outside."""
    target = (paint([Disc(0.42 * side, 0.55 * side, 0.24 * side)], (side, side)) > 0).astype(np.float32)[None]
    image = np.repeat(0.1 + 0.7 * target, channels, axis=0)
    return {"image": image, "target": target, "weight": 1 + target}


def augmented(
    steps: list[dict[str, Any]], crop: dict[str, np.ndarray], *, patch: int, seed: int = 0
) -> dict[str, np.ndarray]:
    augmentation = build_augmentation(steps, patch=patch)
    augmentation.set_random_state(state=np.random.RandomState(seed))
    return {key: np.asarray(value) for key, value in augmentation(crop).items()}


def test_the_lists_of_these_tests_hold_every_augmentation() -> None:
    assert {*SPATIAL, *INTENSITY, TORN} == set(AUGMENTATIONS)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_small_crop_without_cells_keeps_size_and_kind_and_is_not_written_to(name: str, channels: int) -> None:
    steps = [step(name, prob=1.0)]
    side = crop_side(steps, 32)
    crop = {
        "image": np.random.default_rng(0).random((channels, side, side), np.float32),
        "target": np.zeros((2, side, side), np.float32),
        "weight": np.ones((1, side, side), np.float32),
    }
    before = {key: array.tobytes() for key, array in crop.items()}
    result = augmented(steps, crop, patch=32)
    assert {key: array.shape for key, array in result.items()} == {
        "image": (channels, 32, 32),
        "target": (2, 32, 32),
        "weight": (1, 32, 32),
    }
    assert all(array.dtype == np.float32 for array in result.values())
    assert np.isfinite(result["image"]).all()
    assert not result["target"].any()
    assert {key: array.tobytes() for key, array in crop.items()} == before


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", SPATIAL)
def test_target_and_weight_move_with_the_image(name: str, channels: int) -> None:
    steps = [step(name, prob=1.0)]
    crop = painted_crop(crop_side(steps, 96), channels=channels)
    for seed in range(6):
        result = augmented(steps, crop, patch=96, seed=seed)
        red = result["image"][0]
        inside, target = red > (red.min() + red.max()) / 2, result["target"][0] == 1
        assert (inside & target).sum() / (inside | target).sum() > 0.88
        outside = result["weight"] == 0  # where a grey came in
        assert np.array_equal(result["weight"], np.where(outside, 0, 1 + result["target"]))
        assert not outside.any() or name == "RandAffineShear"


@pytest.mark.parametrize("name", INTENSITY)
def test_intensities_change_in_the_image_alone(name: str) -> None:
    crop = painted_crop(96, channels=3)
    results = [augmented([step(name, prob=1.0)], crop, patch=96, seed=seed) for seed in range(3)]
    assert any(not np.array_equal(result["image"], crop["image"]) for result in results)
    assert all(np.array_equal(result[key], crop[key]) for result in results for key in ("target", "weight"))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_probability_0_gives_the_middle_of_the_crop_as_it_was(name: str) -> None:
    steps = [step(name, prob=0.0)]
    crop = painted_crop(crop_side(steps, 64), channels=3)
    first = (crop["image"].shape[-1] - 64) // 2
    for key, array in augmented(steps, crop, patch=64).items():
        assert np.array_equal(array, crop[key][:, first : first + 64, first : first + 64])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_state_gives_the_same_bytes_and_another_state_others(name: str) -> None:
    steps = [step(name, prob=1.0)]
    side = crop_side(steps, 48)
    crop = painted_crop(side) | {"image": np.random.default_rng(1).random((1, side, side), np.float32)}
    augmentation = build_augmentation(steps, patch=48)
    images = []
    for seed in (5, 5, *range(6, 12)):
        augmentation.set_random_state(state=np.random.RandomState(seed))
        images.append(np.asarray(augmentation(crop)["image"]).tobytes())
    assert images[0] == images[1]
    without_chance = {"RandFlip", "RandRotate180"}  # these draw nothing but whether they change the crop
    assert (len(set(images)) > 1) == (name not in without_chance)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_tensors_and_arrays_give_the_same_crop_with_and_without_weight(name: str) -> None:
    steps = [step(name, prob=1.0)]
    crop = painted_crop(crop_side(steps, 48))
    tensors = {key: torch.from_numpy(crop[key]) for key in ("image", "target")}
    augmentation = build_augmentation(steps, patch=48)
    augmentation.set_random_state(state=np.random.RandomState(3))
    result = augmentation(tensors)
    assert set(result) == {"image", "target"}
    assert all(isinstance(value, torch.Tensor) for value in result.values())
    expected = augmented(steps, crop, patch=48, seed=3)
    assert all(np.array_equal(result[key].numpy(), expected[key]) for key in result)


def test_metadata_of_monai_changes_nothing() -> None:
    steps = [step("RandAffine", prob=1.0), step("RandElastic", prob=1.0), step("RandContrastBrightness")]
    crop = painted_crop(crop_side(steps, 48))
    without = augmented(steps, crop, patch=48)
    set_track_meta(True)
    with_metadata = augmented(steps, crop, patch=48)
    set_track_meta(False)
    assert all(np.array_equal(without[key], with_metadata[key]) for key in crop)


def test_what_comes_in_as_zeros_weighs_nothing() -> None:
    steps = [step("RandAffine", prob=1.0, translate_range=60.0, padding_mode="zeros")]
    crop = painted_crop(crop_side(steps, 96))
    weights = [augmented(steps, crop, patch=96, seed=seed)["weight"] for seed in range(4)]
    assert set(np.unique(weights)) == {0.0, 1.0, 2.0}


def test_a_step_after_the_last_that_reaches_outside_sees_the_patch_alone() -> None:
    contrast = step("RandContrastBrightness", brightness=0.0, noise_sd=0.0, clip=False, contrast=0.9)
    steps = [step("RandAffine", prob=0.0), contrast, step("RandFlip", prob=0.0)]
    image = np.full((1, 80, 80), 9.0, np.float32)  # bright around the patch: would pull the mean up
    image[0, 8:72, 8:72] = np.random.default_rng(0).random((64, 64))
    crop = {"image": image, "target": np.zeros_like(image)}
    result = augmented(steps, crop, patch=64)["image"]
    assert result.mean() == pytest.approx(image[0, 8:72, 8:72].mean(), abs=1e-5)
    assert not np.allclose(result[0], image[0, 8:72, 8:72])


@pytest.mark.parametrize(
    ("names", "side"),
    [
        pytest.param([], 64, id="nothing"),
        pytest.param(["RandFlip", "RandRotate180", "RandMorelli2021", "RandDistractors"], 64, id="within the crop"),
        pytest.param(["RandFlip", "RandElastic"], 80, id="from outside the crop"),
    ],
)
def test_crops_are_larger_where_pixels_come_in_from_outside(names: list[str], side: int) -> None:
    assert crop_side([step(name) for name in names], 64) == side
