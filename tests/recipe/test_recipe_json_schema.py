"""The JSON Schema says what the loader says: what it takes and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from cellmonai.recipe.augmentations import AUGMENTATIONS
from cellmonai.recipe.json_schema import recipe_json_schema
from cellmonai.recipe.parameters import Parameter
from cellmonai.recipe.schema import Recipe

NETWORKS = {"basic_unet": {"width": Parameter(32, "feature maps", 2, 512)}, "other": {"size": Parameter(1.5, "", 0, 9)}}
LOSSES = {"dice_focal": {"gamma": Parameter(2.0, "exponent", 0.0)}, "dice": {}}


@pytest.fixture(name="schema")
def _schema() -> dict[str, Any]:
    return recipe_json_schema(networks=NETWORKS, losses=LOSSES)


def test_every_section_and_key_is_described(schema: dict[str, Any]) -> None:
    assert list(schema["properties"]) == list(Recipe.model_fields)
    for section in schema["properties"].values():
        assert section["description"]
    for name in (
        "Data",
        "Split",
        "Normalise",
        "Sampling",
        "Artefacts",
        "Target",
        "Training",
        "Phase",
        "Inference",
        "Instances",
    ):
        model = schema["$defs"][name]
        assert model["additionalProperties"] is False
        assert all(row["description"] for row in model["properties"].values()), name


def test_networks_losses_and_augmentations_are_listed_with_their_parameters(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]
    assert definitions["Network"]["properties"]["name"]["enum"] == ["basic_unet", "other"]
    assert definitions["Loss"]["properties"]["name"]["enum"] == ["dice_focal", "dice", "combo"]
    assert definitions["LossPart"]["properties"]["name"]["enum"] == ["dice_focal", "dice"]
    assert "weight" in definitions["LossPart"]["oneOf"][1]["properties"]
    assert definitions["Augmentation"]["properties"]["name"]["enum"] == list(AUGMENTATIONS)
    width = definitions["Network"]["oneOf"][0]["properties"]["width"]
    assert width == {"description": "feature maps", "type": "integer", "minimum": 2, "maximum": 512, "default": 32}
    assert definitions["Loss"]["oneOf"][0]["properties"]["gamma"].keys() == {
        "description",
        "type",
        "minimum",
        "default",
    }
    elastic = next(
        row for row in definitions["Augmentation"]["oneOf"] if row["properties"]["name"]["const"] == "Rand2DElastic"
    )
    assert elastic["properties"]["magnitude_range"]["minItems"] == 2
    assert elastic["required"] == ["name"]


def test_the_default_network_needs_no_name(schema: dict[str, Any]) -> None:
    basic, other = schema["$defs"]["Network"]["oneOf"]
    assert "required" not in basic
    assert other["required"] == ["name"]
