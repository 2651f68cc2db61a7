"""MONAI's DynUNet with batch norm."""

from __future__ import annotations

from monai.networks.nets import DynUNet
from torch import nn


def monai_dyn_unet(*, channels: int, outputs: int, width: int, levels: int, dropout: float) -> nn.Module:
    """Build the network of nnU-Net: two convolutions a level, halving by strides, widths w, 2w, 4w … up to 16w.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 2^(levels - 1).

    Notes
    -----
    Batch norm instead of nnU-Net's instance norm, whose statistics change with the window. No deep supervision, with
    which training would give one tensor of several scales and prediction another. MONAI drops features also from the
    logits themselves; that dropout is taken out.

    References
    ----------
    Isensee et al. 2021, nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation,
    Nature Methods 18, doi:10.1038/s41592-020-01008-z.
    """
    halvings = levels - 1
    net = DynUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        kernel_size=(3,) * levels,
        strides=(1,) + (2,) * halvings,
        upsample_kernel_size=(2,) * halvings,
        filters=tuple(width * min(2**level, 16) for level in range(levels)),
        norm_name="batch",
        dropout=dropout or None,
    )
    _keep_all_logits(net.output_block)
    built: nn.Module = net
    return built


def _keep_all_logits(head: nn.Module) -> None:
    for parent in head.modules():
        for name, child in parent.named_children():
            if isinstance(child, (nn.Dropout, nn.Dropout2d)):
                setattr(parent, name, nn.Identity())
