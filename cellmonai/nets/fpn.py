"""The feature pyramid that predicts a mask and its uncertainty at four sizes, to be counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

if TYPE_CHECKING:
    from torch import Tensor

MeanActivation = Literal["relu", "softplus"]

_LEAST = 1e-6  # least distance of a probability from 0 and 1, so that its logit is finite


class CountingFpn(nn.Module):
    """One learnt grey channel, averaged down four times, and a mask with its variance on the way up from each size.

    Training mode: (N, channels, H, W) float32 -> the four `masks`. Evaluation mode: -> logits (N, 2, H, W) of the
    finest mask and of its standard deviation, enlarged to full size. H and W are at least 16 px.

    Parameters
    ----------
    mean_activation : `relu` as published; `softplus` keeps a gradient where the mask is 0
    maps : on the way up; the published 128 by default

    Notes
    -----
    Enlarging aligns corners, as published, so a result depends on the size of the window: windows of this network
    cannot equal the whole image. As in the published code batch norm stands after the convolution and the way down has
    no convolutions; the text says otherwise in both.

    References
    ----------
    Hernández et al. 2018, Using deep learning for segmentation and counting within microscopy data, arXiv:1802.10548;
    Lin et al. 2017, Feature pyramid networks for object detection, arXiv:1612.03144; mean and variance: Kendall and
    Gal 2017, What uncertainties do we need, arXiv:1703.04977.
    """

    def __init__(self, *, channels: int, mean_activation: MeanActivation = "relu", maps: int = 128) -> None:
        super().__init__()
        if mean_activation not in {"relu", "softplus"}:
            raise ValueError(f"mean_activation is {mean_activation!r}, expected relu or softplus")
        self.grey = _unit(channels, 1)
        self.maps = maps
        self.across_eighth = _unit(1, maps)
        self.across_quarter = _unit(1, maps)
        self.across_half = _unit(1, maps)
        self.heads = nn.ModuleList(_Head(maps, mean_activation) for _ in range(4))
        self.as_logits = MaskLogits()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Give the four masks in training mode, full-size logits (N, 2, H, W) in evaluation mode."""
        masks = self.masks(image)
        if self.training:
            return masks
        size = (image.shape[-2], image.shape[-1])
        logits: Tensor = self.as_logits(F.interpolate(masks[-1], size=size, mode="bilinear", align_corners=False))
        return logits

    def masks(self, image: Tensor) -> tuple[Tensor, ...]:
        """Give (N, 2, h, w) for h = H/16, H/8, H/4 and H/2: mean of the mask, at least 0, and log-variance.

        What counts from the finest mask reads `masks(image)[-1][:, :1]`.
        """
        # fmt: off
        # way down: one channel, averaged                                                size   channels
        full = self.grey(image)                                                        # H      1
        half = _halve(full)                                                            # H/2    1
        quarter = _halve(half)                                                         # H/4    1
        eighth = _halve(quarter)                                                       # H/8    1
        sixteenth = _halve(eighth)                                                     # H/16   1
        # way up: enlarge, add what comes across
        sixteenth_up = sixteenth.expand(-1, self.maps, -1, -1)                         # H/16   128
        eighth_up = _enlarge(sixteenth_up, eighth) + self.across_eighth(eighth)        # H/8    128
        quarter_up = _enlarge(eighth_up, quarter) + self.across_quarter(quarter)       # H/4    128
        half_up = _enlarge(quarter_up, half) + self.across_half(half)                  # H/2    128
        # fmt: on
        scales = (sixteenth_up, eighth_up, quarter_up, half_up)
        return tuple(head(scale) for head, scale in zip(self.heads, scales, strict=True))


class MaskLogits(nn.Module):
    """From mean and log-variance of a mask to the logits of mean and standard deviation, both clipped to (0, 1)."""

    def forward(self, mask: Tensor) -> Tensor:
        """(N, 2, H, W) -> (N, 2, H, W), float32 under autocast too, where 1 - 1e-6 would round to 1."""
        mean, log_variance = mask.to(torch.promote_types(mask.dtype, torch.float32)).split(1, dim=1)
        return torch.logit(torch.cat([mean, torch.exp(log_variance / 2)], dim=1), eps=_LEAST)


class _Head(nn.Module):
    """Maps of one size to the mean (N, 1, h, w) and log-variance (N, 1, h, w) of one mask, in one tensor."""

    def __init__(self, channels: int, mean_activation: MeanActivation) -> None:
        super().__init__()
        self.mean = _tower(channels, nn.ReLU() if mean_activation == "relu" else nn.Softplus())
        self.log_variance = _tower(channels, nn.LeakyReLU(0.01))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.mean(maps), self.log_variance(maps)], dim=1)


def _tower(channels: int, last: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        _unit(channels, 2 * channels),
        _unit(2 * channels, 2 * channels),
        nn.Conv2d(2 * channels, 1, 3, padding=1),
        last,
    )


def _unit(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01))


def _halve(maps: Tensor) -> Tensor:
    """Average down to half the size; an odd size is rounded down and its averages overlap."""
    return F.adaptive_avg_pool2d(maps, (maps.shape[-2] // 2, maps.shape[-1] // 2))


def _enlarge(maps: Tensor, to: Tensor) -> Tensor:
    return F.interpolate(maps, size=to.shape[-2:], mode="bilinear", align_corners=True)
