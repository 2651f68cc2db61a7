"""Weighted sums of loss terms, on what networks give in training and on finished probability maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from cellmonai.losses.aleatoric import scale_of_maps
from cellmonai.losses.categorical import CategoricalCrossEntropy, class_logits, map_logits
from cellmonai.losses.pixelwise import SquaredError
from cellmonai.losses.sizes import at_size_of
from cellmonai.losses.targets import MEASURED

if TYPE_CHECKING:
    from collections.abc import Sequence

Terms = list[tuple[float, nn.Module]]
"""Modules that map logits, target and weight to a scalar, and what each is multiplied by."""

_CLOSEST_TO_CERTAIN = 1e-6
_ROUNDING = 1e-3  # how far interpolation may leave 0 to 1


class MapLoss(nn.Module):
    """A weighted sum of terms on the logits of a network's maps; gives a scalar.

    The terms take all maps that are classes, as foreground and border, and average over them. Maps that hold amounts,
    as distance and centre, come last and cost the squared error of their sigmoid, multiplied by `map_weight`.

    `activation` says how logits become maps: "sigmoid" of each, or "categorical" where classes exclude one another;
    then the network's logits are those of interior and border, and `map_logits` turns them into logits of the maps.
    """

    activation: Literal["sigmoid", "categorical"]

    def __init__(self, terms: Terms, *, maps: Sequence[str], categorical: bool, map_weight: float) -> None:
        super().__init__()
        self.shares = [share for share, _ in terms]
        self.terms = nn.ModuleList(term for _, term in terms)
        self.maps = tuple(maps)
        self.classes = sum(name not in MEASURED for name in maps)
        if self.classes == 0 or not MEASURED.issuperset(maps[self.classes :]):
            raise ValueError(f"maps are {', '.join(maps)}, expected classes first and at least one")
        self.activation = "categorical" if categorical else "sigmoid"
        self.map_weight, self.squared_error = map_weight, SquaredError()

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss.

        Parameters
        ----------
        output : logits (N, K, y, x) as the network gives them in training
        target : (N, K, Y, X) in [0, 1] at full size; averaged over areas where the output is smaller
        weight : (N, 1, Y, X), what each pixel counts, likewise

        Raises
        ------
        ValueError
            The shapes do not fit, or the target leaves 0 to 1, as a mask of 0 and 255 does: that trains to nothing.
        """
        _require_fitting(output, target, channels=len(self.maps), maps=self.maps)
        logits = _summable(output)
        target = at_size_of(logits, target)
        weight = None if weight is None else at_size_of(logits, weight)
        total = self._of_classes(logits[:, : self.classes], target[:, : self.classes], weight)
        if self.classes < len(self.maps):
            error = self.squared_error(logits[:, self.classes :], target[:, self.classes :], weight)
            total = total + self.map_weight * error
        return total

    def _of_classes(self, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        of_maps = map_logits(logits) if self.activation == "categorical" else logits
        values = [
            share * term(logits if isinstance(term, CategoricalCrossEntropy) else of_maps, target, weight)
            for share, term in zip(self.shares, self.terms, strict=True)
        ]
        return torch.stack(values).sum()

    def of_maps(self, probabilities: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss of finished probability maps (1, K, Y, X), as in validation on whole images.

        Probabilities closer than 1e-6 to 0 or 1 count as that close: a rounded certainty would cost infinitely much.
        """
        output = torch.logit(probabilities, eps=_CLOSEST_TO_CERTAIN)
        if self.activation == "categorical":
            output[:, : self.classes] = class_logits(probabilities[:, : self.classes], least=_CLOSEST_TO_CERTAIN)
        return self.forward(output, target, weight)


class ScalesLoss(nn.Module):
    """A weighted sum of terms on the scales of a feature pyramid; gives a scalar."""

    activation: Literal["sigmoid"] = "sigmoid"

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self.shares = [share for share, _ in terms]
        self.terms = nn.ModuleList(term for _, term in terms)

    def forward(self, scales: Sequence[Tensor], target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss.

        Parameters
        ----------
        scales : (N, 2, y, x) each, mean and log-variance, as the network gives them in training
        target : (N, 1, Y, X) in [0, 1] at full size; averaged over areas down to each scale
        weight : (N, 1, Y, X), what each pixel counts, likewise

        Raises
        ------
        ValueError
            The shapes do not fit, or the target leaves 0 to 1.
        """
        for scale in scales:
            _require_fitting(scale, target, channels=2, maps=("foreground",))
        summable = [_summable(scale) for scale in scales]
        values = [share * term(summable, target, weight) for share, term in zip(self.shares, self.terms, strict=True)]
        return torch.stack(values).sum()

    def of_maps(self, probabilities: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss of finished maps (1, 2, Y, X), "foreground" and "uncertainty", as of a single scale."""
        return self.forward([scale_of_maps(probabilities)], target, weight)


def _summable(output: Tensor) -> Tensor:
    """Give the output in float32, or in float64 where it is."""
    return output if output.dtype == torch.float64 else output.float()


def _require_fitting(output: Tensor, target: Tensor, *, channels: int, maps: Sequence[str]) -> None:
    """Refuse what would train to nothing: shapes that do not fit, or a target outside 0 to 1."""
    axes = [tensor.shape[1] if tensor.ndim == 4 else None for tensor in (output, target)]
    if axes != [channels, len(maps)]:
        shapes = f"the output is {tuple(output.shape)}, the target is {tuple(target.shape)}"
        raise ValueError(f"{shapes}, expected (N, {channels}, Y, X) and (N, {len(maps)}, Y, X) for {', '.join(maps)}")
    low, high = (float(end) for end in target.aminmax())
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        raise ValueError(f"the target goes from {low:g} up to {high:g}, expected 0 to 1")
