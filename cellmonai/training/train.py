"""Training: MONAI's engine with cellmonai's handlers, from samples to the best network and its operating point."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.core.interrupts import stopped
from cellmonai.core.units import readable_seconds
from cellmonai.data.dataset import Learnt, learnt
from cellmonai.inference.predictor import Predictor
from cellmonai.instances.settings import InstanceSettings
from cellmonai.losses.build import Loss, build_loss
from cellmonai.losses.catalogue import find_row as find_loss
from cellmonai.losses.targets import target_maps
from cellmonai.nets.catalogue import build, describe, find_row
from cellmonai.training.course import Best, Course, Epoch, attach_handlers
from cellmonai.training.engines import make_trainer, run_stretch
from cellmonai.training.operating_point import choose_threshold
from cellmonai.training.stretches import Curriculum
from cellmonai.training.validation import Scores, Validation
from cellmonai.training.workers import worker_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from cellmonai.core.interrupts import StopWish
    from cellmonai.core.progress import Reporter
    from cellmonai.data.samples import Sample
    from cellmonai.recipe.schema import Recipe


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


def train(
    recipe: Recipe,
    train_samples: Sequence[Sample],
    validation_samples: Sequence[Sample],
    *,
    device: str,
    reporter: Reporter,
    wish: StopWish,
    factors: Mapping[str, int] | None = None,
) -> Trained:
    """Train the network of a recipe; `factors` tells how often crops are seen, by name, beside what the recipe says.

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
    net = build(
        recipe.network.name,
        recipe.network.parameters,
        channels=train_samples[0].image.shape[0],
        outputs=len(maps_of(recipe)),
    )
    to_train, to_validate = (_learnt(recipe, samples) for samples in (train_samples, validation_samples))
    curriculum = Curriculum(recipe, train_samples, to_train, factors=factors or {})
    stretches = curriculum.stretches(workers=worker_count(settings.workers))
    loss = build_loss(
        recipe.loss.summed, maps=target_maps(recipe.target.kind), foreground_share=curriculum.foreground_share()
    )
    trainer = make_trainer(stretches[0], net, loss, settings, device=torch.device(device))
    validation = _validation(recipe, validation_samples, to_validate, net, loss)
    course = Course(
        limit_s=settings.max_minutes * 60 if settings.max_minutes else None,
        steps=sum(stretch.epochs * stretch.batches for stretch in stretches),
    )
    with reporter.stage("training", 1.0) as stage:
        attach_handlers(trainer, settings, course, validation, stage, wish)
        with _memory_errors():
            for stretch in stretches:
                if course.stopped_by == "epochs":
                    run_stretch(trainer, stretch)
        stage.advance(1.0 - course.shown)
    if course.best is None:
        after, cure = " before the first validation", "nothing was written"
        raise stopped(terminated=wish.terminated, after=after, cure=cure)
    rate = course.done * stretches[0].batch_size / course.seconds
    return _finish(recipe, net, course, course.best, validation, rate=rate, reporter=reporter)


def maps_of(recipe: Recipe) -> tuple[str, ...]:
    """Give the names of the maps that a recipe's network gives."""
    return find_row(recipe.network.name).maps or target_maps(recipe.target.kind)


def activation_of(recipe: Recipe) -> Literal["sigmoid", "categorical"]:
    """Give how a recipe's network is read: classes that exclude one another where a loss taught them so."""
    taught = any(find_loss(name).categorical for name, _, _ in recipe.loss.summed)
    return "categorical" if taught and recipe.target.kind == "foreground+border" else "sigmoid"


def _learnt(recipe: Recipe, samples: Sequence[Sample]) -> list[Learnt]:
    return [learnt(sample, kind=recipe.target.kind, weight_map=recipe.target.weight_map) for sample in samples]


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Tell the ways in which torch runs out of memory from faults of ours."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU allocator raises a plain one
        text = str(error)
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in text:
            what, cure = "memory does not hold a batch", "lower training.batch_size or sampling.patch"
        elif "exited unexpectedly" in text or "is killed by signal" in text:
            what, cure = "a process that prepares crops was killed", "free memory, or set training.workers to 0"
        else:
            raise
        raise MemoryBudgetError(what, where="training", cure=cure) from error


def _validation(
    recipe: Recipe, samples: Sequence[Sample], targets: Sequence[Learnt], net: nn.Module, loss: Loss
) -> Validation:
    facts = describe(recipe.network.name, recipe.network.parameters)
    predictor = Predictor.for_training(
        net,
        radius_px=facts.radius_px,
        divisor=facts.divisor,
        tile_exact=facts.tile_exact,
        window=recipe.inference.window,
        stitch=recipe.inference.stitch,
        activation=activation_of(recipe),
    )
    return Validation(samples, targets, net, predictor, loss, instance_settings(recipe), names=maps_of(recipe))


def instance_settings(recipe: Recipe) -> InstanceSettings:
    """Give the splitting parameters of a recipe; an automatic threshold begins at 0.5."""
    values = recipe.instances.model_dump()
    if values["threshold"] == "auto":
        values["threshold"] = 0.5
    return InstanceSettings(**values)


def _finish(
    recipe: Recipe,
    net: nn.Module,
    course: Course,
    best: Best,
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
            best.maps,
            settings,
            names=validation.names,
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
