"""MONAI's SegResNet with batch norm and learnt upsampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.networks.nets import SegResNet

if TYPE_CHECKING:
    from torch import nn


def monai_seg_resnet(*, channels: int, outputs: int, width: int, dropout: float) -> nn.Module:
    """Build an encoder of residual blocks, heavier than its decoder, with widths w, 2w, 4w and 8w.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 8.

    Notes
    -----
    Batch norm instead of the published group norm, whose statistics change with the window; transposed convolutions
    instead of interpolation, whose last bits do. The autoencoder branch of the paper is left out, as in MONAI.

    References
    ----------
    Myronenko 2018, 3D MRI brain tumor segmentation using autoencoder regularization, arXiv:1810.11654.
    """
    net: nn.Module = SegResNet(
        spatial_dims=2,
        init_filters=width,
        in_channels=channels,
        out_channels=outputs,
        dropout_prob=dropout or None,  # 0 would still add a layer
        norm="batch",
        upsample_mode="deconv",
    )
    return net
