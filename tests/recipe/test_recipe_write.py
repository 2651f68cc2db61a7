"""A recipe written out is the same recipe when it is read again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmonai.recipe.augmentations import AUGMENTATIONS
from cellmonai.recipe.load import LoadedRecipe, load_recipe
from cellmonai.recipe.write import resolved_toml

if TYPE_CHECKING:
    from cellmonai.recipe.parameters import Parameter

MINIMAL: dict[str, Any] = {"data": {"layout": "pairs", "root": "cells"}}


def reload(document: dict[str, Any], *overrides: str, folder: Path | None = None) -> LoadedRecipe:
    return load_text(tomli_w.dumps(document), *overrides, folder=folder)


def load_text(text: str, *overrides: str, folder: Path | None = None) -> LoadedRecipe:
    with tempfile.TemporaryDirectory() as made:
        path = (folder or Path(made)) / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return load_recipe(path, overrides)


def values_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if isinstance(parameter.default, tuple):
        return st.lists(st.floats(parameter.low, parameter.high), min_size=2, max_size=2).map(sorted)
    if isinstance(parameter.default, int):
        return st.integers(int(parameter.low), int(parameter.high))
    return st.floats(parameter.low, parameter.high)


def steps_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    rows = {key: values_of(row) for key, row in AUGMENTATIONS[name].items()}
    rows |= {"max_zoom": st.floats(2, 9), "min_zoom": st.floats(0.5, 1)} if name == "RandZoom" else {}
    return st.fixed_dictionaries({"name": st.just(name)}, optional=rows)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
PLAIN_TEXTS = TEXTS.filter(lambda text: "(" not in text)
PATHS = TEXTS.map(lambda text: text.replace("\0", "_"))
NUMBERS = st.integers(-9, 9) | st.floats(-9, 9) | st.booleans() | TEXTS
DATA = st.fixed_dictionaries(
    {"layout": st.sampled_from(["pairs", "dsb2018", "bbbc005"])},
    optional={
        "root": PATHS,
        "masks": PATHS,
        "tables": st.lists(PATHS, max_size=2),
        "channels": st.lists(TEXTS | st.integers(0, 5), min_size=1, max_size=3),
        "pixel_size_um": st.lists(st.floats(0.01, 9), min_size=2, max_size=2),
        "group_by": PLAIN_TEXTS,
        "select": st.dictionaries(TEXTS, NUMBERS | st.lists(NUMBERS, max_size=3), max_size=3),
        "split": st.fixed_dictionaries({"train": st.floats(0.1, 0.8), "seed": st.integers(0, 9)}),
    },
)
NORMALISE = st.one_of(
    st.fixed_dictionaries({"method": st.sampled_from(["zscore", "none"])}),
    st.fixed_dictionaries({"method": st.just("range"), "low": st.floats(-9, 0), "high": st.floats(1, 9)}),
    st.fixed_dictionaries({"low": st.floats(0, 10)}, optional={"high": st.floats(90, 100)}),
)
DOCUMENTS = st.fixed_dictionaries(
    {"data": DATA},
    optional={
        "normalise": NORMALISE,
        "augment": st.lists(st.sampled_from(sorted(AUGMENTATIONS)).flatmap(steps_of), max_size=3),
        "network": st.fixed_dictionaries(
            {"name": TEXTS}, optional={"width": st.integers(1, 64), "dropout": st.floats(0, 1)}
        ),
        "training": st.fixed_dictionaries(
            {}, optional={"workers": st.integers(0, 4), "max_minutes": st.floats(0.1, 60)}
        ),
        "instances": st.fixed_dictionaries({"threshold": st.floats(0.1, 0.9) | st.just("auto")}),
    },
)


@settings(max_examples=60)
@given(DOCUMENTS)
def test_a_resolved_recipe_reads_as_the_same_recipe(document: dict[str, Any]) -> None:
    first = reload(document)
    again = load_text(resolved_toml(first.recipe))
    assert again.recipe == first.recipe
    assert resolved_toml(again.recipe) == resolved_toml(first.recipe)
    assert again.digest == first.digest or first.recipe.data.root is None


def test_every_value_is_written_out() -> None:
    text = resolved_toml(reload(MINIMAL).recipe)
    for key in ("batch_size = 8", "patch = 256", "foreground_share = 0.7", "rotate_range = 0.5", 'stitch = "auto"'):
        assert key in text
    assert "augment = []" in resolved_toml(reload(MINIMAL, "augment=[]").recipe)


def test_the_digest_is_the_same_wherever_recipe_and_data_lie(tmp_path: Path) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    for folder in (here, there):
        folder.mkdir()
    document = {"data": {"layout": "dsb2018", "root": "cells", "masks": "fixed", "tables": ["a.csv"]}}
    assert reload(document, folder=here).digest == reload(document, folder=there).digest
    moved = reload(document, "data.root=/mnt/disk", folder=here)
    assert moved.digest == reload(document, folder=here).digest
    without_root = {"data": {"layout": "pairs", "images": "i", "masks": "m"}}
    assert reload(without_root, folder=here).digest == reload(without_root, folder=there).digest


@pytest.mark.parametrize(
    "override",
    [
        "data.masks=original",
        "data.images=raw",
        'data.tables=["a.csv"]',
        "data.split.seed=1",
        "training.seed=1",
        "augment=[]",
        "augment.3.prob=0.1",
        "network.width=8",
        "loss.name=tversky",
        "instances.threshold=0.5",
        "normalise.high=99",
    ],
)
def test_the_digest_tells_recipes_apart(override: str) -> None:
    assert reload(MINIMAL, override).digest != reload(MINIMAL).digest


def test_values_written_or_left_out_are_the_same_recipe() -> None:
    written = {**MINIMAL, "training": {"epochs": 50}, "sampling": {"foreground_share": 0.7}}
    assert reload(written).digest == reload(MINIMAL).digest


def test_phases_parts_of_a_loss_and_a_grid_are_written_and_read_again() -> None:
    document = MINIMAL | {
        "sampling": {"method": "grid", "patch": 64, "overlap": 16, "oversample": {"field_3": 4, "field_7:2": 128}},
        "loss": {"parts": [{"name": "bce", "weight": 0.5}, {"name": "tversky", "fn_weight": 0.9}]},
        "training": {"phases": [{"epochs": 5, "min_foreground_px": 6, "augment": False}, {"epochs": 10}]},
    }
    first = reload(document)
    assert first.recipe.training.epochs == 15
    assert first.recipe.loss.summed == (("bce", 0.5, {}), ("tversky", 1.0, {"fn_weight": 0.9}))
    again = load_text(resolved_toml(first.recipe))
    assert again.recipe == first.recipe
    assert again.digest == first.digest
