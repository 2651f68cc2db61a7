"""Splitting against label images of an independent implementation, and its properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint, scattered_discs
from skimage.measure import label as skimage_label

from cellmonai.instances.basin_graph import split_mask
from cellmonai.instances.rules import AUTO, LearnedRule, MarkerRule, NoSplit, PersistenceRule, Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("kernels")

RULES: dict[str, Rule] = {"auto": AUTO, "h0.5": PersistenceRule(h_px=0.5, r=0.0), "markers5": MarkerRule(5)}
SMALL_ORACLES = Path(__file__).parents[1] / "data" / "basin_graph"
SMALL_NAMES = sorted(json.loads((SMALL_ORACLES / "basin_graph.json").read_text()))

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))
any_rule = st.sampled_from([*RULES.values(), LearnedRule(), NoSplit()])


def read_case(folder: Path, name: str, rule: str) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
    """Mask and expected label image of one oracle case."""
    shape = json.loads((folder / "basin_graph.json").read_text())[name]["shape"]
    with np.load(folder / "basin_graph.npz", allow_pickle=False) as arrays_:
        bits = np.unpackbits(arrays_[f"{name}__mask"], count=shape[0] * shape[1])
        return bits.reshape(shape).astype(bool), arrays_[f"{name}__{rule}"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SMALL_NAMES)
def test_label_images_equal_those_of_an_independent_implementation(name: str, rule: str) -> None:
    mask, expected = read_case(SMALL_ORACLES, name, rule)
    np.testing.assert_array_equal(split_mask(mask, rule=RULES[rule]), expected)


@pytest.mark.parametrize("rule", RULES)
def test_all_oracle_label_images_are_equal(oracle_folder: Path, rule: str) -> None:
    for name in json.loads((oracle_folder / "basin_graph.json").read_text()):
        mask, expected = read_case(oracle_folder, name, rule)
        np.testing.assert_array_equal(split_mask(mask, rule=RULES[rule]), expected, err_msg=name)


@pytest.mark.parametrize("rule", [*RULES, "learned", "none"])
@pytest.mark.parametrize("strip_rows", [1, 7, 64, 100])
def test_the_strip_height_changes_no_label(strip_rows: int, rule: str) -> None:
    random = np.random.default_rng(5)
    mask = paint(scattered_discs(60, (230, 190), radius_px=(3, 14), cells_per_cluster=5, seed=5), (230, 190)) > 0
    mask[150:] |= random.random((80, 190)) < 0.6
    mask[60:140, 20:90] = True  # a flat top across strips
    how = (RULES | {"learned": LearnedRule(), "none": NoSplit()})[rule]
    whole = split_mask(mask, rule=how, strip_rows=230)
    np.testing.assert_array_equal(split_mask(mask, rule=how, strip_rows=strip_rows), whole)


@given(mask=masks, rule=any_rule, strip_rows=st.integers(1, 25))
def test_any_strip_height_gives_the_labels_of_the_whole(mask: NDArray[np.bool_], rule: Rule, strip_rows: int) -> None:
    np.testing.assert_array_equal(
        split_mask(mask, rule=rule, strip_rows=strip_rows), split_mask(mask, rule=rule, strip_rows=mask.shape[0])
    )


@given(mask=masks, rule=any_rule)
def test_labels_cover_exactly_the_foreground(mask: NDArray[np.bool_], rule: Rule) -> None:
    np.testing.assert_array_equal(split_mask(mask, rule=rule) > 0, mask)


@given(mask=masks, rule=any_rule)
def test_every_label_is_one_8_connected_region(mask: NDArray[np.bool_], rule: Rule) -> None:
    labels = split_mask(mask, rule=rule)
    assert skimage_label(labels, connectivity=2).max(initial=0) == labels.max(initial=0)


@given(mask=masks, rule=any_rule)
def test_labels_are_numbered_by_their_first_raster_pixel(mask: NDArray[np.bool_], rule: Rule) -> None:
    labels = split_mask(mask, rule=rule)
    present, first = np.unique(labels, return_index=True)
    present, first = present[present > 0], first[present > 0]
    np.testing.assert_array_equal(present, np.arange(1, labels.max(initial=0) + 1))
    assert (np.diff(first) > 0).all()


@given(mask=masks)
def test_cells_never_reach_across_components(mask: NDArray[np.bool_]) -> None:
    cells, components = split_mask(mask, rule=AUTO), split_mask(mask, rule=NoSplit())
    pairs = np.unique(np.stack([cells[mask], components[mask]]), axis=1)
    assert pairs.shape[1] == cells.max(initial=0)


@given(mask=masks)
def test_a_rule_that_allows_any_persistence_gives_the_components(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(
        split_mask(mask, rule=PersistenceRule(h_px=300.0, r=1.0)), split_mask(mask, rule=NoSplit())
    )


def test_turning_the_image_changes_no_count_of_separate_and_touching_cells() -> None:
    mask = paint([Disc(20, 20, 9), Disc(20, 36, 9), Disc(60, 50, 12), Disc(60, 71, 11)], (90, 100)) > 0
    counts = {int(split_mask(np.rot90(mask, turns), rule=AUTO).max()) for turns in range(4)}
    assert counts == {4}


@pytest.mark.parametrize(
    ("discs", "count"),
    [
        pytest.param([], 0, id="empty field"),
        pytest.param([Disc(32, 32, 10)], 1, id="one cell"),
        pytest.param([Disc(32, 24, 9), Disc(32, 40, 9)], 2, id="two touching cells"),
        pytest.param([Disc(20, 20, 9), Disc(36, 20, 9), Disc(28, 34, 9)], 3, id="three cells round a gap"),
        pytest.param([Disc(32, 20, 12), Disc(32, 38, 6)], 2, id="a small cell at a large one"),
        pytest.param([Disc(0, 0, 8), Disc(0, 63, 8), Disc(63, 0, 8), Disc(63, 63, 8)], 4, id="cells in the corners"),
        pytest.param([Disc(0, 32, 8), Disc(32, 0, 8), Disc(63, 32, 8), Disc(32, 63, 8)], 4, id="cells at the edges"),
        pytest.param([Disc(32, 32, 0.4)], 1, id="one pixel"),
        pytest.param([Disc(32, 32, 100)], 1, id="full field"),
    ],
)
def test_painted_cells_are_counted(discs: list[Disc], count: int) -> None:
    assert split_mask(paint(discs, (64, 64)) > 0, rule=AUTO).max() == count


@pytest.mark.parametrize("across", [1, 2])
def test_a_cut_between_two_equal_cells_lies_at_the_neck(across: int) -> None:
    columns = (22, 22 + 16 * across)
    truth = paint([Disc(30, columns[0], 9), Disc(30, columns[1], 9)], (60, 80))
    labels = split_mask(truth > 0, rule=AUTO)
    assert np.mean(labels[truth > 0] == truth[truth > 0]) > 0.95


@pytest.mark.parametrize(
    ("per_side", "side"),
    [
        pytest.param((1, 255), (16, 2048), id="255 cells"),
        pytest.param((16, 16), (2048, 2048), id="256 cells"),
        pytest.param((256, 256), (2048, 2048), id="65536 cells"),
    ],
)
def test_counts_at_the_limits_of_small_integers(per_side: tuple[int, int], side: tuple[int, int]) -> None:
    mask = np.zeros(side, bool)
    rows, columns = per_side
    cell = paint([Disc(2, 2, 2)], (5, 5)) > 0
    for row in range(5):
        for column in range(5):
            if cell[row, column]:
                mask[row : 8 * rows : 8, column : 8 * columns : 8] = True
    labels = split_mask(mask, rule=AUTO)
    assert labels.max() == rows * columns
    assert labels.dtype == np.int32


@pytest.mark.parametrize("rule", [*RULES.values(), NoSplit()], ids=[*RULES, "none"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)], ids=str)
def test_tiny_full_masks_are_one_cell(shape: tuple[int, int], rule: Rule) -> None:
    np.testing.assert_array_equal(split_mask(np.ones(shape, bool), rule=rule), np.ones(shape))


def test_the_mask_is_not_changed() -> None:
    mask = paint([Disc(20, 20, 9), Disc(20, 36, 9)], (50, 60)) > 0
    before = mask.copy()
    split_mask(mask, rule=AUTO)
    np.testing.assert_array_equal(mask, before)


def test_a_mask_that_is_a_view_gives_the_same_labels() -> None:
    mask = paint([Disc(20, 20, 9), Disc(20, 36, 9)], (50, 60)) > 0
    np.testing.assert_array_equal(split_mask(np.asfortranarray(mask), rule=AUTO), split_mask(mask, rule=AUTO))
