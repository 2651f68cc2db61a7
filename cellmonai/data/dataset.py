"""Crops for training whose random numbers are a function of run seed, epoch and place in the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import MetaTensor, set_track_meta
from torch.utils.data import DataLoader, Dataset, Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monai.transforms import Compose

    from cellmonai.data.samples import Sample

Step = tuple[int, int]
"""Epoch and index within the epoch of one crop."""


class CropDataset(Dataset[dict[str, torch.Tensor]]):
    """Augmented crops of samples, addressed by (epoch, index).

    The same address gives the same crop whatever the worker, the number of workers or what was drawn before: MONAI's
    own seeding depends on all three.

    Parameters
    ----------
    samples : decoded images
    augmentation : from a whole sample to a crop
    per_image : crops of each image in an epoch
    seed : of the run
    """

    def __init__(self, samples: Sequence[Sample], augmentation: Compose, *, per_image: int, seed: int) -> None:
        set_track_meta(False)  # bookkeeping of positions costs as much as the small transforms themselves
        self.samples, self.augmentation, self.seed, self.per_image = samples, augmentation, seed, per_image
        self.targets = [foreground_target(sample) for sample in samples]
        self.foregrounds = [np.flatnonzero(target[0]).astype(np.int64) for target in self.targets]

    def __len__(self) -> int:
        """Crops in one epoch."""
        return len(self.samples) * self.per_image

    def __getitem__(self, step: Step) -> dict[str, torch.Tensor]:
        """Give `image` (C, Y, X) and `target` (1, Y, X), float32."""
        epoch, index = step
        which = index % len(self.samples)
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(4)
        self.augmentation.set_random_state(state=np.random.RandomState(seeds))
        crop: dict[str, Any] = self.augmentation(
            {
                "image": self.samples[which].image,
                "target": self.targets[which],
                "foreground": self.foregrounds[which],
            }
        )
        return {key: _plain(crop[key]) for key in ("image", "target")}


def foreground_target(sample: Sample) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Give the foreground of a sample, (1, Y, X) float32 of 0 and 1, cut where two cells touch.

    A pixel whose right or lower neighbours hold another cell is background, so that the network learns the seam that
    splitting needs; cells that touch nothing keep every pixel.
    """
    labels = sample.labels
    seam = np.zeros(labels.shape, bool)
    for here, there in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]),
        (np.s_[:-1, 1:], np.s_[1:, :-1]),
    ):
        differ = (labels[here] != labels[there]) & (labels[here] > 0) & (labels[there] > 0)
        seam[here] |= differ
        seam[there] |= differ
    return ((labels > 0) & ~seam)[None].astype(np.float32)


class EpochSampler(Sampler[list[Step]]):
    """All batches of a run in order, each epoch shuffled by (seed, epoch)."""

    def __init__(self, length: int, *, batch_size: int, epochs: int, seed: int) -> None:
        self.length, self.epochs, self.seed = length, epochs, seed
        self.batch_size = min(batch_size, length)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches in an epoch; a rest, which differs from epoch to epoch, is left out."""
        return self.length // self.batch_size

    def __len__(self) -> int:
        """Batches in the whole run."""
        return self.epochs * self.batches_per_epoch

    def __iter__(self) -> Iterator[list[Step]]:
        """Give batches of (epoch, index)."""
        for epoch in range(self.epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
            for start in range(0, self.batches_per_epoch * self.batch_size, self.batch_size):
                yield [(epoch, int(index)) for index in order[start : start + self.batch_size]]


def training_loader(
    dataset: CropDataset, sampler: EpochSampler, *, workers: int
) -> DataLoader[dict[str, torch.Tensor]]:
    """Load the batches of a whole run: one loader, so that workers start once and prefetch across epochs."""
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers)


def _plain(array: Any) -> torch.Tensor:  # noqa: ANN401 - MONAI gives arrays, tensors or MetaTensors
    tensor = array.as_tensor() if isinstance(array, MetaTensor) else torch.as_tensor(array)
    return tensor.float().contiguous()
