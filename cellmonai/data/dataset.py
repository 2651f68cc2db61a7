"""Crops for training whose random numbers are a function of run seed, epoch and place in the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import MetaTensor, set_track_meta
from torch.utils.data import DataLoader, Dataset, Sampler

from cellmonai.data.augment import KEYS
from cellmonai.losses.targets import make_target
from cellmonai.losses.weight_maps import make_weight_map

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monai.transforms import Compose
    from numpy.typing import NDArray

    from cellmonai.data.places import Place
    from cellmonai.data.samples import Sample

Step = tuple[int, int]
"""Epoch and index within the epoch of one crop."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """A sample as the network learns it.

    `image` is (C, Y, X), `target` (K, Y, X), `weight` (1, Y, X) or None, all float32; `foreground` holds the flat
    indices of the foreground's pixels, int64.
    """

    image: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32] | None
    foreground: NDArray[np.int64]


def learnt(sample: Sample, *, kind: str, weight_map: str) -> Learnt:
    """Give image, target and weight map of a sample; `kind` and `weight_map` are those of a recipe's target."""
    target = make_target(sample.labels, kind)
    weight = None if weight_map == "none" else make_weight_map(sample.labels, weight_map)[None]
    return Learnt(sample.image, target, weight, np.flatnonzero(target[0]).astype(np.int64))


class CropDataset(Dataset[dict[str, torch.Tensor]]):
    """Augmented crops of samples, addressed by (epoch, index).

    The same address gives the same crop whatever the worker, the number of workers or what was drawn before: MONAI's
    own seeding depends on all three.

    Parameters
    ----------
    samples : images with their targets
    places : which crops an epoch has
    augmentation : from a whole sample to a crop, see `crops.crop_and_augment`
    seed : of the run
    """

    def __init__(self, samples: Sequence[Learnt], places: Sequence[Place], augmentation: Compose, *, seed: int) -> None:
        set_track_meta(False)  # bookkeeping of positions costs as much as the small transforms themselves
        self.samples, self.places, self.augmentation, self.seed = samples, places, augmentation, seed

    def __len__(self) -> int:
        """Crops in one epoch."""
        return len(self.places)

    def __getitem__(self, step: Step) -> dict[str, torch.Tensor]:
        """Give `image` (C, Y, X), `target` (K, Y, X) and, where pixels are weighed, `weight` (1, Y, X), float32."""
        epoch, index = step
        place = self.places[index]
        sample = self.samples[place.sample]
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(4)
        self.augmentation.set_random_state(state=np.random.RandomState(seeds))
        whole: dict[str, Any] = {
            "image": sample.image,
            "target": sample.target,
            "foreground": sample.foreground,
            "corner": place.corner,
        }
        if sample.weight is not None:
            whole["weight"] = sample.weight
        crop: dict[str, Any] = self.augmentation(whole)
        return {key: _plain(crop[key]) for key in KEYS if key in crop}


class EpochSampler(Sampler[list[Step]]):
    """All batches of a stretch of epochs in order, each epoch shuffled by (seed, epoch); epochs count from 0."""

    def __init__(self, length: int, *, batch_size: int, epochs: range, seed: int) -> None:
        self.length, self.epochs, self.seed = length, epochs, seed
        self.batch_size = min(batch_size, length)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches in an epoch; a rest, which differs from epoch to epoch, is left out."""
        return self.length // self.batch_size

    def __len__(self) -> int:
        """Batches in the whole stretch."""
        return len(self.epochs) * self.batches_per_epoch

    def __iter__(self) -> Iterator[list[Step]]:
        """Give batches of (epoch, index)."""
        for epoch in self.epochs:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
            for start in range(0, self.batches_per_epoch * self.batch_size, self.batch_size):
                yield [(epoch, int(index)) for index in order[start : start + self.batch_size]]


def training_loader(
    dataset: CropDataset, sampler: EpochSampler, *, workers: int
) -> DataLoader[dict[str, torch.Tensor]]:
    """Load the batches of a stretch of epochs: one loader, so that workers start once and prefetch across epochs."""
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers)


def _plain(array: Any) -> torch.Tensor:  # noqa: ANN401 - MONAI gives arrays, tensors or MetaTensors
    tensor = array.as_tensor() if isinstance(array, MetaTensor) else torch.as_tensor(array)
    return tensor.float().contiguous()
