"""Losses on how far the predicted area and the cells overlap: Dice, Jaccard and Tversky, as MONAI computes them.

With TP = Σ p·y, FP = Σ p·(1 - y) and FN = Σ (1 - p)·y of probability p and target y, and smoothing s, each is
1 - (c·TP + s) / (c·(TP + a·FP + b·FN) + s):

=======  ===  =========  =========
loss     c    a          b
=======  ===  =========  =========
Dice     2    0.5        0.5
Jaccard  2    1          1
Tversky  1    fp_weight  fn_weight
=======  ===  =========  =========

The sums run over the pixels of a whole batch (`reduction` "batch") or of each image ("image"); then the mean is taken
over maps, and over images where each has its own. With s of MONAI's 1e-5 a field without cells costs a constant near
1 without a gradient; with s = 1, in px, it costs the less the emptier the prediction.

MONAI has no weights for pixels here. With a weight map w the sums are TP = Σ w·p·y, FP = Σ w·p·(1 - y) and
FN = Σ w·(1 - p)·y, so that w = 1 everywhere is the unweighted loss, and w = 2 in a pixel counts it twice.

References
----------
Milletari et al. 2016, arXiv:1606.04797 (Dice); Salehi et al. 2017, arXiv:1706.05721 (Tversky).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.losses import DiceLoss, TverskyLoss
from torch import nn

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor


class Overlap(nn.Module):
    """One of the three losses, on logits, target and weight (N, K, Y, X), the weight with one map; gives a scalar.

    Parameters
    ----------
    unweighted : MONAI's class, which computes it where no weight is given
    scale, false_positive, false_negative : c, a and b of the table above
    smoothing : s, in px
    reduction : "batch" or "image"
    """

    def __init__(
        self,
        unweighted: nn.Module,
        *,
        scale: float,
        false_positive: float,
        false_negative: float,
        smoothing: float,
        reduction: str,
    ) -> None:
        super().__init__()
        self.unweighted = unweighted
        self.scale, self.false_positive, self.false_negative = scale, false_positive, false_negative
        self.smoothing = smoothing
        self.summed_axes = (0, 2, 3) if reduction == "batch" else (2, 3)

    @classmethod
    def dice(cls, *, smoothing: float, reduction: str) -> Self:
        """Build soft Dice."""
        return cls._of_dice(1.0, jaccard=False, smoothing=smoothing, reduction=reduction)

    @classmethod
    def jaccard(cls, *, smoothing: float, reduction: str) -> Self:
        """Build soft Jaccard: 1 - intersection over union."""
        return cls._of_dice(2.0, jaccard=True, smoothing=smoothing, reduction=reduction)

    @classmethod
    def tversky(cls, *, fp_weight: float, fn_weight: float, smoothing: float, reduction: str) -> Self:
        """Build Tversky; MONAI's alpha weighs false positives, its beta false negatives."""
        sums = {"batch": reduction == "batch", "smooth_nr": smoothing, "smooth_dr": smoothing}
        return cls(
            TverskyLoss(sigmoid=True, alpha=fp_weight, beta=fn_weight, **sums),
            scale=1.0,
            false_positive=fp_weight,
            false_negative=fn_weight,
            smoothing=smoothing,
            reduction=reduction,
        )

    @classmethod
    def _of_dice(cls, doubled: float, *, jaccard: bool, smoothing: float, reduction: str) -> Self:
        sums = {"batch": reduction == "batch", "smooth_nr": smoothing, "smooth_dr": smoothing}
        return cls(
            DiceLoss(sigmoid=True, jaccard=jaccard, **sums),
            scale=2.0,
            false_positive=doubled / 2,
            false_negative=doubled / 2,
            smoothing=smoothing,
            reduction=reduction,
        )

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss, in the precision of the logits."""
        if weight is None:
            loss: Tensor = self.unweighted(logits, target)
            return loss
        found, there = logits.sigmoid() * weight, target * weight
        both = (found * target).sum(self.summed_axes)
        false, missed = found.sum(self.summed_axes) - both, there.sum(self.summed_axes) - both
        numerator = self.scale * both + self.smoothing
        parts = both + self.false_positive * false + self.false_negative * missed
        return (1.0 - numerator / (self.scale * parts + self.smoothing)).mean()
