"""MONAI's SwinUNETR in two dimensions, with batch norm in its convolutions."""

from __future__ import annotations

import torch
from monai.networks.nets import SwinUNETR
from torch import nn


def monai_swin_unetr(*, channels: int, outputs: int, width: int, dropout: float) -> nn.Module:
    """Build a U-Net whose encoder is a transformer with attention in shifted windows of 7 x 7 tokens.

    (N, channels, Y, X) -> (N, outputs, Y, X) logits; Y and X are multiples of 32.

    Parameters
    ----------
    width : features of a token at half size, a multiple of 12

    Notes
    -----
    Batch norm instead of instance norm keeps empty images quiet. Exact windows remain out of reach: attention windows
    lie on a grid that begins at the corner of the image and are filled up with zeros at its end, so a pixel's result
    depends on where it lies.

    References
    ----------
    Hatamizadeh et al. 2022, Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images,
    arXiv:2201.01266.
    """
    # never on the meta device: the constructor reads numbers back out of tensors
    with torch.device("cpu"):
        net: nn.Module = SwinUNETR(
            spatial_dims=2,
            in_channels=channels,
            out_channels=outputs,
            feature_size=width,
            norm_name="batch",
            drop_rate=dropout,
        )
    return net
