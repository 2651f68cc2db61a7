"""The recipe as JSON Schema, by which editors complete and check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.recipe.augmentations import AUGMENTATIONS, DEFAULT_AUGMENT
from cellmonai.recipe.schema import COMBO, Recipe

if TYPE_CHECKING:
    from cellmonai.recipe.parameters import ParameterTable


def recipe_json_schema(*, networks: ParameterTable, losses: ParameterTable) -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a recipe; networks and losses are those that can be named."""
    schema = Recipe.model_json_schema(mode="validation")
    definitions = schema["$defs"]
    definitions["Augmentation"] = _one_of(definitions["Augmentation"], AUGMENTATIONS)
    definitions["Network"] = _one_of(definitions["Network"], networks, default="basic_unet")
    parts = definitions["Loss"]["properties"]["parts"]
    definitions["Loss"] = _one_of(definitions["Loss"], losses, default="dice_focal")
    definitions["Loss"]["properties"]["name"]["enum"].append(COMBO)
    definitions["Loss"]["oneOf"].append(
        {"properties": {"name": {"const": COMBO}, "parts": parts}, "required": ["parts"]}
    )
    weight = {"weight": definitions["LossPart"]["properties"]["weight"]}
    definitions["LossPart"] = _one_of(definitions["LossPart"], losses, others=weight)
    schema["properties"]["augment"]["default"] = [dict(row) for row in DEFAULT_AUGMENT]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "cellmonai recipe",
        "description": "What `cellmonai fit` is told; only the folder of the data must be given.",
    }


def _one_of(
    model: dict[str, Any], table: ParameterTable, *, default: str = "", others: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Give a table whose other keys depend on its `name`; `others` are the keys that all have."""
    variants = []
    for name, rows in table.items():
        parameters = {key: row.as_json_schema() for key, row in rows.items()}
        chosen = {"const": name} | ({"default": name} if name == default else {})
        variant = {"properties": {"name": chosen, **(others or {}), **parameters}, "additionalProperties": False}
        variants.append(variant if name == default else variant | {"required": ["name"]})
    name_schema = {"type": "string", "enum": list(table)} | ({"default": default} if default else {})
    described = {"description": model["description"]} if "description" in model else {}
    return described | {"type": "object", "properties": {"name": name_schema}, "oneOf": variants}
