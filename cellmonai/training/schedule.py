"""How the learning rate falls over a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from cellmonai.recipe.schema import Training

_WARM_UP = 0.04
_LAST = 0.01


class Schedule:
    """Sets the learning rate of an optimizer, by progress (cosine) or by validation (plateau).

    `cosine` rises over the first 4 % of the run and falls to 1 % of the rate; `plateau` multiplies the rate by
    `plateau_factor` after `plateau_patience` validations without a gain; `constant` leaves it.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, settings: Training) -> None:
        self.optimizer, self.kind, self.highest = optimizer, settings.schedule, settings.learning_rate
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=settings.plateau_factor,
            patience=settings.plateau_patience,
            threshold_mode="abs",
            threshold=0.0,
        )

    @property
    def rate(self) -> float:
        """The learning rate now."""
        return float(self.optimizer.param_groups[0]["lr"])

    def at(self, progress: float) -> None:
        """Set the rate for a share of the run that is done, 0 to 1."""
        if self.kind != "cosine":
            return
        fall = _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.highest * fall * min(1.0, (progress + 1e-3) / _WARM_UP)

    def after_validation(self, gain: float) -> None:
        """Take note of a validation; more gain is better."""
        if self.kind == "plateau":
            self._plateau.step(gain)
