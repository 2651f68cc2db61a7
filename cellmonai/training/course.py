"""The course of one training run: its clock, its history, its best epoch, and the handlers that keep them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ignite.engine import Events

from cellmonai.training.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from monai.engines import SupervisedTrainer
    from numpy.typing import NDArray

    from cellmonai.core.interrupts import StopWish
    from cellmonai.core.progress import Stage
    from cellmonai.recipe.schema import Training
    from cellmonai.training.validation import Scores, Validation


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of history.csv; scores are None where the epoch was not validated."""

    epoch: int
    seconds: float
    learning_rate: float
    train_loss: float
    scores: Scores | None


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far: its weights, and the maps (K, Y, X) that it made of the validation images.

    `gain` is the monitored score, more being better, then the loss: counts of a few images are often equal.
    """

    gain: tuple[float, float]
    epoch: int
    scores: Scores
    state: dict[str, torch.Tensor]
    maps: list[NDArray[np.float32]]


@dataclass
class Course:
    """What the handlers of one run share: its clock, its history and its best state; `steps` is all there will be."""

    limit_s: float | None
    steps: int
    started: float = field(default_factory=time.monotonic)
    history: list[Epoch] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    done: int = 0
    shown: float = 0.0
    validating_s: float = 0.0
    best: Best | None = None
    since_gain: int = 0
    stopped_by: str = "epochs"

    @property
    def seconds(self) -> float:
        """Wall seconds since training began."""
        return time.monotonic() - self.started

    def progress(self) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        done = self.done / self.steps
        if self.limit_s is not None:
            done = max(done, self.seconds / max(self.limit_s - self.validating_s, 1e-3))
        return min(1.0, done)

    def time_is_up(self) -> bool:
        """Whether the next validation would end after the time budget."""
        return self.limit_s is not None and self.seconds + self.validating_s >= self.limit_s


def attach_handlers(
    trainer: SupervisedTrainer,
    settings: Training,
    course: Course,
    validation: Validation,
    stage: Stage,
    wish: StopWish,
) -> None:
    """Attach the handlers: learning rate before a step, progress after it, validation after an epoch."""
    schedule = Schedule(trainer.optimizer, settings)

    def before_step(_: SupervisedTrainer) -> None:
        course.done += 1
        schedule.at(course.progress())

    def after_step(engine: SupervisedTrainer) -> None:
        course.losses.append(engine.state.output["loss"])
        _show(engine, course, stage, settings.monitor)
        if wish.asked:
            course.stopped_by = "interrupt"
            engine.terminate()
        elif course.time_is_up():
            course.stopped_by = "max_minutes"
            engine.terminate()

    def after_epoch(engine: SupervisedTrainer) -> None:
        last = engine.state.epoch == settings.epochs or course.stopped_by == "max_minutes"
        due = engine.state.epoch % settings.validate_every == 0 or last
        scores = None
        if due and course.stopped_by != "interrupt":
            scores = _validate(engine, course, validation, settings.monitor)
            schedule.after_validation(scores.gain(settings.monitor))
            early = settings.early_stopping > 0 and course.since_gain >= settings.early_stopping
            if not last and (early or course.time_is_up()):  # no time for another validation
                course.stopped_by = "early_stopping" if early else "max_minutes"
                engine.terminate()
        mean_loss = sum(course.losses) / len(course.losses)
        course.losses.clear()
        course.history.append(Epoch(engine.state.epoch, course.seconds, schedule.rate, mean_loss, scores))

    trainer.add_event_handler(Events.ITERATION_STARTED, before_step)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, after_step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, after_epoch)
    # ignite skips EPOCH_COMPLETED for the epoch that terminate() cuts short
    trainer.add_event_handler(Events.TERMINATE, lambda engine: after_epoch(engine) if course.losses else None)


def _validate(engine: SupervisedTrainer, course: Course, validation: Validation, monitor: str) -> Scores:
    started = time.monotonic()
    scores = validation.run()
    gain = scores.gain(monitor), -scores.val_loss
    if course.best is None or gain > course.best.gain:
        state = {name: tensor.detach().cpu().clone() for name, tensor in engine.network.state_dict().items()}
        course.best = Best(gain, engine.state.epoch, scores, state, validation.maps)
        course.since_gain = 0
    else:
        course.since_gain += 1
    course.validating_s = time.monotonic() - started
    return scores


def _show(engine: SupervisedTrainer, course: Course, stage: Stage, monitor: str) -> None:
    progress = course.progress()
    note = f"epoch {engine.state.epoch}, loss {engine.state.output['loss']:.3f}"
    validated = [row.scores for row in course.history if row.scores]
    if validated and (value := validated[-1].value(monitor)) is not None:
        note += f", {monitor} {value:.3f}"
    stage.advance(progress - course.shown, note=note)
    course.shown = progress


def history_columns(history: Sequence[Epoch]) -> dict[str, list[Any]]:
    """Give the history as named columns, as history.csv and the curves show it."""
    names = ("val_loss", "val_f1_50", "val_dice", "val_count_mae")
    columns: dict[str, list[Any]] = {
        "epoch": [row.epoch for row in history],
        "seconds": [row.seconds for row in history],
        "learning_rate": [row.learning_rate for row in history],
        "train_loss": [row.train_loss for row in history],
    }
    for name in names:
        columns[name] = [row.scores.value(name) if row.scores else None for row in history]
    return columns
