"""The table of augmentations: every default fits its own bounds, every row can be used."""

from __future__ import annotations

import math

import pytest

from cellmonai.recipe.augmentations import AUGMENTATIONS, DEFAULT_AUGMENT
from cellmonai.recipe.parameters import Parameter
from cellmonai.recipe.schema import Augmentation, Recipe

NUMBER, WHOLE, RANGE = Parameter(0.5, "", 0, 1), Parameter(3, "", 1, 3), Parameter((1.0, 2.0), "", 0.0)
CHOICE, AXIS = Parameter("a", "", choices=("a", "b")), Parameter(0, "", choices=(0, 1))


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


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        pytest.param(NUMBER, 1, 1.0, id="whole number for a number"),
        pytest.param(WHOLE, 2, 2, id="whole number"),
        pytest.param(RANGE, [1, 4], (1.0, 4.0), id="range"),
        pytest.param(CHOICE, "b", "b", id="word"),
        pytest.param(AXIS, 1, 1, id="one of some numbers"),
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
    ],
)
def test_a_value_that_does_not_fit_is_refused(parameter: Parameter, value: object, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parameter.check(value)
    assert str(caught.value) == message
