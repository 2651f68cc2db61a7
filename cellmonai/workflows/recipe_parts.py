"""Whether network, target and loss of a recipe fit one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.losses import catalogue as losses
from cellmonai.nets import catalogue as networks

if TYPE_CHECKING:
    from cellmonai.recipe.load import LoadedRecipe

_TAKES = {"logits": "one map for each map of the target", "scales": "means and log-variances at four scales"}


def require_fitting_parts(loaded: LoadedRecipe) -> None:
    """Refuse a target that the network cannot learn, and a loss of another kind than the network trains with.

    Raises
    ------
    RecipeError
        With the key that does not fit and what would.
    """
    recipe = loaded.recipe
    row = networks.find_row(recipe.network.name)
    if row.targets and recipe.target.kind not in row.targets:
        what = f"{row.name} learns {' or '.join(row.targets)} alone"
        raise loaded.error("target.kind", what, f"use {row.targets[0]!r} or another network")
    for index, (name, _, _) in enumerate(recipe.loss.summed):
        takes = losses.find_row(name).takes
        if takes != row.takes:
            fitting = [loss.name for loss in losses.LOSSES if loss.takes == row.takes]
            key = f"loss.parts.{index}.name" if recipe.loss.parts else "loss.name"
            what = f"{row.name} gives {_TAKES[row.takes]} in training, and {name} takes {_TAKES[takes]}"
            raise loaded.error(key, what, f"use {' or '.join(fitting)}")
