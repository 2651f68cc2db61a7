"""How many numbers a network holds, found without holding them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from cellmonai.nets.catalogue import build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


@dataclass(frozen=True, slots=True)
class ParameterNumbers:
    """Weights that training changes, and running statistics of batch norms."""

    trainable: int
    running: int


def numbers_of(name: str, parameters: Mapping[str, Any], *, channels: int, outputs: int) -> ParameterNumbers:
    """Count the parameters of a network of the catalogue.

    It is built on torch's meta device, where tensors have shapes and no memory, so that any width is instant.

    Raises
    ------
    RecipeError
        As `catalogue.build`.
    """
    with torch.device("meta"):
        return count_numbers(build(name, parameters, channels=channels, outputs=outputs))


def count_numbers(net: nn.Module) -> ParameterNumbers:
    """Count the parameters of a network."""
    running = ("running_mean", "running_var")
    return ParameterNumbers(
        trainable=sum(weight.numel() for weight in net.parameters() if weight.requires_grad),
        running=sum(values.numel() for name, values in net.named_buffers() if name.endswith(running)),
    )
