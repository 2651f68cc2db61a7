"""Outlines enclose exactly the pixels of their object, are valid polygons, and do not depend on how rows come."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from painting import Disc, paint, scattered_discs

from cellmonai.images.labels import in_raster_order
from cellmonai.kernels.library import library
from cellmonai.measure.objects import ObjectTable
from cellmonai.measure.tracing import outlines
from cellmonai.measure.tracing.outlines import Outline, object_outlines
from cellmonai.measure.tracing.ring_walk import walk_in_c, walk_in_python, walk_rings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.measure.tracing.rings import Polygon

LABELS = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))


def table_of(labels: NDArray[np.int32]) -> ObjectTable:
    """What outlines need of a table, counted the simple way."""
    rows = []
    for label in np.unique(labels[labels > 0]):
        y, x = np.nonzero(labels == label)
        rows.append((label, x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1, len(x)))
    names = ("label", "bbox_left_px", "bbox_top_px", "bbox_width_px", "bbox_height_px", "area_px")
    values = np.array(rows, np.int64).reshape(-1, len(names))
    return ObjectTable(dict(zip(names, values.T, strict=True)), labels.shape, None)


def traced(labels: NDArray[np.int32], strip_rows: int | None = None) -> list[Outline]:
    return list(object_outlines(labels, table_of(labels), strip_rows=strip_rows))


def only(picture: str) -> tuple[Polygon, ...]:
    """The polygons of the one object of a picture drawn with #."""
    labels = np.array([[sign == "#" for sign in line] for line in picture.split()], np.int32)
    (outline,) = traced(labels)
    require_valid(outline, labels)
    return outline.polygons


def as_lists(polygons: tuple[Polygon, ...]) -> list[list[list[list[int]]]]:
    return [[ring.tolist() for ring in polygon] for polygon in polygons]


def steps(ring: NDArray[np.int32]) -> Iterator[tuple[list[int], list[int]]]:
    points = ring.tolist()
    return pairwise([*points, points[0]])


