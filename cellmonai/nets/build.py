"""From a name and parameters to a network: one line each, and torch is imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def build_network(name: str, parameters: Mapping[str, Any], *, channels: int, outputs: int) -> nn.Module:
    """Build a network of the catalogue.

    Parameters
    ----------
    name : of a row
    parameters : all of its parameters, checked
    channels : of the image
    outputs : maps to give; networks with maps of their own give those
    """
    match name:
        case "c_resunet":
            from cellmonai.nets.c_resunet import CResUnet

            return CResUnet(channels=channels, outputs=outputs, **parameters)
        case "unet":
            from cellmonai.nets.unet import UNet

            return UNet(channels=channels, outputs=outputs, **parameters)
        case "attention_unet":
            from cellmonai.nets.attention_unet import AttentionUNet

            return AttentionUNet(channels=channels, outputs=outputs, **parameters)
        case "res_unet":
            from cellmonai.nets.res_unet import ResUNet

            return ResUNet(channels=channels, outputs=outputs, **parameters)
        case "unet_bilinear":
            from cellmonai.nets.unet_bilinear import BilinearUNet

            return BilinearUNet(channels=channels, outputs=outputs, **parameters)
        case "tiled_cnn":
            from cellmonai.nets.tiled_cnn import TiledCnn

            return TiledCnn(channels=channels)
        case "fpn":
            from cellmonai.nets.fpn import CountingFpn

            return CountingFpn(channels=channels, **parameters)
    return _build_monai(name, parameters, channels=channels, outputs=outputs)


def _build_monai(name: str, parameters: Mapping[str, Any], *, channels: int, outputs: int) -> nn.Module:
    match name:
        case "basic_unet":
            from cellmonai.nets.basic_unet import basic_unet

            return basic_unet(channels=channels, outputs=outputs, **parameters)
        case "monai_attention_unet":
            from cellmonai.nets.monai_attention_unet import monai_attention_unet

            return monai_attention_unet(channels=channels, outputs=outputs, **parameters)
        case "monai_unet":
            from cellmonai.nets.monai_unet import monai_unet

            return monai_unet(channels=channels, outputs=outputs, **parameters)
        case "seg_resnet":
            from cellmonai.nets.monai_seg_resnet import monai_seg_resnet

            return monai_seg_resnet(channels=channels, outputs=outputs, **parameters)
        case "dyn_unet":
            from cellmonai.nets.monai_dyn_unet import monai_dyn_unet

            return monai_dyn_unet(channels=channels, outputs=outputs, **parameters)
        case "basic_unet_plus_plus":
            from cellmonai.nets.monai_basic_unet_plus_plus import monai_basic_unet_plus_plus

            return monai_basic_unet_plus_plus(channels=channels, outputs=outputs, **parameters)
        case "flexible_unet":
            from cellmonai.nets.monai_flexible_unet import monai_flexible_unet

            return monai_flexible_unet(channels=channels, outputs=outputs, **parameters)
        case "swin_unetr":
            from cellmonai.nets.monai_swin_unetr import monai_swin_unetr

            return monai_swin_unetr(channels=channels, outputs=outputs, **parameters)
    raise AssertionError(name)
