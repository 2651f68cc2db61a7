"""Training: MONAI's engine with cellmonai's handlers, from samples to the best network and its operating point."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from ignite.engine import Events

from cellmonai.core.errors import InterruptedRunError, MemoryBudgetError
from cellmonai.core.units import readable_seconds
from cellmonai.data.augment import build_augmentation
from cellmonai.data.dataset import CropDataset, EpochSampler, training_loader
from cellmonai.inference.predictor import Predictor
from cellmonai.instances.settings import InstanceSettings
from cellmonai.losses.foreground import build_loss
from cellmonai.nets.catalogue import build, describe
from cellmonai.training.engines import make_trainer
from cellmonai.training.operating_point import choose_threshold
from cellmonai.training.schedule import Schedule
from cellmonai.training.validation import Scores, Validation
from cellmonai.training.workers import worker_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from monai.engines import SupervisedTrainer
    from numpy.typing import NDArray
    from torch import nn

    from cellmonai.core.interrupts import StopWish
    from cellmonai.core.progress import Reporter, Stage
    from cellmonai.data.samples import Sample
    from cellmonai.recipe.schema import Recipe


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of history.csv; scores are None where the epoch was not validated."""

    epoch: int
    seconds: float
    learning_rate: float
    train_loss: float
    scores: Scores | None


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the best network, on the CPU, and what is known of it."""

    net: nn.Module
    history: tuple[Epoch, ...]
    best_epoch: int
    best_value: float | None
    operating_point: InstanceSettings
    scores: Scores
    stopped_by: str
    crops_per_second: float


@dataclass(frozen=True, slots=True)
class _Best:
    """The best epoch so far: its weights, and what it made of the validation images.

    `gain` is the monitored score, more being better, then the loss: counts of a few images are often equal.
    """

    gain: tuple[float, float]
    epoch: int
    scores: Scores
    state: dict[str, torch.Tensor]
    probabilities: list[NDArray[np.float32]]


@dataclass
class _Course:
    """What the handlers of one run share: its clock, its history and its best state."""

    limit_s: float | None
    started: float = field(default_factory=time.monotonic)
    history: list[Epoch] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    shown: float = 0.0
    validating_s: float = 0.0
    best: _Best | None = None
    since_gain: int = 0
    stopped_by: str = "epochs"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def progress(self, trainer: SupervisedTrainer) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        done: float = trainer.state.iteration / (trainer.state.max_epochs * trainer.state.epoch_length)
        return min(1.0, max(done, self.seconds / self.limit_s if self.limit_s else 0.0))

    def time_is_up(self) -> bool:
        """Whether the next validation would end after the time budget."""
        return self.limit_s is not None and self.seconds + self.validating_s >= self.limit_s


def train(
    recipe: Recipe,
    train_samples: Sequence[Sample],
    validation_samples: Sequence[Sample],
    *,
    device: str,
    reporter: Reporter,
    wish: StopWish,
) -> Trained:
    """Train the network of a recipe.

    Ctrl-C ends training at the next step; the best epoch so far is then given, with `stopped_by` "interrupt".

    Raises
    ------
    DivergedError
        The loss or an output is no longer finite.
    InterruptedRunError
        Ctrl-C before anything was validated.
    """
    settings = recipe.training
    torch.manual_seed(settings.seed)
    channels = train_samples[0].image.shape[0]
    net = build(recipe.network.name, recipe.network.parameters, channels=channels, outputs=1)
    loss = build_loss(recipe.loss.name, recipe.loss.parameters)
    steps = [{"name": step.name, **step.parameters} for step in recipe.augment]
    sampling = recipe.sampling
    augmentation = build_augmentation(steps, patch=sampling.patch, foreground_share=sampling.foreground_share)
    dataset = CropDataset(train_samples, augmentation, per_image=sampling.per_image, seed=settings.seed)
    sampler = EpochSampler(len(dataset), batch_size=settings.batch_size, epochs=settings.epochs, seed=settings.seed)
    loader = training_loader(dataset, sampler, workers=worker_count(settings.workers))
    trainer = make_trainer(
        loader, net, loss, settings, device=torch.device(device), batches_per_epoch=sampler.batches_per_epoch
    )
    validation = _validation(recipe, validation_samples, net, loss)
    course = _Course(limit_s=settings.max_minutes * 60 if settings.max_minutes else None)
    with reporter.stage("training", 1.0) as stage:
        _attach(trainer, recipe, course, validation, stage, wish)
        with _memory_errors():
            trainer.run()
        stage.advance(1.0 - course.shown)
    seconds = course.seconds
    if course.best is None:
        raise InterruptedRunError("stopped by Ctrl-C before the first validation", cure="nothing was written")
    rate = sampler.batch_size * trainer.state.iteration / seconds
    return _finish(recipe, net, course, course.best, validation, rate=rate, reporter=reporter)


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Tell the two ways in which torch runs out of memory from faults of ours."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        cure = "lower training.batch_size or sampling.patch"
        raise MemoryBudgetError("the device's memory does not hold a batch", where="training", cure=cure) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        cure = "free memory, or set training.workers to 0"
        raise MemoryBudgetError("a process that prepares crops was killed", where="training", cure=cure) from error


def _validation(recipe: Recipe, samples: Sequence[Sample], net: nn.Module, loss: nn.Module) -> Validation:
    facts = describe(recipe.network.name, recipe.network.parameters)
    predictor = Predictor.for_training(
        net,
        radius_px=facts.radius_px,
        divisor=facts.divisor,
        tile_exact=facts.tile_exact,
        window=recipe.inference.window,
        stitch=recipe.inference.stitch,
    )
    return Validation(samples, net, predictor, loss, instance_settings(recipe))


def instance_settings(recipe: Recipe) -> InstanceSettings:
    """Give the splitting parameters of a recipe; an automatic threshold begins at 0.5."""
    values = recipe.instances.model_dump()
    if values["threshold"] == "auto":
        values["threshold"] = 0.5
    return InstanceSettings(**values)


def _attach(
    trainer: SupervisedTrainer,
    recipe: Recipe,
    course: _Course,
    validation: Validation,
    stage: Stage,
    wish: StopWish,
) -> None:
    """Attach the handlers: learning rate before a step, progress after it, validation after an epoch."""
    settings = recipe.training
    schedule = Schedule(trainer.optimizer, settings)

    def before_step(engine: SupervisedTrainer) -> None:
        schedule.at(course.progress(engine))

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
            if settings.early_stopping and course.since_gain >= settings.early_stopping and not last:
                course.stopped_by = "early_stopping"
                engine.terminate()
        mean_loss = sum(course.losses) / len(course.losses)
        course.losses.clear()
        course.history.append(Epoch(engine.state.epoch, course.seconds, schedule.rate, mean_loss, scores))

    trainer.add_event_handler(Events.ITERATION_STARTED, before_step)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, after_step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, after_epoch)
    # ignite skips EPOCH_COMPLETED for the epoch that terminate() cuts short
    trainer.add_event_handler(Events.TERMINATE, lambda engine: after_epoch(engine) if course.losses else None)


def _validate(engine: SupervisedTrainer, course: _Course, validation: Validation, monitor: str) -> Scores:
    started = time.monotonic()
    scores = validation.run()
    gain = scores.gain(monitor), -scores.val_loss
    if course.best is None or gain > course.best.gain:
        state = {name: tensor.detach().cpu().clone() for name, tensor in engine.network.state_dict().items()}
        course.best = _Best(gain, engine.state.epoch, scores, state, validation.probabilities)
        course.since_gain = 0
    else:
        course.since_gain += 1
    course.validating_s = time.monotonic() - started
    return scores


def _show(engine: SupervisedTrainer, course: _Course, stage: Stage, monitor: str) -> None:
    progress = course.progress(engine)
    note = f"epoch {engine.state.epoch}, loss {engine.state.output['loss']:.3f}"
    validated = [row.scores for row in course.history if row.scores]
    if validated and (value := validated[-1].value(monitor)) is not None:
        note += f", {monitor} {value:.3f}"
    stage.advance(progress - course.shown, note=note)
    course.shown = progress


def _finish(
    recipe: Recipe,
    net: nn.Module,
    course: _Course,
    best: _Best,
    validation: Validation,
    *,
    rate: float,
    reporter: Reporter,
) -> Trained:
    """Go back to the best epoch, and choose the threshold on the validation images unless the recipe gave one."""
    net.load_state_dict(best.state)
    monitor = recipe.training.monitor
    settings, scores = validation.settings, best.scores
    if recipe.instances.threshold == "auto":
        settings, scores = choose_threshold(
            validation.samples,
            best.probabilities,
            settings,
            monitor=monitor,
            val_loss=scores.val_loss,
            reporter=reporter,
        )
    reporter.note(f"best epoch {best.epoch} of {len(course.history)}, after {readable_seconds(course.seconds)}")
    return Trained(
        net=net.cpu(),
        history=tuple(course.history),
        best_epoch=best.epoch,
        best_value=best.scores.value(monitor),
        operating_point=settings,
        scores=scores,
        stopped_by=course.stopped_by,
        crops_per_second=rate,
    )


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
