"""MONAI's BasicUNet with the choices that let its windows equal the whole image."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from monai.networks.nets import BasicUNet

if TYPE_CHECKING:
    from torch import nn


def basic_unet(*, channels: int, outputs: int, width: int, dropout: float) -> nn.Module:
    """Build a U-Net of five levels with widths w, w, 2w, 4w, 8w and w before the head.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 16, at least 16 px.

    Notes
    -----
    Batch norm instead of MONAI's default instance norm, whose statistics change with the window (in an empty window
    it amplifies noise until it looks like cells); transposed convolutions, because MONAI's interpolation aligns
    corners and so depends on the size of the window.

    References
    ----------
    Falk et al. 2019, U-Net: deep learning for cell counting, detection, and morphometry, Nature Methods 16.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the constructor prints, which would corrupt --json
        net: nn.Module = BasicUNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=outputs,
            features=(width, width, 2 * width, 4 * width, 8 * width, width),
            norm="batch",
            upsample="deconv",
            dropout=dropout,
        )
    return net
