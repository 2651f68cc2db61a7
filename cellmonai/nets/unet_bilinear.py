"""The U-Net with bilinear upsampling and dropout, in the three readings that its description allows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from cellmonai.nets.blocks import DoubleConv, pad_to_match

if TYPE_CHECKING:
    from torch import Tensor

Reading = Literal["full", "conv1x1", "halved"]


class BilinearUNet(nn.Module):
    """U-Net that enlarges by bilinear interpolation, without weights.

    (N, channels, H, W) float32 -> logits (N, outputs, H, W); H and W at least 16 px, for exact windows multiples of 16.

    Parameters
    ----------
    width : maps of the first level
    reading : where the number of maps falls on the way up: `full` in the double convolution after joining, `conv1x1`
        in a 1x1 convolution after enlarging, `halved` in the double convolution before, with half as many at the bottom
    bias : the 3x3 convolutions have a bias, which the batch norm after them makes idle
    dropout : share of whole maps left out after each activation in training

    Notes
    -----
    Pixels keep their centres when enlarged (corners are not aligned): with aligned corners the result at a pixel would
    depend on the size of the window.

    References
    ----------
    Ronneberger et al. 2015, arXiv:1505.04597; spatial dropout: Tompson et al. 2015, arXiv:1411.4280.
    """

    def __init__(
        self,
        *,
        channels: int,
        outputs: int,
        width: int = 16,
        reading: Reading = "full",
        bias: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if reading not in {"full", "conv1x1", "halved"}:
            raise ValueError(f"reading is {reading!r}, expected full, conv1x1 or halved")
        conv = partial(DoubleConv, bias=bias, dropout=dropout)
        level = partial(_Level, reading=reading, bias=bias, dropout=dropout)
        share = 2 if reading == "halved" else 1  # a level hands up as many maps as the next skip has, or twice as many
        bottom, eighth, quarter, half = (maps * width // share for maps in (16, 8, 4, 2))
        self.halve = nn.MaxPool2d(2)
        self.encode_full = conv(channels, width)
        self.encode_half = conv(width, 2 * width)
        self.encode_quarter = conv(2 * width, 4 * width)
        self.encode_eighth = conv(4 * width, 8 * width)
        self.bottom = conv(8 * width, bottom)
        self.decode_eighth = level(bottom, 8 * width, eighth)
        self.decode_quarter = level(eighth, 4 * width, quarter)
        self.decode_half = level(quarter, 2 * width, half)
        self.decode_full = level(half, width, width)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) -> logits (N, outputs, H, W)."""
        # fmt: off
        # contracting path                                  size   channels at width 16, halved
        full = self.encode_full(image)                    # H      16
        half = self.encode_half(self.halve(full))         # H/2    32
        quarter = self.encode_quarter(self.halve(half))   # H/4    64
        eighth = self.encode_eighth(self.halve(quarter))  # H/8    128
        bottom = self.bottom(self.halve(eighth))          # H/16   256, 128
        # expanding path: enlarge, join the skip, refine
        eighth = self.decode_eighth(bottom, eighth)       # H/8    128, 64
        quarter = self.decode_quarter(eighth, quarter)    # H/4    64, 32
        half = self.decode_half(quarter, half)            # H/2    32, 16
        full = self.decode_full(half, full)               # H      16
        # fmt: on
        logits: Tensor = self.head(full)
        return logits


class _Level(nn.Module):
    """One step up: `low` maps of half the size and a skip of `skip` maps to `outputs` maps."""

    def __init__(self, low: int, skip: int, outputs: int, *, reading: Reading, bias: bool, dropout: float) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.reduce: nn.Module = nn.Conv2d(low, low // 2, 1) if reading == "conv1x1" else nn.Identity()
        joined = skip + (low // 2 if reading == "conv1x1" else low)
        middle = joined // 2 if reading == "halved" else outputs
        self.refine = DoubleConv(joined, outputs, middle=middle, bias=bias, dropout=dropout)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        raised = pad_to_match(self.reduce(self.enlarge(low)), skip)
        refined: Tensor = self.refine(torch.cat([skip, raised], dim=1))
        return refined
