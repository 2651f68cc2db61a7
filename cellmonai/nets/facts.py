"""Radius, divisor and exactness of every network, from its parameters alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.nets.row import NetworkFacts

if TYPE_CHECKING:
    from collections.abc import Mapping


def facts_of(name: str, parameters: Mapping[str, Any]) -> NetworkFacts:
    """Give what inference must know of a network.

    Parameters
    ----------
    name : of a row of the catalogue
    parameters : all of its parameters, checked

    Notes
    -----
    Radii were measured with `receptive_field.structural_radius_px`, and tests measure every one of them again; where
    they depend on parameters, the formula gives all values that the bounds allow.
    """
    match name:
        case "c_resunet":
            # each 5 x 5 convolution of the bridge, at an eighth of the size, reaches 16 px further
            return NetworkFacts(99 if parameters["second_bridge"] else 67, divisor=8, tile_exact=True)
        case "unet_bilinear":
            return NetworkFacts(radius_px=122, divisor=16, tile_exact=True)
        case "tiled_cnn":
            return NetworkFacts(radius_px=51, divisor=8, tile_exact=True, output_stride=8)
        case "fpn":
            return NetworkFacts(radius_px=37, divisor=16, tile_exact=False, output_stride=2)
        case "basic_unet" | "basic_unet_plus_plus" | "unet" | "attention_unet" | "res_unet":
            return NetworkFacts(radius_px=107, divisor=16, tile_exact=True)
        case "monai_attention_unet":
            stride = _stride(parameters)
            return NetworkFacts(5 * stride - 3, stride, tile_exact=True)
        case "monai_unet":
            return _residual_unet(_stride(parameters), parameters["residual_units"])
        case "seg_resnet":
            return NetworkFacts(radius_px=119, divisor=8, tile_exact=True)
        case "dyn_unet":
            stride = _stride(parameters)
            return NetworkFacts(6 * stride - 4, stride, tile_exact=True)
        case "flexible_unet":
            return NetworkFacts(radius_px=311, divisor=32, tile_exact=True)
        case "swin_unetr":
            return NetworkFacts(radius_px=415, divisor=32, tile_exact=False)
    raise AssertionError(name)


def _stride(parameters: Mapping[str, Any]) -> int:
    """Give how much smaller than the image the lowest of its levels is."""
    return int(2 ** (parameters["levels"] - 1))


def _residual_unet(stride: int, units: int) -> NetworkFacts:
    radius = (3 * units + 1) * stride - (2 * units + 1) if units else 3 * stride - 2
    return NetworkFacts(radius, stride, tile_exact=True)
