"""Losses from their names: weighted sums of the catalogue's rows, at whatever size a network's output has.

A loss is computed in float32 whatever the precision of the network, because the sums overflow float16 and lose digits
in bfloat16; float64 stays float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cellmonai.losses.catalogue import resolve
from cellmonai.losses.overlap import Overlap
from cellmonai.losses.pixelwise import CrossEntropy, Focal
from cellmonai.losses.sizes import at_size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Part = tuple[str, float, "Mapping[str, Any]"]
"""Name of a loss, what its value is multiplied by, and its parameters."""

Terms = list[tuple[float, nn.Module]]

_CLOSEST_TO_CERTAIN = 1e-6
_ROUNDING = 1e-3  # how far interpolation may leave 0 to 1


class Loss(nn.Module):
    """A weighted sum of terms on the logits of a network's maps; gives a scalar."""

    def __init__(self, terms: Terms, *, maps: Sequence[str]) -> None:
        super().__init__()
        self.shares = [share for share, _ in terms]
        self.terms = nn.ModuleList(term for _, term in terms)
        self.maps = tuple(maps)

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
        require_target(target, maps=self.maps, output=output)
        logits = output if output.dtype == torch.float64 else output.float()
        target = at_size_of(logits, target)
        weight = None if weight is None else at_size_of(logits, weight)
        total = torch.zeros((), device=logits.device, dtype=logits.dtype)
        for share, term in zip(self.shares, self.terms, strict=True):
            total = total + share * term(logits, target, weight)
        return total

    def of_maps(self, probabilities: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss of finished probability maps (1, K, Y, X), as in validation on whole images.

        Probabilities closer than 1e-6 to 0 or 1 count as that close: a rounded certainty would cost infinitely much.
        """
        return self(torch.logit(probabilities, eps=_CLOSEST_TO_CERTAIN), target, weight)


def require_target(target: Tensor, *, maps: Sequence[str], output: Tensor) -> None:
    """Refuse what would train to nothing: another number of maps, or values outside 0 to 1.

    Raises
    ------
    ValueError
        With the shapes or the value.
    """
    if target.ndim != 4 or target.shape[1] != len(maps) or output.ndim != 4 or output.shape[1] != len(maps):
        raise ValueError(
            f"the output is {tuple(output.shape)}, the target is {tuple(target.shape)}, "
            f"expected (N, {len(maps)}, Y, X) for {', '.join(maps)}"
        )
    low, high = (float(end) for end in target.aminmax())
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        raise ValueError(f"the target goes from {low:g} up to {high:g}, expected 0 to 1")


def build_loss(
    parts: Sequence[Part], *, maps: Sequence[str] = ("foreground",), foreground_share: float | None = None
) -> Loss:
    """Build the weighted sum of losses of the catalogue; parameters that are left out have their defaults.

    Parameters
    ----------
    parts : name, share and parameters of every loss that is summed
    maps : what the maps of the target are
    foreground_share : share of cell pixels in the training images, 0 to 1, for losses that weigh classes by it

    Raises
    ------
    RecipeError
        An unknown loss or parameter, or a value that does not fit.
    """
    terms = [
        (share * inner, term)
        for name, share, parameters in parts
        for inner, term in _terms(name, resolve(name, parameters))
    ]
    return Loss(terms, maps=maps)


def _terms(name: str, full: Mapping[str, Any]) -> Terms:
    """Give the weighted terms of one row of the catalogue, with all its parameters."""
    overlap = {"smoothing": full["smoothing"], "reduction": "batch"}
    match name:
        case "dice":
            return [(1.0, Overlap.dice(**overlap))]
        case "bce_dice":
            share = full["dice_share"]
            return [(share, Overlap.dice(**overlap)), (1.0 - share, CrossEntropy())]
        case "dice_focal":
            share = full["dice_share"]
            return [(share, Overlap.dice(**overlap)), (1.0 - share, Focal(gamma=full["gamma"]))]
        case "tversky":
            weights = {"fp_weight": full["fp_weight"], "fn_weight": full["fn_weight"]}
            return [(1.0, Overlap.tversky(**weights, **overlap))]
    raise AssertionError(name)
