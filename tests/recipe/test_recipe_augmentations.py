"""The table of augmentations: every default fits its own bounds, every row can be used."""

from __future__ import annotations

import math

import pytest

from cellmonai.recipe.augmentations import AUGMENTATIONS, CAUTIONS, DEFAULT_AUGMENT
from cellmonai.recipe.parameters import Parameter
from cellmonai.recipe.schema import Augmentation, Recipe

NUMBER, WHOLE, RANGE = Parameter(0.5, "", 0, 1), Parameter(3, "", 1, 3), Parameter((1.0, 2.0), "", 0.0)
CHOICE, AXIS = Parameter("a", "", choices=("a", "b")), Parameter(0, "", choices=(0, 1))
SWITCH = Parameter(default=False, meaning="", choices=(False, True))


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_a_name_alone_gives_every_parameter_its_default(name: str) -> None:
    step = Augmentation.model_validate({"name": name})
    assert step.parameters == {key: row.default for key, row in AUGMENTATIONS[name].items()}
    assert next(iter(step.parameters)) == "prob"


def test_the_default_list_leaves_out_what_is_slow_or_bends_cells() -> None:
    names = [row["name"] for row in DEFAULT_AUGMENT]
    assert "Rand2DElastic" not in names
    assert names.count("RandFlip") == 2
    recipe = Recipe.model_validate({"data": {"layout": "pairs"}})
    assert [step.name for step in recipe.augment] == names


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_every_parameter_says_what_it_means_and_where_its_bounds_are(name: str) -> None:
    for key, row in AUGMENTATIONS[name].items():
        assert row.meaning, key
        assert row.choices or (math.isfinite(row.low) and math.isfinite(row.high)), key


def test_the_default_list_needs_no_caution() -> None:
    assert set(CAUTIONS) <= set(AUGMENTATIONS)
    assert not set(CAUTIONS) & {row["name"] for row in DEFAULT_AUGMENT}


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        pytest.param("RandElasticGrid", {"control_points": 3, "sd_px": 10.0}, id="U-Net"),
        pytest.param(
            "RandAffineShear",
            {"rotate_deg": (0.0, 360.0), "shear_deg": 10.0, "zoom": (0.8, 1.5), "fill": (0.0, 0.196), "flips": True},
            id="affine of the tiled network",
        ),
        pytest.param(
            "RandDistractors",
            {"ellipses": 2, "rectangles": 2, "side_px": (25.0, 75.0)},
            id="shapes of the tiled network",
        ),
        pytest.param(
            "RandContrastBrightness",
            {"brightness": 0.15, "contrast": 0.15, "noise_sd": 0.02, "clip": True},
            id="intensities of the U-Net with attention",
        ),
        pytest.param("RandElasticSeed000", {"noise_sd_px": 20.0, "sigma": 3.0, "prob": 0.3}, id="elastic of the same"),
        pytest.param("RandBoxBlur", {"kernel_px": (3.0, 25.0)}, id="blur of c-ResUnet"),
        pytest.param("RandRGBShift", {"red": (0.05, 0.06), "green": (0.04, 0.045), "blue": (0.0, 0.0)}, id="its tint"),
        pytest.param("RandMorelli2021", {"prob": 1.0, "artefact": False, "variant": "as_named"}, id="all of it"),
    ],
)
def test_the_defaults_are_the_published_constants(name: str, constants: dict[str, object]) -> None:
    step = Augmentation.model_validate({"name": name})
    assert {key: step.parameters[key] for key in constants} == constants


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        pytest.param(NUMBER, 1, 1.0, id="whole number for a number"),
        pytest.param(WHOLE, 2, 2, id="whole number"),
        pytest.param(RANGE, [1, 4], (1.0, 4.0), id="range"),
        pytest.param(CHOICE, "b", "b", id="word"),
        pytest.param(AXIS, 1, 1, id="one of some numbers"),
        pytest.param(SWITCH, True, True, id="switch"),
    ],
)
def test_a_fitting_value_takes_the_kind_of_the_default(parameter: Parameter, value: object, expected: object) -> None:
    assert parameter.check(value) == expected
    assert type(parameter.check(value)) is type(parameter.default)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        pytest.param(NUMBER, 1.1, "expected 0 to 1", id="above"),
        pytest.param(NUMBER, True, "expected a number", id="true is no number"),
        pytest.param(NUMBER, "1", "expected a number", id="text"),
        pytest.param(NUMBER, math.nan, "expected a number", id="nan"),
        pytest.param(WHOLE, 2.0, "expected a whole number", id="fraction"),
        pytest.param(RANGE, [2, 1], "expected [from, to] with from not above to", id="backwards"),
        pytest.param(RANGE, [1], "expected two numbers [from, to]", id="one end"),
        pytest.param(RANGE, [-1, 1], "expected 0 or more", id="end below"),
        pytest.param(Parameter(1.0, "", high=2.0), 3, "expected 2 or less", id="no lower bound"),
        pytest.param(CHOICE, "c", "expected one of 'a', 'b'", id="unknown word"),
        pytest.param(AXIS, True, "expected one of 0, 1", id="true is not 1"),
        pytest.param(SWITCH, 1, "expected one of false, true", id="1 is not true"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(parameter: Parameter, value: object, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parameter.check(value)
    assert str(caught.value) == message
