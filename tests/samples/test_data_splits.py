"""Groups stay whole, and what is drawn depends on seed and names alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.core.errors import InputError, RecipeError
from cellmonai.data.splits import Split, group_of, select_pairs, split_as_told, split_pairs
from cellmonai.images.pair import Pair


def _pair(name: str, **attributes: str) -> Pair:
    return Pair(name, Path(f"{name}.tif"), (Path(f"{name}_mask.tif"),), None, attributes)


PAIRS = [_pair(f"field{field}_tile{tile}", field=str(field)) for field in range(20) for tile in range(3)]


@given(seed=st.integers(0, 1000))
def test_no_group_is_on_two_sides(seed: int) -> None:
    split = split_pairs(PAIRS, group_by="field", train=0.6, validation=0.2, seed=seed)
    sides = [{pair.attributes["field"] for pair in part} for part in (split.train, split.validation, split.test)]
    assert not sides[0] & sides[1]
    assert not sides[2] & (sides[0] | sides[1])
    assert sorted(p.name for p in (*split.train, *split.validation, *split.test)) == sorted(p.name for p in PAIRS)


def test_shares_are_met_to_within_a_group() -> None:
    split = split_pairs(PAIRS, group_by="field", train=0.6, validation=0.2, seed=0)
    assert abs(len(split.train) - 36) <= 3
    assert abs(len(split.validation) - 12) <= 3
    assert abs(len(split.test) - 12) <= 3


def test_the_order_of_files_does_not_matter_and_the_seed_does() -> None:
    one = split_pairs(PAIRS, group_by="field", train=0.6, validation=0.2, seed=0)
    assert split_pairs(PAIRS[::-1], group_by="field", train=0.6, validation=0.2, seed=0) == one
    assert split_pairs(PAIRS, group_by="field", train=0.6, validation=0.2, seed=1) != one


def test_without_a_test_share_every_image_is_used() -> None:
    split = split_pairs(PAIRS, group_by=None, train=0.8, validation=0.2, seed=0)
    assert split.test == ()
    assert len(split.train) == 48


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(InputError, match="groups of images: 1, too few"):
        split_pairs(PAIRS[:3], group_by="field", train=0.8, validation=0.2, seed=0)


def test_a_group_may_be_found_in_the_name() -> None:
    assert group_of(_pair("plate1_B02_s3"), r"(B\d+)") == "B02"


@pytest.mark.parametrize(
    ("group_by", "sentence"),
    [
        pytest.param(r"(well\d+)", "does not match", id="expression that does not match"),
        pytest.param("feild", "did you mean 'field'", id="attribute with a typo"),
    ],
)
def test_an_unknown_group_is_refused(group_by: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        group_of(PAIRS[0], group_by)


def test_images_are_selected_by_attribute() -> None:
    assert {p.attributes["field"] for p in select_pairs(PAIRS, {"field": ("3", "5")})} == {"3", "5"}
    assert select_pairs(PAIRS, {}) == PAIRS


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        pytest.param({"feild": ("3",)}, "did you mean 'field'", id="attribute with a typo"),
        pytest.param({"field": ("99",)}, "selects none", id="value that no image has"),
    ],
)
def test_a_selection_of_nothing_is_refused(wanted: dict[str, tuple[str, ...]], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        select_pairs(PAIRS, wanted)


def told(*words: str, group_by: str | None = None, field: str = "f") -> Split:
    pairs = [_pair(f"{i}", role=word, field=field or str(i)) for i, word in enumerate(words)]
    shares = partial(split_pairs, group_by=None, train=0.5, validation=0.5, seed=0)
    return split_as_told(pairs, "role", group_by=group_by, by_shares=shares)


@pytest.mark.parametrize("word", ["val", "valid", "Validation", "dev"])
def test_an_attribute_may_say_what_each_image_is_for(word: str) -> None:
    split = told("train", word, "Testing", "TRAIN")
    assert [[pair.name for pair in part] for part in (split.train, split.validation, split.test)] == [
        ["0", "3"],
        ["1"],
        ["2"],
    ]


def test_shares_divide_train_where_no_image_is_for_validation() -> None:
    split = told("train", "train", "test")
    assert (len(split.train), len(split.validation), [pair.name for pair in split.test]) == (1, 1, ["2"])


@pytest.mark.parametrize(
    ("words", "group_by", "reason"),
    [
        pytest.param(["train", "holdout"], None, "has 'holdout' as 'role'; write train, validation or test", id="word"),
        pytest.param(["val", "test"], None, "no image is for train", id="nothing to learn from"),
        pytest.param(["train", "val"], "field", "images of 'f' are for train and for validation", id="a torn group"),
    ],
)
def test_an_attribute_that_does_not_say_it_is_refused(words: list[str], group_by: str | None, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        told(*words, group_by=group_by)
    with pytest.raises(RecipeError, match="has no attribute 'other'"):
        split_as_told([_pair("a")], "other", group_by=None, by_shares=lambda pairs: Split(tuple(pairs), (), ()))
