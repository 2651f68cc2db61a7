"""Loss of a network that predicts, for every pixel, how much of it is cell and how sure it is of that.

Of target y, mean m and log-variance s, with r = y - m, the mean over pixels of

=========  ==================================  ==============================================================
form       formula                             for residuals of standard deviation t it settles at
=========  ==================================  ==============================================================
nll        r²/2·exp(-s) + s/2, s at least -6   t: the likelihood of a Gaussian
cellcount  r²/2·exp(-u) + u                    0.71 t, because a half is missing; u is s, but 0 where s <= -6
text       abs(r)/2·exp(-s/2) + s              0.20 t; what cellcount's text says
=========  ==================================  ==============================================================

plus a total variation of the mean, summed over the four scales. The last two are there to compare with; "text" has no
lower end. All but the first underestimate: an interval of twice the predicted deviation holds 95 %, 84 % and 31 %.

References
----------
Kendall & Gal 2017, arXiv:1703.04977, equation 8; Hernandez, Sultan & Pande 2018, cellcount (its text and code).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cellmonai.losses.sizes import at_size_of, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

_THRESHOLD = -6.0
_CLOSEST_TO_CERTAIN = 1e-6


def aleatoric(
    mean: Tensor, log_variance: Tensor, target: Tensor, *, form: str = "nll", floor: float = _THRESHOLD
) -> Tensor:
    """Give the loss of each element: "nll", "cellcount" or "text" of the table above, `floor` being nll's least s.

    Raises
    ------
    ValueError
        The shapes differ. (N, 1) against (N,) would pair every prediction with every target and pull all of them
        towards the mean of the batch, which is what happened to the original.
    """
    if not mean.shape == log_variance.shape == target.shape:
        shapes = f"{tuple(mean.shape)}, {tuple(log_variance.shape)}, {tuple(target.shape)}"
        raise ValueError(f"mean, log-variance and target are {shapes}, expected one shape")
    residual = target - mean
    match form:
        case "nll":
            log_variance = log_variance.clamp(min=floor)
            return 0.5 * torch.exp(-log_variance) * residual.square() + 0.5 * log_variance
        case "cellcount":
            log_variance = torch.where(log_variance > _THRESHOLD, log_variance, 0.0)
            return 0.5 * torch.exp(-log_variance) * residual.square() + log_variance
        case "text":
            return 0.5 * torch.exp(-0.5 * log_variance) * residual.abs() + log_variance
    raise ValueError(f"form {form!r} is none of nll, cellcount, text")


def total_variation(image: Tensor) -> Tensor:
    """Give the sum of squared differences to the right and below; last row and column of (N, K, Y, X) are left out."""
    corner = image[..., :-1, :-1]
    right, below = image[..., :-1, 1:] - corner, image[..., 1:, :-1] - corner
    return right.square().sum() + below.square().sum()


class AleatoricLoss(nn.Module):
    """The sum over scales of the loss above, and of the total variation of the mean times `tv_weight`.

    With a weight map it is the mean of weight times the pixel's loss over all pixels; total variation is not weighed.
    """

    def __init__(self, *, form: str, tv_weight: float, floor: float) -> None:
        super().__init__()
        self.form, self.tv_weight, self.floor = form, tv_weight, floor

    def forward(self, scales: Sequence[Tensor], target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Give the loss.

        Parameters
        ----------
        scales : (N, 2, y, x) each, mean and log-variance
        target : (N, 1, Y, X) at full size, averaged over areas down to each scale
        weight : (N, 1, Y, X), what each pixel counts, likewise
        """
        return torch.stack([self._of_scale(scale, target, weight) for scale in scales]).sum()

    def _of_scale(self, scale: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        mean, log_variance = scale[:, :1], scale[:, 1:]
        each = aleatoric(mean, log_variance, at_size_of(mean, target), form=self.form, floor=self.floor)
        weight = None if weight is None else at_size_of(mean, weight)
        return weighted_mean(each, weight) + self.tv_weight * total_variation(mean)


def scale_of_maps(maps: Tensor) -> Tensor:
    """Give mean and log-variance (N, 2, Y, X) of the maps "foreground" and "uncertainty", the standard deviation."""
    deviation = maps[:, 1:].clamp(min=_CLOSEST_TO_CERTAIN)
    return torch.cat([maps[:, :1], 2.0 * deviation.log()], dim=1)
