"""MONAI's AttentionUnet with batch norm throughout."""

from __future__ import annotations

from monai.networks.nets import AttentionUnet
from torch import nn


def monai_attention_unet(*, channels: int, outputs: int, width: int, levels: int, dropout: float) -> nn.Module:
    """Build a U-Net whose skips pass an attention gate, with widths w, 2w, 4w … over `levels` levels.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 2^(levels - 1), at least twice that.

    Notes
    -----
    MONAI's merge convolutions carry an instance norm without parameters that cannot be chosen away; it is replaced by
    batch norm, so that a pixel's result does not depend on what else the window holds.

    References
    ----------
    Oktay et al. 2018, Attention U-Net: learning where to look for the pancreas, arXiv:1804.03999.
    """
    net: nn.Module = AttentionUnet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        channels=tuple(width * 2**level for level in range(levels)),
        strides=(2,) * (levels - 1),
        dropout=dropout,
    )
    _replace_instance_norms(net)
    return net


def _replace_instance_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.InstanceNorm2d):
            setattr(module, name, nn.BatchNorm2d(child.num_features))
        else:
            _replace_instance_norms(child)
