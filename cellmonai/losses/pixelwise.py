"""Losses that are a mean over pixels: cross-entropy with weights for its two classes, focal loss, squared error.

With a weight map w each is the mean of w times the pixel's loss over all pixels, see `weighted_mean`.

References
----------
Lin et al. 2017, arXiv:1708.02002 (focal)
Morelli et al. 2021, doi:10.1038/s41598-021-01929-5 (class weights together with a weight map)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monai.losses.focal_loss import sigmoid_focal_loss
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cellmonai.losses.sizes import weighted_mean

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropy(nn.Module):
    """Binary cross-entropy of each map, mean of (positive·y + negative·(1 - y))·BCE, on logits (N, K, Y, X).

    Parameters
    ----------
    positive, negative : weights of cell and of background; the mean is over pixels, not over weights
    clip : probabilities count as this far from 0 and 1 at least, beyond which there is no gradient, as in Keras
    """

    def __init__(self, *, positive: float = 1.0, negative: float = 1.0, clip: float = 0.0) -> None:
        super().__init__()
        self.positive, self.negative = positive, negative
        self.largest = math.log((1.0 - clip) / clip) if clip else None

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss; the target (N, K, Y, X) may lie between 0 and 1."""
        if self.largest is not None:
            logits = logits.clamp(-self.largest, self.largest)
        each = binary_cross_entropy_with_logits(logits, target, reduction="none")
        if (self.positive, self.negative) != (1.0, 1.0):
            each = each * (self.positive * target + self.negative * (1.0 - target))
        return weighted_mean(each, weight)


class Focal(nn.Module):
    """Mean of a·(1 - p of the truth)^gamma · BCE, on logits (N, K, Y, X): what is right already hardly counts.

    Parameters
    ----------
    gamma : focusing exponent; 0 is plain cross-entropy
    alpha : a of cell pixels, background gets 1 - alpha; None weighs both 1
    """

    def __init__(self, *, gamma: float, alpha: float | None = None) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss; the target (N, K, Y, X) may lie between 0 and 1."""
        # MONAI's FocalLoss is the mean of this after a cast to float32, which would lose the digits of float64
        return weighted_mean(sigmoid_focal_loss(logits, target, self.gamma, self.alpha), weight)


class SquaredError(nn.Module):
    """Mean squared difference of probability and target, for maps that hold amounts; logits (N, K, Y, X)."""

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss."""
        return weighted_mean((logits.sigmoid() - target).square(), weight)