def filled(polygons: tuple[Polygon, ...], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How often each pixel is enclosed: vertical edges change what lies at their right."""
    change = np.zeros((shape[0], shape[1] + 1), np.int64)
    for ring in (ring for polygon in polygons for ring in polygon):
        for (x, y), (_, y_next) in steps(ring):
            change[min(y, y_next) : max(y, y_next), x] += 1 if y_next < y else -1
    return np.cumsum(change, axis=1)[:, :-1]


def area(ring: NDArray[np.int32]) -> int:
    return sum(x * y_next - x_next * y for (x, y), (x_next, y_next) in steps(ring)) // 2


def require_valid(outline: Outline, labels: NDArray[np.int32]) -> None:
    """Every rule by itself: what is enclosed, orientation, corners only at turns, simple rings, holes in their part."""
    inside = labels == outline.label
    assert np.array_equal(filled(outline.polygons, labels.shape), inside.astype(np.int64))
    assert sum(area(ring) for polygon in outline.polygons for ring in polygon) == inside.sum()
    for polygon in outline.polygons:
        assert area(polygon[0]) > 0
        assert all(area(hole) < 0 for hole in polygon[1:])
        part = filled((polygon,), labels.shape)
        assert set(np.unique(part).tolist()) <= {0, 1}
        assert is_4_connected(part == 1)
        for ring in polygon:
            require_simple(ring)


def require_simple(ring: NDArray[np.int32]) -> None:
    """No point twice, and right angles alone: a ring that follows grid lines and meets itself has a point twice."""
    points = [tuple(point) for point in ring.tolist()]
    assert points[0] == min(points, key=lambda point: (point[1], point[0]))
    passed = []
    for (x, y), (x_next, y_next) in steps(ring):
        assert (x == x_next) != (y == y_next)
        length = abs(x_next - x) + abs(y_next - y)
        passed += [(x + (x_next - x) * i // length, y + (y_next - y) * i // length) for i in range(length)]
    assert len(passed) == len(set(passed))
    ways = [(x == x_next) for (x, _), (x_next, _) in steps(ring)]
    assert all(one != other for one, other in pairwise([*ways, ways[0]]))


def is_4_connected(inside: NDArray[np.bool_]) -> bool:
    reached = np.zeros_like(inside)
    reached[tuple(np.argwhere(inside)[0])] = True
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= inside
        if np.array_equal(grown, reached):
            return bool(np.array_equal(reached, inside))
        reached = grown


def test_one_pixel_is_a_square_on_its_corners() -> None:
    assert as_lists(only("... .#.")) == [[[[1, 1], [2, 1], [2, 2], [1, 2]]]]


def test_corners_lie_only_where_the_outline_turns() -> None:
    assert as_lists(only("##### #####")) == [[[[0, 0], [5, 0], [5, 2], [0, 2]]]]


def test_a_hole_is_a_ring_of_its_own_turned_the_other_way() -> None:
    ((outer, hole),) = only("### #.# ###")
    assert outer.tolist() == [[0, 0], [3, 0], [3, 3], [0, 3]]
    assert hole.tolist() == [[1, 1], [1, 2], [2, 2], [2, 1]]


def test_a_diagonal_contact_separates_an_object_into_two_polygons() -> None:
    assert as_lists(only("#. .#")) == [[[[0, 0], [1, 0], [1, 1], [0, 1]]], [[[1, 1], [2, 1], [2, 2], [1, 2]]]]


def test_a_ring_closed_by_a_diagonal_contact_has_a_hole_that_touches_its_outline() -> None:
    ((outer, hole),) = only(".## #.# ###")
    assert set(map(tuple, outer.tolist())) & set(map(tuple, hole.tolist())) == {(1, 1)}


def test_a_cell_in_the_hole_of_a_cell_that_it_touches_diagonally_is_a_polygon_in_a_hole() -> None:
    assert [len(polygon) for polygon in only("##### #...# ##.## #.#.# #...# #####")] == [2, 1]
    assert [len(polygon) for polygon in only("###### #....# #.#..# #..##. ######")] == [2, 1]


def test_holes_belong_to_the_part_around_them() -> None:
    polygons = only("###.... #.#.... ###.... ...#### ...#.## ...##.# ...####")
    assert [len(polygon) for polygon in polygons] == [2, 3]
    assert polygons[1][1].tolist()[0] == [4, 4]


@given(LABELS)
def test_any_labels_have_valid_outlines_of_their_area(labels: NDArray[np.int32]) -> None:
    found = traced(labels)
    assert [outline.label for outline in found] == np.unique(labels[labels > 0]).tolist()
    for outline in found:
        require_valid(outline, labels)


@given(LABELS, st.integers(1, 5))
def test_outlines_do_not_depend_on_strips(labels: NDArray[np.int32], strip_rows: int) -> None:
    whole, in_strips = traced(labels), traced(labels, strip_rows)
    assert [(o.label, as_lists(o.polygons)) for o in whole] == [(o.label, as_lists(o.polygons)) for o in in_strips]


def test_outlines_that_wait_are_kept_on_disk_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "HELD_IN_MEMORY_BYTES", 100)
    discs = scattered_discs(60, (200, 160), radius_px=(3, 9), seed=4)
    labels = paint(discs, (200, 160))
    labels[:, 80] = labels.max() + 1  # ends last
    labels = in_raster_order(labels)
    found = traced(labels, 20)
    assert [outline.label for outline in found] == list(range(1, labels.max() + 1))
    for outline in found:
        require_valid(outline, labels)


def test_cells_at_every_border_and_a_cell_that_fills_the_image() -> None:
    labels = paint([Disc(0, 0, 6), Disc(0, 20, 6), Disc(20, 0, 6), Disc(31, 39, 6)], (32, 40))
    for outline in traced(labels):
        require_valid(outline, labels)
    (whole,) = traced(np.ones((32, 40), np.int32))
    assert as_lists(whole.polygons) == [[[[0, 0], [40, 0], [40, 32], [0, 32]]]]


def test_no_cells_have_no_outlines() -> None:
    assert traced(np.zeros((5, 6), np.int32)) == []


def test_objects_that_the_table_leaves_out_are_passed_over_and_its_order_is_kept() -> None:
    labels = paint([Disc(5, 5, 3), Disc(5, 15, 3), Disc(15, 5, 3)], (20, 20))
    table = table_of(labels)
    some = ObjectTable({name: values[[2, 0]] for name, values in table.columns.items()}, labels.shape, None)
    assert [outline.label for outline in object_outlines(labels, some, strip_rows=2)] == [3, 1]


def test_labels_with_gaps_and_a_label_in_pieces_are_traced() -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[1, 1], labels[7, 7], labels[4:6, 2] = 70_000, 70_000, 3
    found = {outline.label: outline for outline in traced(labels, 2)}
    assert {label: len(outline.polygons) for label, outline in found.items()} == {3: 1, 70_000: 2}


def test_a_table_of_other_labels_is_a_callers_mistake() -> None:
    labels = paint([Disc(5, 5, 3), Disc(5, 15, 3)], (20, 20))
    table = table_of(labels)
    with pytest.raises(ValueError, match="the table is of"):
        list(object_outlines(labels[:10], table))
    with pytest.raises(ValueError, match="label 2 of the table is not in the label image"):
        list(object_outlines(np.where(labels == 2, 0, labels), table))
    smaller = labels.copy()
    smaller[5, 5] = 0
    with pytest.raises(ValueError, match="was measured on other labels"):
        list(object_outlines(smaller, table))
    with pytest.raises(ValueError, match="part of an object is missing"):
        shrunk = {**table.columns, "bbox_height_px": table["bbox_height_px"] - 3}
        list(object_outlines(labels, ObjectTable(shrunk, labels.shape, None), strip_rows=1))


def test_a_spiral_of_many_corners_is_one_ring() -> None:
    y, x = np.mgrid[-100:100, -100:100] + 0.5
    turn = (np.hypot(y, x) - 6 * np.arctan2(y, x) / np.pi) % 12 < 6
    labels = (turn & (np.hypot(y, x) < 98)).astype(np.int32)
    (outline,) = traced(labels, 17)
    require_valid(outline, labels)


@given(st.integers(0, 200).flatmap(lambda n: st.permutations(range(n))))
def test_the_walk_gives_rings_from_their_least_corners_on(permutation: list[int]) -> None:
    following = np.array(permutation, np.int64)
    order, first = walk_rings(following)
    ends = [*first.tolist(), len(order)]
    rings = [order[start:stop].tolist() for start, stop in pairwise(ends)]
    assert sorted(order.tolist()) == list(range(len(permutation)))
    assert [ring[0] for ring in rings] == sorted(min(ring) for ring in rings)
    assert all(permutation[one] == other for ring in rings for one, other in pairwise([*ring, ring[0]]))


@pytest.mark.parametrize("count", [0, 1, 2, 1000, 100_000])
def test_the_compiled_walk_equals_its_twin(count: int) -> None:
    if (kernels := library()) is None:
        pytest.skip("the compiled kernels are not built here")
    following = np.random.default_rng(count).permutation(count).astype(np.int64)
    before = following.copy()
    in_c, in_python = walk_in_c(following, kernels), walk_in_python(following)
    assert np.array_equal(following, before)
    for one, other in zip(in_c, in_python, strict=True):
        assert one.dtype == other.dtype == np.int64
        assert np.array_equal(one, other)
