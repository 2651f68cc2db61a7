"""MONAI's BasicUNetPlusPlus with batch norm and one output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.networks.nets import BasicUNetPlusPlus
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class OneOutputUNetPlusPlus(BasicUNetPlusPlus):  # type: ignore[misc] # MONAI is not typed
    """U-Net++ that gives its deepest output as a tensor; MONAI's gives a list of one.

    (N, C, Y, X) float32 -> logits (N, K, Y, X).
    """

    def forward(self, image: Tensor) -> Tensor:
        """Give the logits of the last node of the top row."""
        (logits,) = super().forward(image)
        last: Tensor = logits
        return last


def monai_basic_unet_plus_plus(*, channels: int, outputs: int, width: int, dropout: float) -> nn.Module:
    """Build a U-Net whose skips are convolved with everything below them; widths w, w, 2w, 4w, 8w.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 16, other sizes from 16 px on are padded.

    Notes
    -----
    Batch norm and transposed convolutions for the reasons of `basic_unet`. Without deep supervision three of MONAI's
    four heads are computed and thrown away, with weights that never learn: they are left out.

    References
    ----------
    Zhou et al. 2018, UNet++: a nested U-Net architecture for medical image segmentation, arXiv:1807.10165.
    """
    net = OneOutputUNetPlusPlus(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        features=(width, width, 2 * width, 4 * width, 8 * width, width),
        deep_supervision=False,
        norm="batch",
        upsample="deconv",
        dropout=dropout,
    )
    for unused in ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3"):
        setattr(net, unused, nn.Identity())
    built: nn.Module = net
    return built
