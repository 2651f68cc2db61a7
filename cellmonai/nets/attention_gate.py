"""The additive attention gate: which places of a skip the decoder wants to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class AttentionGate(nn.Module):
    """Weigh every pixel of a skip by a map in [0, 1] made from the skip and the decoder's features there.

    Parameters
    ----------
    gate_channels, skip_channels : maps of the decoder's features and of the skip
    inner_channels : maps they are added in

    Notes
    -----
    The child `attention` gives the map itself, (N, 1, H, W): a forward hook on it reads the map of a pass. The gate is
    the decoder's feature map already enlarged to the size of the skip; Oktay et al. take the coarser one.

    References
    ----------
    Oktay et al. 2018, Attention U-Net: learning where to look for the pancreas, arXiv:1804.03999, figure 2.
    """

    def __init__(self, gate_channels: int, skip_channels: int, inner_channels: int) -> None:
        super().__init__()
        self.from_gate = _pointwise(gate_channels, inner_channels)
        self.from_skip = _pointwise(skip_channels, inner_channels)
        self.attention = nn.Sequential(nn.ReLU(), *_pointwise(inner_channels, 1), nn.Sigmoid())

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """(N, gate_channels, H, W) and (N, skip_channels, H, W) -> (N, skip_channels, H, W), skip times map."""
        weights: Tensor = self.attention(self.from_gate(gate) + self.from_skip(skip))
        return skip * weights


def _pointwise(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
