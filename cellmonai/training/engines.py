"""MONAI's SupervisedTrainer with the step that cellmonai needs: a loss in float32 that must stay finite."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from monai.engines import SupervisedTrainer

from cellmonai.core.errors import DivergedError
from cellmonai.training.batch_norms import WarmingBatchNorms

if TYPE_CHECKING:
    from torch import nn

    from cellmonai.losses.build import Loss
    from cellmonai.recipe.schema import Training
    from cellmonai.training.stretches import Stretch

    Batch = dict[str, torch.Tensor]
Engine = TypeVar("Engine")

DIVERGED_CURE = "lower training.learning_rate or look for broken images"
_LARGEST_GRADIENT_NORM = 12.0


def make_trainer(
    first: Stretch,
    net: nn.Module,
    loss: Loss,
    settings: Training,
    *,
    device: torch.device,
) -> SupervisedTrainer:
    """Put the trainer together for its first stretch of epochs; handlers are attached by the caller.

    MONAI's own mixed precision is hard-wired to CUDA and float16, so the step brings its own.
    """
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and _has_bf16(device))
    layout = torch.contiguous_format if device.type == "mps" else torch.channels_last

    norms = WarmingBatchNorms(net)

    def step(engine: SupervisedTrainer, batch: Batch) -> dict[str, float]:
        engine.network.train()
        norms.before_step()
        engine.optimizer.zero_grad(set_to_none=True)
        image = batch["image"].to(device, non_blocking=True, memory_format=layout)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            output = engine.network(image)
        target = batch["target"].to(device, non_blocking=True)
        weight = batch["weight"].to(device, non_blocking=True) if "weight" in batch else None
        value = engine.loss_function(output, target, weight)
        if not torch.isfinite(value):
            raise DivergedError(
                f"the loss is {value.item()} in step {engine.state.iteration}",
                where="training",
                cure=DIVERGED_CURE,
            )
        value.backward()
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), _LARGEST_GRADIENT_NORM)
        engine.optimizer.step()
        return {"loss": value.item()}

    return quiet(
        SupervisedTrainer(
            device=device,
            max_epochs=first.last_epoch,
            train_data_loader=first.loader,
            network=net.to(device).to(memory_format=layout),  # type: ignore[call-overload] # missing in the stub
            optimizer=make_optimizer(net, settings),
            loss_function=loss.to(device),
            epoch_length=first.batches,
            iteration_update=step,
            decollate=False,
        )
    )


def run_stretch(trainer: SupervisedTrainer, stretch: Stretch) -> None:
    """Run the epochs of a stretch after those that the trainer has done.

    ignite goes on where an engine's state says it stopped, and finds the batch to go on from as iteration modulo the
    length of an epoch; since stretches have epochs of other lengths, the iteration is told anew.
    """
    trainer.data_loader = stretch.loader
    trainer.state.epoch_length = stretch.batches
    trainer.state.iteration = trainer.state.epoch * stretch.batches
    trainer.state.max_epochs = stretch.last_epoch
    trainer.run()


def make_optimizer(net: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Give the optimizer that the recipe names; decay is kept off norms and biases, which it would only shrink."""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    kept = [p for p in net.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(groups, lr=settings.learning_rate)
        case "adamw":
            return torch.optim.AdamW(groups, lr=settings.learning_rate)
        case "sgd":
            return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9, nesterov=True)


def quiet(engine: Engine) -> Engine:
    """Keep an engine's own log, which repeats our errors, off the console."""
    engine.logger.addHandler(logging.NullHandler())  # type: ignore[attr-defined] # every ignite engine has one
    engine.logger.propagate = False  # type: ignore[attr-defined]
    return engine


def _has_bf16(device: torch.device) -> bool:
    # torch.cuda.is_bf16_supported counts emulation, which is slower than f32
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
