"""Classes that exclude one another: categorical cross-entropy, and the maps that are read out of class logits.

A pixel of target "foreground+border" is background, interior or border. The network gives one logit for every class
but the background, whose logit is fixed at 0:

    P(background), P(interior), P(border) = softmax(0, a, b)

The maps that leave inference are, as for every other loss, foreground = P(interior) + P(border) and
border = P(border). With one map the classes are background and foreground, and softmax(0, a) is sigmoid(a): the loss
is binary cross-entropy and nothing has to be read out.

References
----------
Caicedo et al. 2019, doi:10.1002/cyto.a.23863 (background, interior and border)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import softplus

from cellmonai.losses.sizes import weighted_mean

if TYPE_CHECKING:
    from torch import Tensor


def map_logits(class_logits: Tensor) -> Tensor:
    """Give logits whose sigmoid are the maps: (N, 2, …) of interior and border to (N, 2, …) of foreground and border.

    Exact and stable for logits of any size; a single map (N, 1, …) is given as it is.
    """
    if class_logits.shape[1] == 1:
        return class_logits
    interior, border = class_logits.unbind(1)
    return torch.stack([torch.logaddexp(interior, border), border - softplus(interior)], dim=1)


def class_logits(maps: Tensor, *, least: float) -> Tensor:
    """Give the class logits that have these maps (N, K, …), K 1 or 2; the inverse of `map_logits` and sigmoid.

    Every class counts as at least `least` probable.
    """
    classes = class_shares(maps).clamp(min=least).log()
    return classes[:, 1:] - classes[:, :1]


def class_shares(maps: Tensor) -> Tensor:
    """Give the shares of the classes (N, K + 1, …) from maps (N, K, …): background, interior and border.

    A border is part of the foreground; where a map says otherwise, as after interpolation, the foreground decides.
    """
    foreground = maps[:, :1]
    if maps.shape[1] == 1:
        return torch.cat([1.0 - foreground, foreground], dim=1)
    border = torch.minimum(maps[:, 1:], foreground)
    return torch.cat([1.0 - foreground, foreground - border, border], dim=1)


class CategoricalCrossEntropy(nn.Module):
    """Mean over pixels of -Σ y·ln P over the classes, on class logits (N, K, Y, X), K 1 or 2.

    With a weight map it is the mean of weight times the pixel's loss over all pixels. MONAI's cross-entropy needs a
    logit for the background and one label for each pixel, while targets here may lie between classes.
    """

    def forward(self, class_logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss; `target` holds the maps (N, K, Y, X)."""
        background = torch.zeros_like(class_logits[:, :1])
        log_shares = torch.cat([background, class_logits], dim=1).log_softmax(1)
        return weighted_mean(-(class_shares(target) * log_shares).sum(1, keepdim=True), weight)
