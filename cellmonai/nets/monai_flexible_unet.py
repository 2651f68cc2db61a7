"""MONAI's FlexibleUNet: a residual network, known from classification, as the encoder of a U-Net."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812 - the usual name
from monai.networks.nets import FlexibleUNet
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class PaddedShortcut(nn.Module):
    """The shortcut without weights of He et al. 2015, option A: every other pixel, new channels are zero.

    (N, C, Y, X) -> (N, channels, Y/2, X/2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor) -> Tensor:
        """Give every second row and column, and zeros for the channels that are missing."""
        halved = features[:, :, ::2, ::2]
        return F.pad(halved, (0, 0, 0, 0, 0, self.channels - halved.shape[1]))


def monai_flexible_unet(*, channels: int, outputs: int, width: int, dropout: float) -> nn.Module:
    """Build a U-Net with ResNet-18 as encoder and a decoder of widths 16w, 8w, 4w, 2w and w.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 32.

    Notes
    -----
    Random weights: nothing is downloaded. Upsampling repeats pixels, whatever the size of the window. MONAI's
    shortcuts between stages cut the gradient (`out.data`); here it flows. EfficientNet encoders, which average over
    the whole window, are not offered.

    References
    ----------
    He et al. 2015, Deep residual learning for image recognition, arXiv:1512.03385.
    """
    net = FlexibleUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        backbone="resnet18",
        pretrained=False,
        decoder_channels=tuple(width * 2**level for level in (4, 3, 2, 1, 0)),
        norm="batch",
        upsample="nontrainable",
        interp_mode="nearest",
        dropout=dropout,
    )
    net.encoder.avgpool = nn.Identity()  # left over from classification, never called
    for stage in (net.encoder.layer2, net.encoder.layer3, net.encoder.layer4):
        stage[0].downsample = PaddedShortcut(stage[0].conv2.out_channels)
    built: nn.Module = net
    return built
