"""Recipes and `--set` words that are no recipes: refused in one sentence, before they take time or memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cellmonai.core.errors import InputError, RecipeError
from cellmonai.recipe.load import load_recipe
from cellmonai.recipe.overrides import parse_override

LONG = {
    "ten megabytes": "#" * 10_000_000,
    "deep lists": "x = " + "[" * 300_000,
    "deep lists that end": "[data]\nselect = " + "[" * 300 + "]" * 300,
    "deep tables": "x = " + "{a = " * 200_000,
    "a key of many parts": "a" + ".a" * 400_000 + " = 1",
    "a key of many quoted parts": '"a" . ' * 150_000 + "a = 1",
    "a section of many parts": "[" + "a." * 300_000 + "a]",
    "many sections": "".join(f"[t{i}]\n" for i in range(80_000)),
    "many keys": "".join(f"k{i} = 1\n" for i in range(80_000)),
    "many rows": "[[augment]]\n" * 80_000,
    "many quotes": '"' * 1_000_000,
    "a number of many digits": "[training]\nepochs = " + "9" * 5000,
    "spaces": " " * 1_000_000 + "x",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in LONG.items()])
def test_a_text_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"r\.toml") as caught:
        load_recipe(path)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("training.epochs=" + "[" * 30_000, id="deep lists"),
        pytest.param("training.epochs=" + "{a=" * 30_000, id="deep tables"),
        pytest.param("a." * 60_000 + "a=1", id="a key of many parts"),
        pytest.param("a" * 100_000, id="no equals sign"),
    ],
)
def test_a_set_word_that_is_none_is_refused_in_few_letters(typed: str) -> None:
    with pytest.raises(RecipeError, match="--set") as caught:
        parse_override(typed)
    assert len(str(caught.value)) < 1000


@pytest.mark.skipif(os.name != "posix", reason="no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "loop"])
def test_a_recipe_that_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "r.toml"
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "loop": lambda: path.symlink_to(path),
    }[kind]()
    with pytest.raises(InputError, match=r"r\.toml: cannot be read"):
        load_recipe(path)
