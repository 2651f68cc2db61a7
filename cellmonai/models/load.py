"""From a model file to a network that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from cellmonai.core.errors import CellmonaiError, InputError
from cellmonai.models.file import ModelCard, read_card, read_tensors
from cellmonai.nets.catalogue import build, describe

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn


_MOST_DIVISORS = 64


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network with its card, in evaluation mode, float32, on the CPU.

    `net` takes normalised (N, C, Y, X) and gives logits (N, K, Y, X).
    """

    card: ModelCard
    net: nn.Module
    path: Path


def load_model(path: Path) -> LoadedModel:
    """Build the network that the card names and fill it.

    Raises
    ------
    InputError
        The file is damaged, or its tensors are not those of the network, by name, shape or type.
    """
    card = read_card(path)
    try:
        net = build(card.network, card.parameters, channels=card.channels, outputs=len(card.outputs))
    except CellmonaiError as error:
        raise InputError(
            f"asks for a network that cannot be built ({error.where}: {error.what})",
            where=str(path),
            cure="train or copy the model again, or update cellmonai where it does not know the network",
        ) from error
    _require_true_card(card, path)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in read_tensors(path).items()}
    expected = net.state_dict()
    if _signature(tensors) != _signature(expected):
        raise InputError(f"holds other tensors than a {card.network} has", where=str(path), cure="train it again")
    net.load_state_dict(tensors, strict=True)
    return LoadedModel(card, net.eval(), path)


def _require_true_card(card: ModelCard, path: Path) -> None:
    """Refuse a card that promises more than its network keeps: windows would not fit, or not fit together."""
    facts = describe(card.network, card.parameters)
    unfit = {
        "divisor": card.divisor % facts.divisor != 0 or card.divisor > _MOST_DIVISORS * facts.divisor,
        "radius_px": card.tile_exact and card.radius_px < facts.radius_px,
        "tile_exact": card.tile_exact and not facts.tile_exact,
    }
    for name in (name for name, is_unfit in unfit.items() if is_unfit):
        raise InputError(
            f"has a card with {name} {getattr(card, name)}, and its network has {getattr(facts, name)}",
            where=str(path),
            cure="copy or train the model again",
        )


def tensors_of(net: nn.Module) -> dict[str, NDArray[Any]]:
    """Give the weights and running statistics of a network as NumPy arrays, as the model file holds them."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in net.state_dict().items()}


def _signature(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
