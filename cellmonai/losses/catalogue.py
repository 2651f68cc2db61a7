"""The losses that a recipe can name: a plain table, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.core.errors import RecipeError
from cellmonai.core.text import did_you_mean
from cellmonai.recipe.parameters import Parameter, fill_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LossRow:
    """One loss of the catalogue.

    Parameters
    ----------
    parameters : every parameter with its default, bounds and meaning
    source : where the formula is from
    on_empty : value on a batch without any cell, two pictures of 64 x 64 px and every logit -10 (probability 4.5e-5);
        for scales, four scales down to 4 x 4 px with mean 0 and log-variance -6
    takes : "logits" of full maps, or "scales": mean and log-variance at four sizes, as the feature pyramid gives them
    categorical : classes of several maps exclude one another, see `categorical`
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    source: str
    on_empty: float
    takes: Literal["logits", "scales"] = "logits"
    categorical: bool = False


# with smoothing 1, a field without cells has a small, finite loss instead of a constant near 1
_SMOOTHING = Parameter(1.0, "added to numerator and denominator, in px; keeps fields without cells calm", 1e-12, 1e6)
_REDUCTION = Parameter(
    "batch",
    "what overlap is summed over: all images of a batch, or each image, whose losses are then averaged",
    choices=("batch", "image"),
)
_OVERLAP = {"smoothing": _SMOOTHING, "reduction": _REDUCTION}
_DICE_SHARE = Parameter(0.5, "weight of the Dice part, 0 to 1; the other part gets the rest", 0.0, 1.0)
_GAMMA = Parameter(2.0, "focusing exponent of the focal part; 0 is plain cross-entropy", 0.0, 10.0)
_CLIP = Parameter(0.0, "probabilities count as this far from 0 and 1 at least; Keras has 1e-7, 0 is exact", 0.0, 0.1)

LOSSES: tuple[LossRow, ...] = (
    LossRow("bce", "binary cross-entropy", {"clip": _CLIP}, "mean over pixels", on_empty=4.54e-5),
    LossRow(
        "weighted_bce",
        "binary cross-entropy with weights for cell and background",
        {
            "class_weights": Parameter(
                "fixed",
                "weights as given; by each other's share of the training pixels; or background 1, cells by the ratio",
                choices=("fixed", "shares", "ratio"),
            ),
            "positive_weight": Parameter(1.5, "for fixed: weight of cell pixels", 0.0, 1e6),
            "negative_weight": Parameter(1.0, "for fixed: weight of background pixels", 0.0, 1e6),
            "factor": Parameter(1.0, "for shares and ratio: the cells' weight is multiplied by it", 1e-6, 1e6),
            "clip": _CLIP,
        },
        "Morelli et al. 2021, doi:10.1038/s41598-021-01929-5",
        on_empty=4.54e-5,
    ),
    LossRow(
        "cross_entropy",
        "categorical cross-entropy over background and the target's classes",
        {},
        "Caicedo et al. 2019, doi:10.1002/cyto.a.23863",
        on_empty=4.54e-5,
        categorical=True,
    ),
    LossRow("dice", "soft Dice", _OVERLAP, "Milletari et al. 2016, arXiv:1606.04797", on_empty=0.2711),
    LossRow(
        "jaccard",
        "soft intersection over union",
        _OVERLAP,
        "Rahman & Wang 2016, doi:10.1007/978-3-319-50835-1_22",
        on_empty=0.4266,
    ),
    LossRow(
        "tversky",
        "Dice with its two kinds of error weighed",
        {
            "fp_weight": Parameter(0.3, "weight of background called cell", 0.0, 10.0),
            "fn_weight": Parameter(0.7, "weight of cell called background; more means fewer missed cells", 0.0, 10.0),
            **_OVERLAP,
        },
        "Salehi et al. 2017, arXiv:1706.05721",
        on_empty=0.1004,
    ),
    LossRow(
        "focal",
        "focal loss: cross-entropy without the easy pixels",
        {
            "gamma": _GAMMA,
            "alpha": Parameter(0.25, "weight of cell pixels, 0 to 1; background gets the rest", 0.0, 1.0),
        },
        "Lin et al. 2017, arXiv:1708.02002",
        on_empty=7e-14,
    ),
    LossRow(
        "bce_dice",
        "binary cross-entropy plus soft Dice",
        {"dice_share": _DICE_SHARE, **_OVERLAP},
        "sum of its parts",
        on_empty=0.1356,
    ),
    LossRow(
        "dice_focal",
        "soft Dice plus focal loss",
        {"dice_share": _DICE_SHARE, "gamma": _GAMMA, **_OVERLAP},
        "Zhu et al. 2019, arXiv:1808.05238",
        on_empty=0.1355,
    ),
    LossRow(
        "dice_ce",
        "soft Dice plus categorical cross-entropy",
        {
            "dice_weight": Parameter(1.0, "what the Dice part is multiplied by", 0.0, 1e3),
            "ce_weight": Parameter(1.0, "what the cross-entropy is multiplied by", 0.0, 1e3),
            **_OVERLAP,
        },
        "Isensee et al. 2021, doi:10.1038/s41592-020-01008-z",
        on_empty=0.2711,
        categorical=True,
    ),
    LossRow(
        "aleatoric",
        "likelihood of a Gaussian whose mean and variance are both predicted, at four sizes",
        {
            "form": Parameter(
                "nll",
                "negative log-likelihood; cellcount's code; or the formula of cellcount's text",
                choices=("nll", "cellcount", "text"),
            ),
            "tv_weight": Parameter(1e-6, "what the total variation of the mean is multiplied by", 0.0, 1.0),
            "floor": Parameter(-6.0, "for nll: least log-variance, below which it is clamped", -20.0, 0.0),
        },
        "Kendall & Gal 2017, arXiv:1703.04977",
        on_empty=-12.0,
        takes="scales",
    ),
)


def loss_names() -> list[str]:
    """Give the names that `loss.name` may hold."""
    return [row.name for row in LOSSES]


def find_row(name: str, *, section: str = "loss") -> LossRow:
    """Give the row of a loss.

    Raises
    ------
    RecipeError
        There is no such loss; `where` is the recipe's key.
    """
    row = next((row for row in LOSSES if row.name == name), None)
    if row is None:
        raise RecipeError(f"unknown loss {name!r}", where=f"{section}.name", cure=did_you_mean(name, loss_names()))
    return row


def resolve(name: str, parameters: Mapping[str, Any], *, section: str = "loss") -> dict[str, Any]:
    """Check the parameters of a loss and fill in its defaults.

    Raises
    ------
    RecipeError
        An unknown loss or parameter, or a value that does not fit or would not be used; `where` is the recipe's key,
        `section.parameter`.
    """
    row = find_row(name, section=section)
    full = fill_parameters(name, row.parameters, parameters, section=section)
    switch, unused = _unused(full)
    for key in unused:
        if full[key] != row.parameters[key].default:
            sentence = f"{key} has no effect with {switch} = {full[switch]!r}"
            raise RecipeError(sentence, where=f"{section}.{key}", cure="leave it out")
    return full


def _unused(full: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Give the parameter that leaves others without effect, and these others."""
    if "class_weights" in full:
        fixed = full["class_weights"] == "fixed"
        return "class_weights", ("factor",) if fixed else ("positive_weight", "negative_weight")
    return "form", () if full.get("form", "nll") == "nll" else ("floor",)
