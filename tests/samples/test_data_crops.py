"""Crops: image and target stay together, random numbers depend on their address alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from painting import Disc, paint

from cellmonai.data.crops import crop_and_augment
from cellmonai.data.dataset import CropDataset, EpochSampler, learnt, training_loader
from cellmonai.data.places import Cutting, all_places
from cellmonai.data.samples import Sample
from cellmonai.recipe.augmentations import AUGMENTATIONS, DEFAULT_AUGMENT


def _step(name: str, **given: object) -> dict[str, object]:
    return {"name": name, **{key: row.default for key, row in AUGMENTATIONS[name].items()}, **given}


DEFAULT = [_step(**step) for step in DEFAULT_AUGMENT]
LABELS = paint([Disc(40, 40, 12), Disc(40, 63, 12), Disc(100, 90, 15), Disc(10, 120, 9)], (128, 160))


def _sample(labels: np.ndarray = LABELS) -> Sample:
    return Sample("field", (labels > 0)[None].astype(np.float32), labels.astype(np.int32), int(labels.max()))


def _cut(
    samples: list[Sample],
    steps: list[dict[str, object]],
    *,
    cutting: Cutting,
    share: float = 0.7,
    seed: int = 0,
    weight_map: str = "none",
) -> CropDataset:
    augmentation = crop_and_augment(steps, patch=cutting.patch, foreground_share=share)
    pictures = [learnt(sample, kind="foreground", weight_map=weight_map) for sample in samples]
    return CropDataset(pictures, list(all_places(samples, cutting).values()), augmentation, seed=seed)


def _dataset(steps: list[dict[str, object]], *, seed: int = 3) -> CropDataset:
    samples = [replace(_sample(), name=f"field{i}") for i in range(3)]
    return _cut(samples, steps, cutting=Cutting("random", 64, per_image=2), seed=seed)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_changes_the_crop_and_keeps_its_size(name: str) -> None:
    plain, changed = _dataset([]), _dataset([_step(name, prob=1.0)])
    crops = [changed[(0, i)] for i in range(4)]
    assert all(crop["image"].shape == crop["target"].shape == (1, 64, 64) for crop in crops)
    assert all(crop["target"].unique().tolist() in ([0.0], [1.0], [0.0, 1.0]) for crop in crops)
    assert any(not torch.equal(crop["image"], plain[(0, i)]["image"]) for i, crop in enumerate(crops))


@pytest.mark.parametrize("name", ["RandFlip", "RandRotate90", "RandAffine", "RandZoom", "Rand2DElastic"])
def test_spatial_augmentations_move_the_target_with_the_image(name: str) -> None:
    dataset = _dataset([_step(name, prob=1.0)])
    for index in range(5):
        crop = dataset[(0, index)]
        assert ((crop["image"] > 0.5).float() - crop["target"]).abs().mean() < 0.03  # the seam and interpolation differ


def test_a_crop_depends_on_seed_epoch_and_index_alone() -> None:
    one, again, other = _dataset(DEFAULT), _dataset(DEFAULT), _dataset(DEFAULT, seed=4)
    again[(0, 1)]  # what was drawn before does not matter
    assert torch.equal(one[(1, 2)]["image"], again[(1, 2)]["image"])
    assert not torch.equal(one[(1, 2)]["image"], one[(2, 2)]["image"])
    assert not torch.equal(one[(1, 2)]["image"], other[(1, 2)]["image"])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_number_of_workers_changes_nothing() -> None:
    digests = set()
    for workers in (0, 1, 2):
        dataset, digest = _dataset(DEFAULT), hashlib.sha256()
        sampler = EpochSampler(len(dataset), batch_size=2, epochs=range(2), seed=0)
        for batch in training_loader(dataset, sampler, workers=workers):
            digest.update(batch["image"].numpy().tobytes() + batch["target"].numpy().tobytes())
        digests.add(digest.hexdigest())
    assert len(digests) == 1


def test_an_epoch_draws_every_crop_once_in_another_order() -> None:
    sampler = EpochSampler(10, batch_size=5, epochs=range(2), seed=0)
    epochs = [sorted(i for batch in list(sampler)[2 * e : 2 * e + 2] for _, i in batch) for e in (0, 1)]
    assert epochs == [list(range(10))] * 2
    assert [i for _, i in next(iter(sampler))] != [i for _, i in list(sampler)[2]]
    assert len(sampler) == 2 * sampler.batches_per_epoch == 4


def test_a_batch_larger_than_the_epoch_becomes_the_epoch() -> None:
    assert EpochSampler(3, batch_size=8, epochs=range(1), seed=0).batches_per_epoch == 1


def test_crops_favour_the_foreground_as_told() -> None:
    lonely = _sample(paint([Disc(100, 100, 6)], (512, 512)))
    found = {}
    for share in (0.0, 1.0):
        dataset = _cut([lonely], [], cutting=Cutting("random", 64, per_image=40), share=share)
        found[share] = np.mean([dataset[(0, i)]["target"].max() for i in range(40)])
    assert found[1.0] == 1.0
    assert found[0.0] < 0.2


def test_an_image_smaller_than_the_crop_is_mirrored() -> None:
    labels = paint([Disc(10, 10, 5)], (20, 30))
    crop = _cut([_sample(labels)], [], cutting=Cutting("random", 64), share=0.5)[(0, 0)]
    assert crop["image"].shape == (1, 64, 64)
    assert crop["target"].sum() > (labels > 0).sum()


def test_an_empty_field_gives_empty_crops() -> None:
    empty = _sample(np.zeros((128, 128), np.int32))
    assert _cut([empty], DEFAULT, cutting=Cutting("random", 64), share=1.0)[(0, 0)]["target"].sum() == 0


def test_the_crops_of_a_lattice_are_the_same_squares_in_every_epoch() -> None:
    sample = Sample("field", np.arange(128 * 160, dtype=np.float32).reshape(1, 128, 160), LABELS.astype(np.int32), 4)
    dataset = _cut([sample], [], cutting=Cutting("grid", 64))
    corners = [int(dataset[(epoch, i)]["image"][0, 0, 0]) for epoch in (0, 5) for i in range(len(dataset))]
    assert corners == [row * 160 + col for col in (0, 48, 96) for row in (0, 64)] * 2


def test_a_turned_crop_of_a_lattice_takes_real_pixels_from_around_it() -> None:
    sample = Sample("field", np.arange(128 * 160, dtype=np.float32).reshape(1, 128, 160), LABELS.astype(np.int32), 4)
    still = _step("RandAffine", prob=1.0, rotate_range=0.0, scale_range=0.0, shear_range=0.0)
    plain, wide = (_cut([sample], steps, cutting=Cutting("grid", 64)) for steps in ([], [still]))
    assert torch.allclose(plain[(0, 2)]["image"], wide[(0, 2)]["image"], atol=0.05)


def test_a_weight_map_goes_with_the_target() -> None:
    dataset = _cut([_sample()], DEFAULT, cutting=Cutting("grid", 64), weight_map="crowding")
    crops = [dataset[(0, i)] for i in range(len(dataset))]
    assert all(crop["weight"].shape == (1, 64, 64) for crop in crops)
    assert max(float(crop["weight"].max()) for crop in crops) >= 1.5
