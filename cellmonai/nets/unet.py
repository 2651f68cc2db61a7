"""The U-Net with batch norm and transposed convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from cellmonai.nets.blocks import DoubleConv, pad_to_match

if TYPE_CHECKING:
    from torch import Tensor


class UNet(nn.Module):
    """U-shaped network: contract for context, expand for place, join what has the same size.

    (N, channels, H, W) float32 -> logits (N, outputs, H, W); H and W at least 16 px, for exact windows multiples of 16.

    Parameters
    ----------
    width : maps of the first level; every halving doubles them
    dropout : share of whole maps left out after each activation in training

    Notes
    -----
    Against the original: same-size padding, batch norm, and zeros instead of cropping where a size is odd.

    References
    ----------
    Ronneberger et al. 2015, U-Net: convolutional networks for biomedical image segmentation, arXiv:1505.04597, fig. 1.
    """

    def __init__(self, *, channels: int, outputs: int, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.halve = nn.MaxPool2d(2)
        self.encode_full = DoubleConv(channels, width, dropout=dropout)
        self.encode_half = DoubleConv(width, 2 * width, dropout=dropout)
        self.encode_quarter = DoubleConv(2 * width, 4 * width, dropout=dropout)
        self.encode_eighth = DoubleConv(4 * width, 8 * width, dropout=dropout)
        self.bottom = DoubleConv(8 * width, 16 * width, dropout=dropout)
        self.double_bottom = nn.ConvTranspose2d(16 * width, 8 * width, 2, stride=2)
        self.decode_eighth = DoubleConv(16 * width, 8 * width, dropout=dropout)
        self.double_eighth = nn.ConvTranspose2d(8 * width, 4 * width, 2, stride=2)
        self.decode_quarter = DoubleConv(8 * width, 4 * width, dropout=dropout)
        self.double_quarter = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.decode_half = DoubleConv(4 * width, 2 * width, dropout=dropout)
        self.double_half = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.decode_full = DoubleConv(2 * width, width, dropout=dropout)
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
        eighth = self.decode_eighth(_join(eighth, self.double_bottom(bottom)))  # H/8    512
        quarter = self.decode_quarter(_join(quarter, self.double_eighth(eighth)))# H/4    256
        half = self.decode_half(_join(half, self.double_quarter(quarter)))      # H/2    128
        full = self.decode_full(_join(full, self.double_half(half)))            # H      64
        # fmt: on
        logits: Tensor = self.head(full)
        return logits


def _join(skip: Tensor, raised: Tensor) -> Tensor:
    return torch.cat([skip, pad_to_match(raised, skip)], dim=1)
