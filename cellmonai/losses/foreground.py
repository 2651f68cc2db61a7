"""Losses on the foreground logits of a one-channel network, with MONAI's open choices settled once.

Logits and target are (N, 1, Y, X), the target 0 or 1. The loss is computed in float32 whatever the precision of the
network, because the sums overflow float16 and lose digits in bfloat16. Overlap terms add 1 to numerator and
denominator by default, so that a batch without any cell has a small loss with a gradient instead of a constant near
1, and join the batch, which is rarely all empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.losses import DiceLoss, FocalLoss, TverskyLoss
from torch import Tensor, nn

from cellmonai.losses.catalogue import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping


class ForegroundLoss(nn.Module):
    """A weighted sum of terms on logits (N, 1, Y, X) and a target of the same shape; gives a scalar."""

    def __init__(self, terms: Mapping[str, tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.shares = {name: share for name, (share, _) in terms.items()}
        self.terms = nn.ModuleDict({name: term for name, (_, term) in terms.items()})

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the loss.

        Raises
        ------
        ValueError
            The shapes differ, or the target leaves 0 to 1, as a mask of 0 and 255 does: that trains to nothing.
        """
        if logits.shape != target.shape:
            raise ValueError(f"logits are {tuple(logits.shape)}, the target is {tuple(target.shape)}")
        logits, target = logits.float(), target.float()
        if float(target.max()) > 1.0 or float(target.min()) < 0.0:
            raise ValueError(f"the target goes up to {float(target.max()):g}, expected 0 to 1")
        total = torch.zeros((), device=logits.device)
        for name, term in self.terms.items():
            total = total + self.shares[name] * term(logits, target)
        return total


def build_loss(name: str, parameters: Mapping[str, Any]) -> ForegroundLoss:
    """Build a loss of the catalogue; parameters that are left out have their defaults.

    Raises
    ------
    RecipeError
        An unknown loss or parameter, or a value that does not fit.

    Notes
    -----
    On an all-background batch (two pictures of 64 x 64, every logit -10) dice gives 0.271, tversky 0.100, bce_dice
    and dice_focal half of dice's, each with a gradient; MONAI's own smoothing of 1e-5 gives 0.9999 and none.

    References
    ----------
    Milletari et al. 2016, arXiv:1606.04797 (Dice); Lin et al. 2017, arXiv:1708.02002 (focal);
    Salehi et al. 2017, arXiv:1706.05721 (Tversky).
    """
    full = resolve(name, parameters)
    smoothing = full["smoothing"]
    overlap = {"sigmoid": True, "batch": True, "smooth_nr": smoothing, "smooth_dr": smoothing}
    match name:
        case "dice":
            return ForegroundLoss({"dice": (1.0, DiceLoss(**overlap))})
        case "bce_dice":
            share = full["dice_share"]
            return ForegroundLoss({"dice": (share, DiceLoss(**overlap)), "bce": (1.0 - share, nn.BCEWithLogitsLoss())})
        case "dice_focal":
            # MONAI's DiceFocalLoss without `sigmoid` trains its Dice on raw logits; here the sum is made of its parts
            share, focal = full["dice_share"], FocalLoss(gamma=full["gamma"])
            return ForegroundLoss({"dice": (share, DiceLoss(**overlap)), "focal": (1.0 - share, focal)})
        case "tversky":
            # MONAI's alpha weighs false positives, its beta false negatives
            tversky = TverskyLoss(alpha=full["fp_weight"], beta=full["fn_weight"], **overlap)
            return ForegroundLoss({"tversky": (1.0, tversky)})
    raise AssertionError(name)
