"""Crops: image and target stay together, random numbers depend on their address alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from painting import Disc, paint

from cellmonai.data.crops import crop_and_augment
from cellmonai.data.dataset import CropDataset, EpochSampler, foreground_target, training_loader
from cellmonai.data.samples import Sample
from cellmonai.recipe.augmentations import AUGMENTATIONS, DEFAULT_AUGMENT


def _step(name: str, **given: object) -> dict[str, object]:
    return {"name": name, **{key: row.default for key, row in AUGMENTATIONS[name].items()}, **given}


DEFAULT = [_step(**step) for step in DEFAULT_AUGMENT]
LABELS = paint([Disc(40, 40, 12), Disc(40, 63, 12), Disc(100, 90, 15), Disc(10, 120, 9)], (128, 160))


def _sample(labels: np.ndarray = LABELS) -> Sample:
    return Sample("field", (labels > 0)[None].astype(np.float32), labels.astype(np.int32), int(labels.max()))


def _dataset(steps: list[dict[str, object]], *, share: float = 0.7, patch: int = 64, seed: int = 3) -> CropDataset:
    augmentation = crop_and_augment(steps, patch=patch, foreground_share=share)
    return CropDataset([_sample()] * 3, augmentation, per_image=2, seed=seed)


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
        sampler = EpochSampler(len(dataset), batch_size=2, epochs=2, seed=0)
        for batch in training_loader(dataset, sampler, workers=workers):
            digest.update(batch["image"].numpy().tobytes() + batch["target"].numpy().tobytes())
        digests.add(digest.hexdigest())
    assert len(digests) == 1


def test_an_epoch_draws_every_crop_once_in_another_order() -> None:
    sampler = EpochSampler(10, batch_size=5, epochs=2, seed=0)
    epochs = [sorted(i for batch in list(sampler)[2 * e : 2 * e + 2] for _, i in batch) for e in (0, 1)]
    assert epochs == [list(range(10))] * 2
    assert [i for _, i in next(iter(sampler))] != [i for _, i in list(sampler)[2]]
    assert len(sampler) == 2 * sampler.batches_per_epoch == 4


def test_a_batch_larger_than_the_epoch_becomes_the_epoch() -> None:
    assert EpochSampler(3, batch_size=8, epochs=1, seed=0).batches_per_epoch == 1


def test_crops_favour_the_foreground_as_told() -> None:
    lonely = paint([Disc(100, 100, 6)], (512, 512))
    found = {}
    for share in (0.0, 1.0):
        augmentation = crop_and_augment([], patch=64, foreground_share=share)
        dataset = CropDataset([_sample(lonely)], augmentation, per_image=40, seed=0)
        found[share] = np.mean([dataset[(0, i)]["target"].max() for i in range(40)])
    assert found[1.0] == 1.0
    assert found[0.0] < 0.2


def test_an_image_smaller_than_the_crop_is_mirrored() -> None:
    labels = paint([Disc(10, 10, 5)], (20, 30))
    augmentation = crop_and_augment([], patch=64, foreground_share=0.5)
    crop = CropDataset([_sample(labels)], augmentation, per_image=1, seed=0)[(0, 0)]
    assert crop["image"].shape == (1, 64, 64)
    assert crop["target"].sum() > (labels > 0).sum()


def test_an_empty_field_gives_empty_crops() -> None:
    augmentation = crop_and_augment(DEFAULT, patch=64, foreground_share=1.0)
    empty = _sample(np.zeros((128, 128), np.int32))
    assert CropDataset([empty], augmentation, per_image=1, seed=0)[(0, 0)]["target"].sum() == 0


def test_touching_cells_are_parted_in_the_target_and_lone_ones_kept_whole() -> None:
    labels = np.zeros((8, 12), np.int32)
    labels[2:6, 2:5], labels[2:6, 5:8] = 1, 2
    labels[0, 11] = 3
    target = foreground_target(_sample(labels))[0]
    assert target[2:6, 4:6].sum() == 0
    assert target[2:6, 2:4].all()
    assert target[2:6, 6:8].all()
    assert target[0, 11] == 1
