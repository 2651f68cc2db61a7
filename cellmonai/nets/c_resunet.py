"""The c-ResUnet: a learnt grey channel, pre-activated residual blocks and a bridge of 5x5 convolutions."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from cellmonai.nets.attention_gate import AttentionGate
from cellmonai.nets.blocks import pad_to_multiple

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["elu", "relu", "leaky_relu"]

DIVISOR = 8
_EPSILON = 1e-3  # of the batch norms, as Keras has it; the first running variance of the published weights is 7e-5
_MOMENTUM = 0.01  # Keras' 0.99, which counts the old value
_TRUNCATED_DEVIATION = 0.87962566103423978  # standard deviation of a normal distribution cut at two of its own


class CResUnet(nn.Module):
    """Residual U-Net that first learns which grey to look at; names of layers as its published weights are mapped.

    (N, channels, H, W) float32, 0 to 1 -> logits (N, outputs, H, W) for any H and W: the last row and column are
    repeated up to multiples of 8, and what was added is cut off.

    Parameters
    ----------
    width : maps of the first level; every halving doubles them
    attention_gates : weigh each skip by an attention gate before it is joined
    activation : of every batch norm outside the gates
    colour_transform : reduce the channels to one by a 1x1 convolution first; plain ResUnet does not
    second_bridge : the bridge has two blocks, as in c-ResUnet, or one, as in plain ResUnet

    Notes
    -----
    No batch norm and no activation follow a sum. Convolutions begin as He et al. 2015 propose, transposed ones and the
    head as Glorot and Bengio 2010, gates as torch does by default.

    References
    ----------
    Morelli et al. 2021, Automating cell counting in fluorescent microscopy through deep learning with c-ResUnet,
    Scientific Reports 11, 22920, figure 4; gates: Oktay et al. 2018, arXiv:1804.03999.
    """

    def __init__(
        self,
        *,
        channels: int,
        outputs: int,
        width: int = 16,
        attention_gates: bool = False,
        activation: Activation = "elu",
        colour_transform: bool = True,
        second_bridge: bool = True,
    ) -> None:
        super().__init__()
        self.colour_conv = nn.Conv2d(channels, 1, 1) if colour_transform else nn.Identity()
        self.colour_bn = _norm(1) if colour_transform else nn.Identity()
        self.colour_act = _activation(activation) if colour_transform else nn.Identity()
        self.stem_conv1 = nn.Conv2d(1 if colour_transform else channels, width, 3, padding=1)
        self.stem_bn = _norm(width)
        self.stem_act = _activation(activation)
        self.stem_conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.halve = nn.MaxPool2d(2)
        self.down1 = ResidualBlock(width, 2 * width, 3, activation)
        self.down2 = ResidualBlock(2 * width, 4 * width, 3, activation)
        self.bridge1 = ResidualBlock(4 * width, 8 * width, 5, activation)
        self.bridge2 = ResidualBlock(8 * width, 8 * width, 5, activation) if second_bridge else nn.Identity()
        self.up1 = UpBlock(4 * width, activation, gated=attention_gates)
        self.up2 = UpBlock(2 * width, activation, gated=attention_gates)
        self.up3 = UpBlock(width, activation, gated=attention_gates)
        self.head = nn.Conv2d(width, outputs, 1)
        _initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) -> logits (N, outputs, H, W)."""
        padded = pad_to_multiple(image, DIVISOR)
        # fmt: off
        # one learnt grey channel; no skip crosses it                     size   channels at width 16
        grey = self.colour_act(self.colour_bn(self.colour_conv(padded)))  # H      1
        # contracting path
        full = self.stem_act(self.stem_bn(self.stem_conv1(grey)))         # H      16
        full = self.stem_conv2(full)                                      # H      16
        half = self.down1(self.halve(full))                               # H/2    32
        quarter = self.down2(self.halve(half))                            # H/4    64
        bridge = self.bridge2(self.bridge1(self.halve(quarter)))          # H/8    128
        # expanding path: double the size, join the skip, refine
        quarter = self.up1(bridge, quarter)                               # H/4    64
        half = self.up2(quarter, half)                                    # H/2    32
        full = self.up3(half, full)                                       # H      16
        # fmt: on
        logits: Tensor = self.head(full)[..., : image.shape[-2], : image.shape[-1]]
        return logits


class ResidualBlock(nn.Module):
    """Twice (batch norm, activation, convolution), added to a 1x1 convolution of the input where the maps change."""

    def __init__(self, channels: int, outputs: int, kernel: int, activation: Activation) -> None:
        super().__init__()
        self.body = _body(channels, outputs, kernel, activation)
        self.shortcut: nn.Module = nn.Identity() if channels == outputs else nn.Conv2d(channels, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, outputs, H, W)."""
        total: Tensor = self.body(maps) + self.shortcut(maps)
        return total


class UpBlock(nn.Module):
    """Double the size, join the skip, refine, and add what was doubled: 2 x `channels` maps to `channels`."""

    def __init__(self, channels: int, activation: Activation, *, gated: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.gate = AttentionGate(channels, channels, max(channels // 2, 1)) if gated else None
        self.body = _body(2 * channels, channels, 3, activation)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """(N, 2 channels, H/2, W/2) and (N, channels, H, W) -> (N, channels, H, W)."""
        raised: Tensor = self.up(low)
        seen = skip if self.gate is None else self.gate(raised, skip)
        total: Tensor = self.body(torch.cat([raised, seen], dim=1)) + raised
        return total


def _body(channels: int, outputs: int, kernel: int, activation: Activation) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            bn1=_norm(channels),
            act1=_activation(activation),
            conv1=nn.Conv2d(channels, outputs, kernel, padding=kernel // 2),
            bn2=_norm(outputs),
            act2=_activation(activation),
            conv2=nn.Conv2d(outputs, outputs, kernel, padding=kernel // 2),
        )
    )


def _norm(maps: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(maps, eps=_EPSILON, momentum=_MOMENTUM)


def _activation(name: Activation) -> nn.Module:
    match name:
        case "elu":
            return nn.ELU()
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(0.01)
    raise ValueError(f"activation is {name!r}, expected elu, relu or leaky_relu")


def _initialise(net: CResUnet) -> None:
    in_gates = {id(part) for gate in net.modules() if isinstance(gate, AttentionGate) for part in gate.modules()}
    for module in net.modules():
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) or id(module) in in_gates:
            continue
        if module is net.head or isinstance(module, nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
        else:
            deviation = math.sqrt(2 / module.weight[0].numel()) / _TRUNCATED_DEVIATION
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
