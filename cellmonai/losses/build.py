"""Losses from their names: weighted sums of the catalogue's rows, at whatever size a network's output has.

A loss is computed in float32 whatever the precision of the network, because the sums overflow float16 and lose digits
in bfloat16; float64 stays float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import RecipeError
from cellmonai.losses.aleatoric import AleatoricLoss
from cellmonai.losses.catalogue import find_row, resolve
from cellmonai.losses.categorical import CategoricalCrossEntropy
from cellmonai.losses.class_weights import ClassWeights, ratio_as_weights, shares_as_weights
from cellmonai.losses.overlap import Overlap
from cellmonai.losses.pixelwise import CrossEntropy, Focal
from cellmonai.losses.sums import MapLoss, ScalesLoss, Terms
from cellmonai.losses.targets import MEASURED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Part = tuple[str, float, "Mapping[str, Any]"]
"""Name of a loss, what its value is multiplied by, and its parameters."""

Loss = MapLoss | ScalesLoss


def build_loss(
    parts: Sequence[Part],
    *,
    maps: Sequence[str] = ("foreground",),
    foreground_share: float | None = None,
    map_weight: float = 1.0,
) -> Loss:
    """Build the weighted sum of losses of the catalogue; parameters that are left out have their defaults.

    Parameters
    ----------
    parts : name, share and parameters of every loss that is summed
    maps : what the maps of the target are, see `target_maps`
    foreground_share : share of cell pixels in the training images, 0 to 1, for losses that weigh classes by it
    map_weight : what the squared error of maps that hold amounts, as distances, is multiplied by

    Returns
    -------
    MapLoss, or ScalesLoss for losses that take the scales of a feature pyramid; both are called with what the network
    gives in training, target and pixel weights, and have `of_maps` for finished probability maps

    Raises
    ------
    RecipeError
        An unknown loss or parameter, a value that does not fit, or losses that cannot be summed or take these maps.
    InputError
        Classes are to be weighed by their shares and one does not occur.
    ValueError
        There is no part, or `foreground_share` is missing where it is needed.
    """
    if not parts:
        raise ValueError("a loss needs at least one part")
    rows = [find_row(name) for name, _, _ in parts]
    weighed = [(share, resolve(name, parameters)) for name, share, parameters in parts]
    if "scales" in {row.takes for row in rows}:
        _require_scales_only(parts, maps)
        return ScalesLoss([(share, AleatoricLoss(**full)) for share, full in weighed])
    terms = [
        (share * inner, term)
        for row, (share, full) in zip(rows, weighed, strict=True)
        for inner, term in _terms(row.name, full, foreground_share)
    ]
    several = sum(name not in MEASURED for name in maps) > 1
    categorical = several and any(row.categorical for row in rows)
    return MapLoss(terms, maps=maps, categorical=categorical, map_weight=map_weight)


def _require_scales_only(parts: Sequence[Part], maps: Sequence[str]) -> None:
    """Refuse what a feature pyramid's four sizes cannot learn."""
    other = next((name for name, _, _ in parts if find_row(name).takes != "scales"), None)
    if other is not None:
        cure = "use losses that take the same output"
        raise RecipeError(f"{other!r} takes maps, the other parts take scales", where="loss.parts", cure=cure)
    if tuple(maps) != ("foreground",):
        cure = 'use kind = "foreground", or another loss'
        raise RecipeError(f"{parts[0][0]!r} learns one map, not {', '.join(maps)}", where="target.kind", cure=cure)


def _terms(name: str, full: Mapping[str, Any], foreground_share: float | None) -> Terms:
    """Give the weighted terms of one row of the catalogue, with all its parameters."""
    overlap = {key: full[key] for key in ("smoothing", "reduction") if key in full}
    match name:
        case "bce":
            return [(1.0, CrossEntropy(clip=full["clip"]))]
        case "weighted_bce":
            weights = _class_weights(full, foreground_share)
            return [(1.0, CrossEntropy(**weights._asdict(), clip=full["clip"]))]
        case "cross_entropy":
            return [(1.0, CategoricalCrossEntropy())]
        case "dice":
            return [(1.0, Overlap.dice(**overlap))]
        case "jaccard":
            return [(1.0, Overlap.jaccard(**overlap))]
        case "tversky":
            return [(1.0, Overlap.tversky(fp_weight=full["fp_weight"], fn_weight=full["fn_weight"], **overlap))]
        case "focal":
            return [(1.0, Focal(gamma=full["gamma"], alpha=full["alpha"]))]
        case "bce_dice":
            share = full["dice_share"]
            return [(share, Overlap.dice(**overlap)), (1.0 - share, CrossEntropy())]
        case "dice_focal":
            # MONAI's DiceFocalLoss without `sigmoid` trains its Dice on raw logits; here the sum is made of its parts
            share = full["dice_share"]
            return [(share, Overlap.dice(**overlap)), (1.0 - share, Focal(gamma=full["gamma"]))]
        case "dice_ce":
            return [(full["dice_weight"], Overlap.dice(**overlap)), (full["ce_weight"], CategoricalCrossEntropy())]
    raise AssertionError(name)


def _class_weights(full: Mapping[str, Any], foreground_share: float | None) -> ClassWeights:
    """Give the weights of cell and background that the row's `class_weights` asks for."""
    if full["class_weights"] == "fixed":
        return ClassWeights(positive=full["positive_weight"], negative=full["negative_weight"])
    if foreground_share is None:
        raise ValueError(f"class_weights = {full['class_weights']!r} needs the share of cell pixels in training")
    by_share = {"shares": shares_as_weights, "ratio": ratio_as_weights}[full["class_weights"]]
    return by_share(foreground_share, factor=full["factor"])
