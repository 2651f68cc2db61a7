"""A drafted recipe fits the data it was drafted for, and loads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cellmonai.recipe.draft import (
    DataFacts,
    choose_minutes,
    choose_patch,
    choose_per_image,
    choose_range,
    choose_width,
    draft_recipe,
)
from cellmonai.recipe.load import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

FACTS = DataFacts(
    layout="pairs",
    root="my data",
    pairs=20,
    sizes=((512, 640),) * 5,
    channels=1,
    channel_names=("0",),
    dtype="uint16",
    brightest=(900.0, 1000.0, 1100.0),
    darkest=90.0,
    foreground=(0.1, 0.1, 0.1),
    area_px=314.16,
    objects=30.0,
)


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(FACTS, id="plain"),
        pytest.param(replace(FACTS, layout="dsb2018", masks="labels_fixed", tables=("a.csv",)), id="masks and tables"),
        pytest.param(replace(FACTS, groups=("slide", 5), attributes={"stain": {"a": 1, "b": 2}}), id="attributes"),
        pytest.param(replace(FACTS, foreground=(0.0, 0.1, 0.1)), id="nearly empty images"),
        pytest.param(
            replace(FACTS, area_px=None, objects=None, only_counts=True, layout="bbbc005"), id="no object seen"
        ),
        pytest.param(replace(FACTS, channels=3, channel_names=("DAPI", "GFP", "RFP")), id="channels"),
        pytest.param(
            replace(FACTS, root='a\n"[b]"', attributes={"x\ny": {"\n[loss]": 3}}), id="names that hold anything"
        ),
    ],
)
def test_a_draft_loads_and_says_why(facts: DataFacts, tmp_path: Path) -> None:
    text = draft_recipe(facts)
    (tmp_path / "recipe.toml").write_text(text)
    recipe = load_recipe(tmp_path / "recipe.toml").recipe
    assert recipe.data.layout == facts.layout
    assert recipe.data.root == tmp_path / facts.root
    assert recipe.sampling.patch == choose_patch(facts)
    assert recipe.data.group_by == (facts.groups[0] if facts.groups else None)
    assert max(len(line) for line in text.splitlines()) <= 101
    assert text.count("#") > 10


@pytest.mark.parametrize(
    ("diameter_px", "size", "patch"),
    [
        pytest.param(20, 512, 160, id="eight cells across"),
        pytest.param(5, 512, 128, id="small cells still need surroundings"),
        pytest.param(200, 1024, 384, id="large cells must not cost too much"),
        pytest.param(40, 200, 224, id="small images are filled up to a multiple of 32"),
        pytest.param(40, 20, 32, id="tiny images"),
    ],
)
def test_a_crop_follows_the_size_of_cells_and_images(diameter_px: float, size: int, patch: int) -> None:
    area = 3.14159 * diameter_px**2 / 4
    facts = replace(FACTS, area_px=area, sizes=((size, size),))
    assert choose_patch(facts) in {patch, patch + 32}
    assert choose_patch(facts) % 32 == 0


def test_few_images_give_more_crops_each() -> None:
    counts = [choose_per_image(replace(FACTS, pairs=pairs)) for pairs in (1, 4, 20, 48, 500)]
    assert counts == [16, 16, 5, 2, 1]


def test_more_data_carry_a_wider_network_and_more_time() -> None:
    assert (choose_width(FACTS), choose_minutes(FACTS)) == (16, 5)
    assert (choose_width(replace(FACTS, pairs=500)), choose_minutes(replace(FACTS, pairs=500))) == (32, 15)
    assert choose_width(replace(FACTS, channels=3)) == 32


def test_nearly_empty_images_get_one_scale_for_all() -> None:
    empty = replace(FACTS, brightest=(120.5, 1000.0, 1100.2), foreground=(0.001, 0.1, 0.2))
    assert choose_range(empty) == (90.0, 1101.0)
    assert choose_range(FACTS) is None
    assert choose_range(replace(empty, brightest=(120.5, 200.0, 1100.2))) is None, "dim and bright images"
    assert choose_range(replace(empty, foreground=(0.0, 0.0, 0.0))) is None, "nothing to take the scale from"
