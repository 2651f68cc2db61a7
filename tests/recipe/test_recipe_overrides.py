"""`--set` replaces values as TOML would write them, and takes bare words and paths as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cellmonai.core.errors import RecipeError
from cellmonai.recipe.load import load_recipe
from cellmonai.recipe.overrides import parse_override

if TYPE_CHECKING:
    from cellmonai.recipe.schema import Recipe

TEXT = """\
[data]
layout = "pairs"
root = "cells"
select = { stain = "w1" }
group_by = "slide"
split = { train = 0.5, validation = 0.3, seed = 4 }
[instances]
threshold = 0.9
[training]
max_minutes = 5
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(*overrides: str) -> Recipe:
    Path("recipe.toml").write_text(TEXT)
    return load_recipe(Path("recipe.toml"), overrides).recipe


def value(recipe: Recipe, key: str) -> object:
    here: Any = recipe
    for part in key.split("."):
        here = here[part] if isinstance(here, dict) else getattr(here, part)
    return here


@pytest.mark.parametrize(
    ("typed", "key", "expected"),
    [
        pytest.param("training.epochs=5", "training.epochs", 5, id="whole number"),
        pytest.param("training.epochs = 5", "training.epochs", 5, id="spaces"),
        pytest.param("training.learning_rate=1e-4", "training.learning_rate", 1e-4, id="number"),
        pytest.param("instances.fill_holes=true", "instances.fill_holes", "all", id="true"),
        pytest.param("training.optimizer=sgd", "training.optimizer", "sgd", id="bare word"),
        pytest.param('training.optimizer="sgd"', "training.optimizer", "sgd", id="quoted word"),
        pytest.param("instances.threshold=auto", "instances.threshold", "auto", id="word or number: word"),
        pytest.param("instances.threshold=0.3", "instances.threshold", 0.3, id="word or number: number"),
        pytest.param("data.root=/my data", "data.root", Path("/my data"), id="path with a space"),
        pytest.param("data.root=/2024", "data.root", Path("/2024"), id="path of digits"),
        pytest.param("data.root=/a=b#c", "data.root", Path("/a=b#c"), id="path with marks"),
        pytest.param("data.root=/a\nb", "data.root", Path("/a\nb"), id="path with a line end"),
        pytest.param("data.group_by=2024", "data.group_by", "2024", id="digits where text belongs"),
        pytest.param("data.group_by=(s\\d+)", "data.group_by", "(s\\d+)", id="pattern"),
        pytest.param("data.group_by=", "data.group_by", None, id="nothing takes the key out"),
        pytest.param("training.max_minutes=", "training.max_minutes", None, id="nothing brings the default back"),
        pytest.param("data.select.blur=1", "data.select", {"stain": "w1", "blur": 1}, id="new key of a free table"),
        pytest.param("data.select={}", "data.select", {}, id="whole table"),
        pytest.param('data.channels=["DAPI", 1]', "data.channels", ("DAPI", 1), id="list"),
        pytest.param("data.split.train=0.6", "data.split.train", 0.6, id="key of a section in a section"),
        pytest.param("data.split={ train = 0.4 }", "data.split.seed", 0, id="whole section: the rest is default again"),
        pytest.param("augment=[]", "augment", (), id="empty list"),
        pytest.param("network.width=8", "network.width", 8, id="free parameter"),
    ],
)
def test_a_value_is_replaced(typed: str, key: str, expected: object) -> None:
    assert value(load(), key) != expected if key != "network.width" else True
    assert value(load(typed), key) == expected


def test_later_ones_win() -> None:
    assert load("training.epochs=5", "training.epochs=6").training.epochs == 6


def test_entries_of_a_list_have_numbers() -> None:
    assert load("augment.0.prob=0.9").augment[0].parameters["prob"] == 0.9
    assert load('augment.1={ name = "RandZoom" }').augment[1].name == "RandZoom"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        pytest.param("training.epoch=5", "--set training.epoch: unknown key; did you mean training.epochs?", id="typo"),
        pytest.param(
            "trainin.epochs=5", "--set trainin: unknown key; did you mean training?", id="typo in the section"
        ),
        pytest.param("epochs=5", "--set epochs: unknown key; did you mean training.epochs?", id="section forgotten"),
        pytest.param("training.epochs", "--set training.epochs: expected section.key=value", id="no value"),
        pytest.param("=5", "--set =5: expected section.key=value", id="no key"),
        pytest.param("a b=5", "--set a b=5: expected section.key=value", id="space in the key"),
        pytest.param(
            "training.epochs=many", "--set training.epochs: expected a whole number, found 'many'.", id="kind"
        ),
        pytest.param("training.epochs=0", "--set training.epochs: expected 1 or more, found 0.", id="bound"),
        pytest.param("data.channels=[DAPI]", "--set data.channels: '[DAPI]' is no TOML value; write text", id="list"),
        pytest.param("data.layout=pair", "--set data.layout: expected 'pairs', 'splits', 'nnunet', ", id="word"),
        pytest.param("data.split.seed.x=1", "--set data.split.seed.x: data.split.seed is a value", id="below a value"),
        pytest.param(
            "augment.9.prob=1", "--set augment.9.prob: the list has no entry 9; use a number from 0 to 8", id="entry"
        ),
        pytest.param("augment.x=1", "--set augment.x: the list has no entry x; use a number", id="word for an entry"),
        pytest.param(
            "data.split={ sed = 1 }", "--set data.split.sed: unknown key; did you mean data.split.seed", id="inside"
        ),
        pytest.param("training.epochs=5\nseed = 1", "--set training.epochs: expected a whole number", id="two values"),
        pytest.param("data.select.x=2024-01-01", "--set data.select.x: expected text or a whole number or", id="date"),
    ],
)
def test_a_wrong_one_is_refused_by_its_own_name(typed: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(typed)
    assert str(caught.value).startswith(sentence)
    assert "recipe.toml" not in str(caught.value)


def test_a_fault_in_the_file_keeps_its_line_when_something_else_is_set() -> None:
    Path("recipe.toml").write_text(TEXT + "epoch = 1\n")
    with pytest.raises(RecipeError, match=r"recipe.toml:11 training.epoch: unknown key"):
        load_recipe(Path("recipe.toml"), ["training.seed=2"])


def test_quoted_keys_may_hold_anything() -> None:
    assert parse_override('data.select."a.b = c"=1').path == ("data", "select", "a.b = c")
    assert parse_override("data.select.'x y'=1").path == ("data", "select", "x y")
