"""MONAI's UNet with batch norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.networks.nets import UNet

if TYPE_CHECKING:
    from torch import nn


def monai_unet(
    *, channels: int, outputs: int, width: int, levels: int, residual_units: int, dropout: float
) -> nn.Module:
    """Build a U-Net of residual units that halves by strided convolutions, with widths w, 2w, 4w … over its levels.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 2^(levels - 1).

    Parameters
    ----------
    residual_units : convolutions of each residual unit on the way down; 0 is one plain convolution a level

    Notes
    -----
    Batch norm instead of MONAI's default instance norm without parameters, whose statistics change with the window.
    Other sizes would come back enlarged, without an error: `build` refuses them.

    References
    ----------
    Kerfoot et al. 2019, Left-ventricle quantification using residual U-Net, doi:10.1007/978-3-030-12029-0_40.
    """
    net: nn.Module = UNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        channels=tuple(width * 2**level for level in range(levels)),
        strides=(2,) * (levels - 1),
        num_res_units=residual_units,
        norm="batch",
        dropout=dropout,
    )
    return net
