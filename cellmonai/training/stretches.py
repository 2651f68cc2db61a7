"""What training sees when: the phases of a recipe as stretches of epochs, each with its crops and augmentations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.data.crops import crop_and_augment
from cellmonai.data.dataset import CropDataset, EpochSampler, Learnt, training_loader
from cellmonai.data.places import Cutting, Place, all_places, pixels_at, repeated, with_foreground
from cellmonai.recipe.schema import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch.utils.data import DataLoader

    from cellmonai.data.samples import Sample
    from cellmonai.recipe.schema import Recipe


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive epochs on the same crops with the same augmentations.

    `last_epoch` counts from 1, as MONAI's engine does; an epoch has `batches` steps of `batch_size` crops.
    """

    loader: DataLoader[dict[str, torch.Tensor]]
    last_epoch: int
    epochs: int
    batches: int
    batch_size: int


class Curriculum:
    """The crops of a recipe's training images, phase by phase.

    Parameters
    ----------
    samples : the training images
    learnt : the same, as the network learns them
    factors : how often crops are seen, by name, beside what the recipe says

    Raises
    ------
    RecipeError
        No crop has enough foreground, or a name that no crop has.
    """

    def __init__(
        self, recipe: Recipe, samples: Sequence[Sample], learnt: Sequence[Learnt], *, factors: Mapping[str, int]
    ) -> None:
        self._recipe, self._learnt = recipe, learnt
        sampling = recipe.sampling
        self._factors = {**factors, **sampling.oversample}
        self._places = all_places(samples, cutting_of(recipe))
        self._masks = [one.target[0] > 0 for one in learnt]
        self._phases = recipe.training.phases or (Phase(epochs=recipe.training.epochs),)

    def stretches(self, *, workers: int) -> list[Stretch]:
        """Give the stretches in order, each with its own loader."""
        stretches: list[Stretch] = []
        first = 0
        for phase in self._phases:
            epochs = range(first, first + phase.epochs)
            stretches.append(self._stretch(phase, epochs, workers))
            first += phase.epochs
        return stretches

    def foreground_share(self) -> float:
        """Give the share of foreground among the pixels that the first phase learns from, before augmentation."""
        if self._recipe.sampling.method == "random":
            inside, total = sum(int(mask.sum()) for mask in self._masks), sum(mask.size for mask in self._masks)
        else:
            patch = self._recipe.sampling.patch
            places = self._chosen(self._phases[0]).values()
            inside = sum(pixels_at(place, self._masks, patch) for place in places)
            total = sum(self._area(place, patch) for place in places)
        return float(inside / total)

    def _stretch(self, phase: Phase, epochs: range, workers: int) -> Stretch:
        recipe = self._recipe
        places = repeated(self._chosen(phase), self._known_factors(phase))
        augmentation = crop_and_augment(
            _steps(recipe, phase), patch=recipe.sampling.patch, foreground_share=recipe.sampling.foreground_share
        )
        seed = recipe.training.seed
        dataset = CropDataset(self._learnt, places, augmentation, seed=seed)
        sampler = EpochSampler(len(dataset), batch_size=recipe.training.batch_size, epochs=epochs, seed=seed)
        return Stretch(
            loader=training_loader(dataset, sampler, workers=workers),
            last_epoch=epochs.stop,
            epochs=len(epochs),
            batches=sampler.batches_per_epoch,
            batch_size=sampler.batch_size,
        )

    def _chosen(self, phase: Phase) -> dict[str, Place]:
        sampling = self._recipe.sampling
        least = sampling.min_foreground_px if phase.min_foreground_px is None else phase.min_foreground_px
        if least == 0:
            return self._places
        return with_foreground(self._places, self._masks, patch=sampling.patch, least_px=least)

    def _known_factors(self, phase: Phase) -> dict[str, int]:
        """Leave out crops that this phase leaves out; a name that no phase knows stays, to be refused."""
        left_out = self._places.keys() - self._chosen(phase).keys()
        return {name: factor for name, factor in self._factors.items() if name not in left_out}

    def _area(self, place: Place, patch: int) -> int:
        assert place.corner is not None
        rows, columns = (np.array(self._masks[place.sample].shape) - place.corner).clip(max=patch)
        return int(rows * columns)


def cutting_of(recipe: Recipe) -> Cutting:
    """Give how a recipe cuts crops."""
    sampling = recipe.sampling
    return Cutting(sampling.method, sampling.patch, sampling.overlap, sampling.per_image)


def _steps(recipe: Recipe, phase: Phase) -> list[dict[str, Any]]:
    used = phase.augment
    return [
        {"name": step.name, **step.parameters}
        for step in recipe.augment
        if used is True or (isinstance(used, tuple) and step.name in used)
    ]
