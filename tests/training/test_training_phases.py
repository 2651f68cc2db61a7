"""A curriculum: phases with their own crops and augmentations, crops seen more often, targets of several maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painting import Disc, paint

from cellmonai.core.errors import InputError, RecipeError
from cellmonai.core.interrupts import StopWish
from cellmonai.core.progress import Silent
from cellmonai.data.dataset import learnt
from cellmonai.data.samples import Sample
from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import tensors_of
from cellmonai.nets.catalogue import describe, resolve
from cellmonai.recipe.schema import Recipe
from cellmonai.training.artefacts import artefact_factors
from cellmonai.training.stretches import Curriculum
from cellmonai.training.train import Trained, train
from cellmonai.training.validation import score

NORMALISATION = Normalisation("none", 0.0, 1.0)


def _sample(name: str, discs: list[Disc], *, seed: int = 0) -> Sample:
    labels = paint(discs, (64, 96))
    noise = np.random.default_rng(seed).normal(0.1, 0.03, (1, 64, 96))
    return Sample(name, (0.8 * (labels > 0)[None] + noise).astype(np.float32), labels, int(labels.max()))


LEFT = _sample("left", [Disc(16, 16, 7), Disc(48, 16, 7)])
FULL = _sample("full", [Disc(row, col, 7) for row in (16, 48) for col in (16, 48, 80)], seed=1)
EMPTY = _sample("empty", [], seed=2)
SAMPLES = [LEFT, FULL, EMPTY]


def _recipe(**sections: Any) -> Recipe:  # noqa: ANN401 - recipe values
    document: dict[str, Any] = {
        "data": {"layout": "pairs"},
        "normalise": {"method": "none"},
        "network": {"name": "basic_unet", "width": 4},
        "sampling": {"method": "grid", "patch": 32},
        "augment": [{"name": "RandFlip"}, {"name": "RandGaussianNoise", "prob": 1.0, "std": 0.2}],
        "training": {"epochs": 2, "batch_size": 2, "learning_rate": 0.01, "workers": 0},
    }
    return Recipe.model_validate(document | sections)


def _training(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - recipe values
    return {"batch_size": 2, "learning_rate": 0.01, "workers": 0, **values}


def _curriculum(recipe: Recipe, factors: dict[str, int] | None = None) -> Curriculum:
    prepared = [learnt(sample, kind="foreground", weight_map="none") for sample in SAMPLES]
    return Curriculum(recipe, SAMPLES, prepared, factors=factors or {})


def _train(recipe: Recipe) -> Trained:
    return train(recipe, SAMPLES, [FULL, EMPTY], device="cpu", reporter=Silent(), wish=StopWish())


PHASES = [
    {"epochs": 2, "min_foreground_px": 30, "augment": False},
    {"epochs": 1, "min_foreground_px": 30, "augment": ["RandFlip"]},
    {"epochs": 2},
]


def test_each_phase_has_its_own_crops() -> None:
    stretches = _curriculum(_recipe(training=_training(phases=PHASES))).stretches(workers=0)
    # 6 crops an image; those with cells: 2 of `left`, 6 of `full`
    assert [stretch.batches for stretch in stretches] == [4, 4, 9]
    assert [stretch.last_epoch for stretch in stretches] == [2, 3, 5]


def test_a_phase_without_augmentation_shows_the_pixels_as_they_are() -> None:
    first, flips, everything = _curriculum(_recipe(training=_training(phases=PHASES))).stretches(workers=0)
    shown = {float(batch["image"].min()) for batch in first.loader} | {float(b["image"].min()) for b in flips.loader}
    assert shown <= {float(crop.min()) for s in SAMPLES for crop in _grid_of(s.image)}
    assert min(float(batch["image"].min()) for batch in everything.loader) < min(shown)


def _grid_of(image: np.ndarray) -> list[np.ndarray]:
    """The crops of 32 px; the smallest value of a batch is that of one of its crops."""
    return [image[:, row : row + 32, col : col + 32] for col in (0, 32, 64) for row in (0, 32)]


def test_all_phases_are_trained_one_after_the_other() -> None:
    trained = _train(_recipe(training=_training(phases=PHASES)))
    assert [row.epoch for row in trained.history] == [1, 2, 3, 4, 5]
    assert trained.stopped_by == "epochs"
    assert trained.scores.val_dice is not None


def test_early_stopping_in_a_phase_ends_the_run() -> None:
    values = _training(phases=[{"epochs": 9}, {"epochs": 9}], early_stopping=1) | {"learning_rate": 1e-9}
    trained = _train(_recipe(training=values))
    assert trained.stopped_by == "early_stopping"
    assert len(trained.history) < 9


def test_named_crops_are_seen_more_often_and_unknown_names_refused() -> None:
    often = _recipe(sampling={"method": "grid", "patch": 32, "oversample": {"left:0": 11, "empty": 2}})
    (stretch,) = _curriculum(often).stretches(workers=0)
    assert stretch.batches * stretch.batch_size == 18 + 10 + 6
    (factored,) = _curriculum(_recipe(), {"full:1": 5}).stretches(workers=0)
    assert factored.batches * factored.batch_size == 22
    wrong = _recipe(sampling={"method": "grid", "patch": 32, "oversample": {"lefd": 2}})
    with pytest.raises(RecipeError, match="no training crop is called 'lefd'; did you mean 'left'"):
        _curriculum(wrong).stretches(workers=0)


def test_the_foreground_share_is_that_of_the_crops_learnt_from() -> None:
    whole = sum(np.count_nonzero(s.labels) for s in SAMPLES) / (3 * 64 * 96)
    assert _curriculum(_recipe()).foreground_share() == pytest.approx(whole)
    filtered = _recipe(sampling={"method": "grid", "patch": 32, "min_foreground_px": 30})
    assert _curriculum(filtered).foreground_share() == pytest.approx(whole * 18 / 8)


@pytest.mark.parametrize("kind", ["foreground+border", "foreground+distance", "foreground+centre"])
def test_a_second_map_is_learnt_and_splits_cells(kind: str) -> None:
    trained = _train(_recipe(target={"kind": kind}, loss={"name": "bce_dice"}))
    assert trained.scores.val_f1_50 is not None


def test_classes_that_exclude_one_another_are_learnt_too() -> None:
    recipe = _recipe(target={"kind": "foreground+border"}, loss={"name": "cross_entropy"})
    assert _train(recipe).scores.val_dice is not None


def test_a_sum_of_losses_with_a_weight_map_learns() -> None:
    loss = {"parts": [{"name": "weighted_bce", "class_weights": "ratio"}, {"name": "tversky", "weight": 0.5}]}
    trained = _train(_recipe(loss=loss, target={"weight_map": "crowding"}))
    assert trained.history[-1].train_loss < trained.history[0].train_loss


def test_validation_splits_touching_cells_along_the_predicted_map_as_counting_does() -> None:
    labels = np.zeros((40, 80), np.int32)
    labels[10:30, 10:40], labels[10:30, 40:70] = 1, 2
    sample = Sample("pair", labels[None].astype(np.float32), labels, 2)
    inside = (labels > 0).astype(np.float32)
    middle = np.zeros_like(inside)
    middle[20, 25] = middle[20, 55] = 1.0
    rows, columns = np.mgrid[:40, :80]
    centre = np.maximum(*(np.exp(-((rows - 20) ** 2 + (columns - col) ** 2) / 80) for col in (25, 55)))
    centre = (centre * inside).astype(np.float32)
    settings = InstanceSettings(threshold=0.5)
    alone = score([sample], [inside[None]], settings, val_loss=0.0)
    split = score([sample], [np.stack([inside, centre])], settings, names=("foreground", "centre"), val_loss=0.0)
    assert alone.val_count_mae == 1.0  # a bar of even height is one cell to the distance transform
    assert split.val_count_mae == 0.0
    assert split.val_f1_50 == 1.0


def _model(path: Path, recipe: Recipe, *, normalisation: Normalisation = NORMALISATION) -> Path:
    facts = describe("basic_unet", {"width": 4})
    net = _train(recipe).net
    card = ModelCard(
        network="basic_unet",
        parameters=resolve("basic_unet", {"width": 4}),
        channels=1,
        channel_names=("grey",),
        normalisation=normalisation,
        operating_point=InstanceSettings(threshold=0.01).as_json(),
        radius_px=facts.radius_px,
        divisor=facts.divisor,
        tile_exact=facts.tile_exact,
    )
    write_model(path, card, tensors_of(net))
    return path


def test_crops_where_a_model_finds_cells_that_are_none_are_seen_more_often(tmp_path: Path) -> None:
    model = _model(tmp_path / "first.safetensors", _recipe())
    sampling = {"method": "grid", "patch": 32, "artefacts": {"model": str(model), "factor": 7, "min_px": 500}}
    recipe = _recipe(sampling=sampling)
    # at a threshold of 1 % nearly everything is called a cell, so crops are artefacts where 500 px are background
    factors = artefact_factors(recipe, SAMPLES, normalisation=NORMALISATION, device="cpu", reporter=Silent())
    assert factors["empty:0"] == 7
    assert set(factors.values()) == {7}
    other = Normalisation("range", 0.0, 255.0)
    with pytest.raises(InputError, match=r"trained with the same \[data\] channels and \[normalise\]"):
        artefact_factors(recipe, SAMPLES, normalisation=other, device="cpu", reporter=Silent())
    assert artefact_factors(_recipe(), SAMPLES, normalisation=other, device="cpu", reporter=Silent()) == {}
