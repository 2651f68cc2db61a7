"""The U-Net whose skips pass an attention gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from cellmonai.nets.attention_gate import AttentionGate
from cellmonai.nets.blocks import DoubleConv, pad_to_match

if TYPE_CHECKING:
    from torch import Tensor


class AttentionUNet(nn.Module):
    """U-Net in which the decoder weighs every pixel of a skip before joining it.

    (N, channels, H, W) float32 -> logits (N, outputs, H, W); H and W at least 16 px, for exact windows multiples of 16.

    Parameters
    ----------
    width : maps of the first level, at least 2; every halving doubles them
    dropout : share of whole maps left out after each activation in training

    References
    ----------
    Oktay et al. 2018, Attention U-Net: learning where to look for the pancreas, arXiv:1804.03999, figure 1.
    """

    def __init__(self, *, channels: int, outputs: int, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.halve = nn.MaxPool2d(2)
        self.encode_full = DoubleConv(channels, width, dropout=dropout)
        self.encode_half = DoubleConv(width, 2 * width, dropout=dropout)
        self.encode_quarter = DoubleConv(2 * width, 4 * width, dropout=dropout)
        self.encode_eighth = DoubleConv(4 * width, 8 * width, dropout=dropout)
        self.bottom = DoubleConv(8 * width, 16 * width, dropout=dropout)
        self.decode_eighth = _GatedLevel(8 * width, dropout)
        self.decode_quarter = _GatedLevel(4 * width, dropout)
        self.decode_half = _GatedLevel(2 * width, dropout)
        self.decode_full = _GatedLevel(width, dropout)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) -> logits (N, outputs, H, W)."""
        # fmt: off
        # contracting path                                  size   channels at width 64
        full = self.encode_full(image)                    # H      64
        half = self.encode_half(self.halve(full))         # H/2    128
        quarter = self.encode_quarter(self.halve(half))   # H/4    256
        eighth = self.encode_eighth(self.halve(quarter))  # H/8    512
        bottom = self.bottom(self.halve(eighth))          # H/16   1024
        # expanding path: double the size, gate the skip, join, refine
        eighth = self.decode_eighth(bottom, eighth)       # H/8    512
        quarter = self.decode_quarter(eighth, quarter)    # H/4    256
        half = self.decode_half(quarter, half)            # H/2    128
        full = self.decode_full(half, full)               # H      64
        # fmt: on
        logits: Tensor = self.head(full)
        return logits


class _GatedLevel(nn.Module):
    """One step up: 2 x `channels` maps of half the size and a skip of `channels` maps to `channels` maps."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.gate = AttentionGate(channels, channels, max(channels // 2, 1))
        self.refine = DoubleConv(2 * channels, channels, dropout=dropout)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        raised = pad_to_match(self.enlarge(low), skip)
        refined: Tensor = self.refine(torch.cat([raised, self.gate(raised, skip)], dim=1))
        return refined
