"""The U-Net of residual blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from cellmonai.nets.blocks import pad_to_match

if TYPE_CHECKING:
    from torch import Tensor


class ResUNet(nn.Module):
    """U-Net whose double convolutions each learn a difference to what comes in.

    (N, channels, H, W) float32 -> logits (N, outputs, H, W); H and W at least 16 px, for exact windows multiples of 16.

    Parameters
    ----------
    width : maps of the first level; every halving doubles them
    dropout : share of whole maps left out between the two convolutions of a block in training

    References
    ----------
    Zhang et al. 2018, Road extraction by deep residual U-Net, IEEE Geoscience and Remote Sensing Letters 15; with the
    activation after the sum as in He et al. 2016, arXiv:1512.03385, figure 2.
    """

    def __init__(self, *, channels: int, outputs: int, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.halve = nn.MaxPool2d(2)
        self.encode_full = ResidualConv(channels, width, dropout)
        self.encode_half = ResidualConv(width, 2 * width, dropout)
        self.encode_quarter = ResidualConv(2 * width, 4 * width, dropout)
        self.encode_eighth = ResidualConv(4 * width, 8 * width, dropout)
        self.bottom = ResidualConv(8 * width, 16 * width, dropout)
        self.double_bottom = nn.ConvTranspose2d(16 * width, 8 * width, 2, stride=2)
        self.decode_eighth = ResidualConv(16 * width, 8 * width, dropout)
        self.double_eighth = nn.ConvTranspose2d(8 * width, 4 * width, 2, stride=2)
        self.decode_quarter = ResidualConv(8 * width, 4 * width, dropout)
        self.double_quarter = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.decode_half = ResidualConv(4 * width, 2 * width, dropout)
        self.double_half = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.decode_full = ResidualConv(2 * width, width, dropout)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) -> logits (N, outputs, H, W)."""
        # fmt: off
        # contracting path                                                        size   channels at width 64
        full = self.encode_full(image)                                          # H      64
        half = self.encode_half(self.halve(full))                               # H/2    128
        quarter = self.encode_quarter(self.halve(half))                         # H/4    256
        eighth = self.encode_eighth(self.halve(quarter))                        # H/8    512
        bottom = self.bottom(self.halve(eighth))                                # H/16   1024
        # expanding path: double the size, join the skip, refine
        eighth = self.decode_eighth(_join(self.double_bottom(bottom), eighth))  # H/8    512
        quarter = self.decode_quarter(_join(self.double_eighth(eighth), quarter))# H/4    256
        half = self.decode_half(_join(self.double_quarter(quarter), half))      # H/2    128
        full = self.decode_full(_join(self.double_half(half), full))            # H      64
        # fmt: on
        logits: Tensor = self.head(full)
        return logits


class ResidualConv(nn.Module):
    """Two convolutions with batch norm added to their input, then ReLU; 1x1 on the input where the maps change."""

    def __init__(self, channels: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if channels != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.activate = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, outputs, H, W)."""
        refined: Tensor = self.activate(self.body(maps) + self.shortcut(maps))
        return refined


def _join(raised: Tensor, skip: Tensor) -> Tensor:
    return torch.cat([pad_to_match(raised, skip), skip], dim=1)
