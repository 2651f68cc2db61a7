"""The losses that a recipe can name: a plain table, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import RecipeError
from cellmonai.core.text import did_you_mean
from cellmonai.recipe.parameters import Parameter, fill_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LossRow:
    """One loss of the catalogue; `parameters` holds every parameter with its default, bounds and meaning."""

    name: str
    title: str
    parameters: Mapping[str, Parameter]


# summed over the batch with smoothing 1, a field without cells has a small, finite loss instead of a constant near 1
_SMOOTHING = Parameter(1.0, "added to numerator and denominator, in px; keeps fields without cells calm", 1e-6, 1e6)
_DICE_SHARE = Parameter(0.5, "weight of the Dice part, 0 to 1; the other part gets the rest", 0.0, 1.0)

LOSSES: tuple[LossRow, ...] = (
    LossRow("dice", "soft Dice over the batch", {"smoothing": _SMOOTHING}),
    LossRow(
        "bce_dice",
        "binary cross-entropy plus soft Dice",
        {"dice_share": _DICE_SHARE, "smoothing": _SMOOTHING},
    ),
    LossRow(
        "dice_focal",
        "soft Dice plus focal loss",
        {
            "dice_share": _DICE_SHARE,
            "gamma": Parameter(2.0, "focusing exponent of the focal part; 0 is plain cross-entropy", 0.0, 10.0),
            "smoothing": _SMOOTHING,
        },
    ),
    LossRow(
        "tversky",
        "Dice with its two kinds of error weighed",
        {
            "fp_weight": Parameter(0.3, "weight of background called cell", 0.0, 10.0),
            "fn_weight": Parameter(0.7, "weight of cell called background; more means fewer missed cells", 0.0, 10.0),
            "smoothing": _SMOOTHING,
        },
    ),
)


def loss_names() -> list[str]:
    """Give the names that `loss.name` may hold."""
    return [row.name for row in LOSSES]


def resolve(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters of a loss and fill in its defaults.

    Raises
    ------
    RecipeError
        An unknown loss or parameter, or a value that does not fit; `where` is the recipe's key.
    """
    row = next((row for row in LOSSES if row.name == name), None)
    if row is None:
        raise RecipeError(f"unknown loss {name!r}", where="loss.name", cure=did_you_mean(name, loss_names()))
    return fill_parameters(name, row.parameters, parameters, section="loss")
