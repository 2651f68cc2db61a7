"""From maps, masks and label images to objects."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint

from cellmonai.core.errors import InputError
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_in_rows, find_instances, foreground, keep_in_rows, keep_labels
from cellmonai.instances.settings import Border, InstanceSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIELD = [Disc(0, 0, 9), Disc(30, 20, 8), Disc(30, 34, 8), Disc(60, 60, 14), Disc(10, 60, 1)]  # areas from 5 to 613 px
SHAPE = (90, 90)


def field() -> NDArray[np.bool_]:
    return paint(FIELD, SHAPE) > 0


@pytest.mark.parametrize(
    ("settings", "count", "removed"),
    [
        pytest.param({"min_area_px": 0}, 5, {}, id="no filter"),
        pytest.param({}, 4, {"min_area": 1}, id="ten pixels at least by default"),
        pytest.param({"min_area_px": 5}, 5, {}, id="an area at the limit is kept"),
        pytest.param({"max_area_px": 300}, 3, {"min_area": 1, "max_area": 1}, id="largest area"),
        pytest.param({"border": "exclude"}, 3, {"min_area": 1, "border": 1}, id="border"),
        pytest.param({"split": "none"}, 3, {"min_area": 1}, id="touching cells stay together"),
        pytest.param(
            {"min_area_px": 100, "border": "exclude"}, 3, {"min_area": 2}, id="each removed object counts once"
        ),
        pytest.param({"opening": 3, "min_area_px": 0}, 4, {}, id="opening removes the speck"),
        pytest.param({"closing": 6, "split": "none", "min_area_px": 0}, 3 + 1, {}, id="closing keeps far cells apart"),
    ],
)
def test_settings_change_what_is_found(settings: dict[str, object], count: int, removed: dict[str, int]) -> None:
    found = find_instances(field(), InstanceSettings(**settings))  # type: ignore[arg-type]  # fields by name
    assert found.count == count
    assert found.removed == {"min_area": 0, "max_area": 0, "border": 0} | removed
    np.testing.assert_array_equal(np.unique(found.labels), np.arange(count + 1))


@pytest.mark.parametrize("border", get_args(Border))
@pytest.mark.parametrize("areas", [{"min_area_px": 0}, {"min_area_px": 6, "max_area_px": 300}], ids=["all", "some"])
def test_the_counts_under_all_border_rules_are_known_under_each(border: Border, areas: dict[str, float]) -> None:
    how = InstanceSettings(border=border, **areas)  # type: ignore[arg-type]  # fields by name
    counts = {rule: find_instances(field(), replace(how, border=rule)).count for rule in get_args(Border)}
    assert counts["keep"] > counts["frame"] == counts["exclude"]
    with find_in_rows(ArrayRows(field()), how) as found:
        assert found.at_border_rule == counts
        assert found.at_border_rule[border] == found.count
    with keep_in_rows(ArrayRows(paint(FIELD, SHAPE)), how) as kept:
        assert kept.at_border_rule[border] == kept.count


def test_the_frame_takes_what_only_the_far_lines_cut() -> None:
    mask = paint([Disc(0, 40, 6), Disc(40, 0, 6), Disc(89, 40, 6), Disc(40, 89, 6), Disc(40, 40, 6)], SHAPE) > 0
    with find_in_rows(ArrayRows(mask), InstanceSettings(border="exclude")) as found:
        assert found.at_border_rule == {"keep": 5, "exclude": 1, "frame": 3}


@pytest.mark.parametrize("how", [{}, {"opening": 2}, {"closing": 2}, {"fill_holes": "all"}, {"split": "none"}])
def test_any_byte_may_stand_for_true(how: dict[str, object]) -> None:
    settings = InstanceSettings(**how)  # type: ignore[arg-type]  # fields by name
    as_pillow_gives_it = (field() * np.uint8(255)).view(np.bool_)
    found = find_instances(as_pillow_gives_it, settings)
    np.testing.assert_array_equal(found.labels, find_instances(field(), settings).labels)


def test_closing_bridges_a_gap() -> None:
    mask = paint([Disc(30, 20, 9), Disc(30, 42, 9)], (60, 60)) > 0
    assert find_instances(mask, InstanceSettings(split="none")).count == 2
    assert find_instances(mask, InstanceSettings(split="none", closing=5)).count == 1


def test_filled_holes_make_a_ring_one_cell() -> None:
    ring = (paint([Disc(30, 30, 14)], (60, 60)) > 0) & ~(paint([Disc(30, 30, 9)], (60, 60)) > 0)
    assert find_instances(ring, InstanceSettings(fill_holes="none")).count > 1
    filled = find_instances(ring, InstanceSettings(fill_holes="all"))
    assert filled.count == 1
    assert (filled.labels > 0).sum() == (paint([Disc(30, 30, 14)], (60, 60)) > 0).sum()


def test_numbers_follow_first_pixels_after_filters() -> None:
    labels = find_instances(field(), InstanceSettings(border="exclude")).labels
    present, first = np.unique(labels, return_index=True)
    assert present.tolist() == [0, 1, 2, 3]
    assert (np.diff(first[1:]) > 0).all()


def test_an_empty_mask_gives_no_objects() -> None:
    found = find_instances(np.zeros((20, 30), bool), InstanceSettings(opening=2, closing=2, fill_holes="all"))
    assert (found.count, found.labels.shape) == (0, (20, 30))
    assert found.labels.dtype == np.int32


def test_a_full_mask_is_one_object() -> None:
    assert find_instances(np.ones((40, 50), bool), InstanceSettings()).count == 1


@given(mask=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24)), least=st.integers(0, 20))
def test_found_and_removed_add_up(mask: NDArray[np.bool_], least: int) -> None:
    everything = find_instances(mask, InstanceSettings(min_area_px=0)).count
    found = find_instances(mask, InstanceSettings(min_area_px=least, border="exclude"))
    assert found.count + sum(found.removed.values()) == everything


def test_own_labels_are_kept_and_renumbered() -> None:
    labels = np.zeros((30, 40), np.uint16)
    labels[2:8, 20:30], labels[2:8, 30:36], labels[20:28, 4:12] = 900, 7, 41
    found = keep_labels(labels, InstanceSettings())
    assert found.count == 3
    assert [int(found.labels[4, 22]), int(found.labels[4, 32]), int(found.labels[22, 6])] == [1, 2, 3]
    assert found.notes == {}


def test_filters_apply_to_label_images_too() -> None:
    labels = paint(FIELD, SHAPE)
    found = keep_labels(labels, InstanceSettings(max_area_px=300, border="exclude"))
    assert found.count == 2
    assert found.removed == {"min_area": 1, "max_area": 1, "border": 1}
    np.testing.assert_array_equal(labels, paint(FIELD, SHAPE))


def test_a_label_image_without_objects_has_none() -> None:
    assert keep_labels(np.zeros((4, 5), np.uint8), InstanceSettings()).count == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param(np.full((4, 4), 0.5), "float64 values, expected whole numbers", id="fractions"),
        pytest.param(np.full((4, 4), -3), "negative id -3", id="negative"),
    ],
)
def test_what_is_no_label_image_is_refused(labels: NDArray[np.int64], message: str) -> None:
    with pytest.raises(InputError, match=message):
        keep_labels(labels, InstanceSettings())


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_a_probability_that_rounds_to_the_threshold_is_foreground(threshold: float) -> None:
    steps = np.float32(threshold) + np.array([[-1e-3, -1e-6, 0.0, 1e-3]], np.float32)
    assert foreground(steps, threshold).tolist() == [[False, True, True, True]]


def test_engines_that_differ_in_the_last_digits_give_one_foreground() -> None:
    level = np.float32(0.5)
    probability = np.array([[level, np.nextafter(level, np.float32(0)), level - np.float32(1e-6)]], np.float32)
    assert foreground(probability, 0.5).all()


def test_what_is_not_a_number_is_background() -> None:
    assert not foreground(np.full((2, 2), np.nan, np.float32), 0.0).any()


def test_half_precision_maps_are_read_as_they_are() -> None:
    assert foreground(np.array([[0.25, 0.75]], np.float16), 0.5).tolist() == [[False, True]]


def test_finding_imports_neither_torch_nor_scipy_nor_scikit_image() -> None:
    code = (
        "import sys, cellmonai.instances.find, cellmonai.measure.objects; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'scipy', 'skimage', 'pydantic', 'zarr')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
