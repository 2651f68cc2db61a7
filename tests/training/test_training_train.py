"""Training learns, is repeatable, keeps its best epoch and stops when it should."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from painting import Disc, paint

from cellmonai.core.errors import DivergedError, InterruptedRunError, MemoryBudgetError
from cellmonai.core.interrupts import StopWish
from cellmonai.core.progress import Silent
from cellmonai.data.samples import Sample
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.load import tensors_of
from cellmonai.recipe.schema import Network, Recipe, Training
from cellmonai.training.course import history_columns
from cellmonai.training.engines import make_optimizer
from cellmonai.training.operating_point import choose_threshold
from cellmonai.training.schedule import Schedule
from cellmonai.training.train import Trained, train
from cellmonai.training.validation import Scores, Validation, score
from cellmonai.training.workers import worker_count


def _sample(seed: int) -> Sample:
    generator = np.random.default_rng(seed)
    discs = [Disc(row, col, 7) for row in (16, 48, 80) for col in (16, 48, 80) if generator.random() < 0.7]
    labels = paint(discs, (96, 96))
    image = 0.8 * (labels > 0)[None] + generator.normal(0.1, 0.05, (1, 96, 96))
    return Sample(f"field{seed}", image.astype(np.float32), labels, int(labels.max()))


def _recipe(**training: Any) -> Recipe:  # noqa: ANN401 - recipe values
    values = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "workers": 0, **training}
    return Recipe.model_validate(
        {
            "data": {"layout": "pairs"},
            "network": {"name": "basic_unet", "width": 4},
            "sampling": {"patch": 64, "per_image": 4},
            "augment": [{"name": "RandFlip"}],
            "training": values,
        }
    )


TRAIN, VALIDATION = [_sample(i) for i in range(4)], [_sample(i) for i in (10, 11)]


def _train(recipe: Recipe, wish: StopWish | None = None, samples: Sequence[Sample] = TRAIN) -> Trained:
    return train(recipe, samples, VALIDATION, device="cpu", reporter=Silent(), wish=wish or StopWish())


@pytest.fixture(scope="module")
def trained() -> Trained:
    return _train(_recipe(epochs=6, schedule="cosine"))


def test_painted_cells_are_learnt(trained: Trained) -> None:
    assert trained.scores.val_f1_50 is not None
    assert trained.scores.val_f1_50 > 0.9
    assert trained.stopped_by == "epochs"
    losses = [row.train_loss for row in trained.history]
    assert losses[-1] < losses[0]


def test_the_attention_unet_learns_as_well() -> None:
    recipe = _recipe(epochs=6, schedule="cosine")
    network = Network.model_validate({"name": "monai_attention_unet", "width": 4, "levels": 3})
    trained = _train(recipe.model_copy(update={"network": network}))
    assert trained.scores.val_f1_50 is not None
    assert trained.scores.val_f1_50 > 0.8


def test_the_best_epoch_is_kept_and_among_equals_the_one_of_lowest_loss(trained: Trained) -> None:
    columns = history_columns(trained.history)
    assert trained.best_value == max(columns["val_f1_50"])
    equals = [i for i, value in enumerate(columns["val_f1_50"]) if value == trained.best_value]
    assert trained.best_epoch == min(equals, key=lambda i: columns["val_loss"][i]) + 1


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    one, again, other = (tensors_of(_train(_recipe(epochs=1, seed=seed)).net) for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_the_time_budget_ends_training_with_a_validated_epoch() -> None:
    trained = _train(_recipe(epochs=10_000, max_minutes=0.02))
    assert trained.stopped_by == "max_minutes"
    assert trained.history[-1].scores is not None


def test_no_second_validation_begins_when_there_is_no_time_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []
    run = Validation.run

    def slow(self: Validation) -> Scores:
        time.sleep(1.0)
        ends.append(time.monotonic())
        return run(self)

    monkeypatch.setattr(Validation, "run", slow)
    trained = _train(_recipe(epochs=10_000, max_minutes=1.5 / 60))
    assert trained.stopped_by == "max_minutes"
    assert len(ends) == 1


def test_early_stopping_ends_training_that_gains_nothing() -> None:
    trained = _train(_recipe(epochs=50, learning_rate=1e-9, early_stopping=2))
    assert trained.stopped_by == "early_stopping"
    assert len(trained.history) < 50


def test_validation_happens_as_often_as_told_and_after_the_last_epoch() -> None:
    validated = [row.scores is not None for row in _train(_recipe(epochs=5, validate_every=2)).history]
    assert validated == [False, True, False, True, True]


@pytest.mark.parametrize("monitor", ["val_dice", "val_count_mae", "val_loss"])
def test_the_monitored_score_decides_what_is_best(monitor: str) -> None:
    trained = _train(_recipe(epochs=3, monitor=monitor))
    values = history_columns(trained.history)[monitor]
    assert trained.best_value == (max(values) if monitor == "val_dice" else min(values))


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    image = np.full((1, 96, 96), np.float32(1e38))
    broken = [Sample("broken", image, TRAIN[0].labels, TRAIN[0].count)]
    with pytest.raises(DivergedError, match=r"lower training\.learning_rate"):
        _train(_recipe(), samples=broken)


def test_ctrl_c_before_anything_was_validated_gives_nothing() -> None:
    wish = StopWish()
    wish.asked = True
    with pytest.raises(InterruptedRunError, match="nothing was written"):
        _train(_recipe(), wish)


def test_ctrl_c_later_gives_the_best_epoch_so_far() -> None:
    class AfterAWhile(StopWish):
        steps = 0

        @property
        def asked(self) -> bool:
            self.steps += 1
            return self.steps > 6

        @asked.setter
        def asked(self, value: bool) -> None: ...

    trained = _train(_recipe(epochs=50), AfterAWhile())
    assert trained.stopped_by == "interrupt"
    assert trained.best_epoch == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="loader processes are forked on Linux only")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_loader_process_is_told_with_the_cure() -> None:
    class Killer(StopWish):
        @property
        def asked(self) -> bool:
            for child in multiprocessing.active_children():
                child.kill()
                child.join(60)
            return False

        @asked.setter
        def asked(self, value: bool) -> None: ...

    with pytest.raises(MemoryBudgetError, match=r"set training\.workers to 0"):
        _train(_recipe(epochs=50, workers=1), Killer())


def _rates(schedule: str, gains: Sequence[float] = ()) -> list[float]:
    settings = Training(learning_rate=1.0, schedule=schedule)  # type: ignore[arg-type] # a parametrised word
    falling = Schedule(make_optimizer(torch.nn.Linear(2, 2), settings), settings)
    rates = []
    for progress in (0.0, 0.02, 0.04, 0.5, 1.0):
        falling.at(progress)
        rates.append(falling.rate)
    for gain in gains:
        falling.after_validation(gain)
    return [*rates, falling.rate]


def test_cosine_rises_and_then_falls_to_a_hundredth() -> None:
    rates = _rates("cosine")
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(0.01)


def test_plateau_halves_the_rate_after_validations_without_a_gain() -> None:
    assert _rates("plateau", [0.5] * 8)[-1] == 0.5
    assert _rates("plateau", [-2.0] * 8)[-1] == 0.5  # a count error, which is negative as a gain
    assert _rates("plateau", [0.1 * i for i in range(8)])[-1] == 1.0
    assert set(_rates("constant", [0.5] * 8)) == {1.0}


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_the_optimizer_is_the_one_named(name: str, kind: type) -> None:
    optimizer = make_optimizer(torch.nn.Linear(2, 2), Training(optimizer=name, weight_decay=0.25))  # type: ignore[arg-type]
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25, 0.0]


def test_the_threshold_is_the_one_that_counts_best() -> None:
    labels = paint([Disc(20, 20, 8), Disc(20, 60, 8)], (40, 80))
    probability = np.where(labels == 1, 0.9, np.where(labels == 2, 0.6, 0.45)).astype(np.float32)
    sample = Sample("a", labels[None].astype(np.float32), labels, 2)
    settings, scores = choose_threshold(
        [sample], [probability[None]], InstanceSettings(), monitor="val_f1_50", val_loss=0.0, reporter=Silent()
    )
    assert 0.45 < settings.threshold <= 0.6
    assert scores.val_f1_50 == 1.0
    assert scores.val_count_mae == 0.0


def test_an_empty_field_that_stays_empty_has_no_f1_and_no_count_error() -> None:
    empty = Sample("a", np.zeros((1, 32, 32), np.float32), np.zeros((32, 32), np.int32), 0)
    scores = score([empty], [np.zeros((1, 32, 32), np.float32)], InstanceSettings(), val_loss=0.0)
    assert scores.val_f1_50 is None
    assert scores.val_count_mae == 0.0
    assert scores.gain("val_f1_50") == 1.0


def test_among_empty_fields_the_threshold_that_invents_no_cells_is_chosen() -> None:
    probability = np.zeros((32, 32), np.float32)
    probability[8:16, 8:16] = 0.5  # a shadow that a low threshold takes for a cell
    empty = Sample("a", np.zeros((1, 32, 32), np.float32), np.zeros((32, 32), np.int32), 0)
    settings, _ = choose_threshold(
        [empty], [probability[None]], InstanceSettings(), monitor="val_f1_50", val_loss=0.0, reporter=Silent()
    )
    assert settings.threshold > 0.5


def test_workers_are_as_many_as_asked_for() -> None:
    assert worker_count(3) == 3
    assert worker_count("auto") >= 0
