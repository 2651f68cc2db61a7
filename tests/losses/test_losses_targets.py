"""Targets tell cells from background and touching cells from one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from painting import Disc, paint, scattered_discs
from scipy import ndimage

from cellmonai.losses.targets import make_target, target_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("foreground", "foreground+border", "foreground+distance", "foreground+centre")
EIGHT = np.ones((3, 3), bool)
TOUCHING = paint([Disc(20, 14, radius_px=8), Disc(20, 30, radius_px=8)], shape=(40, 44))


def _pieces(mask: NDArray[np.bool_]) -> int:
    return int(ndimage.label(mask, EIGHT)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_without_cells_is_all_zero(kind: str) -> None:
    target = make_target(np.zeros((5, 7), np.int32), kind)
    assert target.shape == (len(target_maps(kind)), 5, 7)
    assert target.dtype == np.float32
    assert not target.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_cell_keeps_every_pixel_of_its_foreground(kind: str) -> None:
    labels = paint([Disc(10, 10, radius_px=6)], shape=(20, 20))
    assert np.array_equal(make_target(labels, kind)[0], labels > 0)


def test_the_foreground_alone_is_cut_where_two_cells_touch() -> None:
    assert _pieces(TOUCHING > 0) == 1
    assert _pieces(make_target(TOUCHING, "foreground")[0] > 0) == 2


@pytest.mark.parametrize("kind", KINDS[1:])
def test_with_a_second_map_the_foreground_is_whole(kind: str) -> None:
    assert np.array_equal(make_target(TOUCHING, kind)[0], TOUCHING > 0)


def test_the_border_is_the_outermost_pixel_of_every_cell_and_parts_touching_ones() -> None:
    foreground, border = make_target(TOUCHING, "foreground+border")
    assert not border[TOUCHING == 0].any()
    interior = (foreground > 0) & (border == 0)
    assert _pieces(interior) == 2
    for label in (1, 2):
        cell = label == TOUCHING
        assert np.array_equal((border > 0) & cell, cell & ~ndimage.binary_erosion(cell))


def test_interiors_never_touch_even_where_cells_are_packed_without_gaps() -> None:
    labels = np.random.default_rng(3).integers(1, 40, (6, 7)).astype(np.int32).repeat(5, 0).repeat(5, 1)
    foreground, border = make_target(labels, "foreground+border")
    pieces, count = ndimage.label((foreground > 0) & (border == 0), EIGHT)
    for piece in range(1, count + 1):
        assert np.unique(labels[pieces == piece]).size == 1


def test_the_border_of_a_cell_that_the_edge_cuts_is_not_at_the_edge() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[:4, :4] = 1
    border = make_target(labels, "foreground+border")[1]
    assert border.sum() == 7
    assert not border[:3, :3].any()


def test_distance_is_the_depth_in_the_own_cell_relative_to_its_deepest_pixel() -> None:
    labels = np.zeros((9, 16), np.int32)
    labels[2:7, 2:7], labels[2:7, 7:10] = 1, 2
    distance = make_target(labels, "foreground+distance")[1]
    np.testing.assert_allclose(distance[4, 2:7], [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    np.testing.assert_allclose(distance[4, 7:10], [0.5, 1, 0.5])
    assert not distance[labels == 0].any()


def test_distance_equals_a_transform_of_every_cell_by_itself() -> None:
    labels = paint(scattered_discs(25, (120, 130), radius_px=(3, 9), cells_per_cluster=4), (120, 130))
    distance = make_target(labels, "foreground+distance")[1]
    for label in range(1, 26):
        inside = np.pad(labels == label, 1, mode="edge")
        alone = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
        cell = labels == label
        np.testing.assert_allclose(distance[cell], (alone / alone[cell].max())[cell], rtol=1e-6)


@pytest.mark.parametrize("kind", ["foreground+distance", "foreground+centre"])
def test_the_smallest_cell_is_one(kind: str) -> None:
    labels = np.zeros((5, 5), np.int32)
    labels[1, 1] = 7
    assert np.array_equal(make_target(labels, kind)[1], labels > 0)


def test_a_cell_that_fills_the_image_has_depth_one_everywhere_and_no_border() -> None:
    labels = np.ones((6, 6), np.int32)
    assert (make_target(labels, "foreground+distance")[1] == 1).all()
    assert not make_target(labels, "foreground+border")[1].any()


def test_the_centre_is_a_bump_that_falls_to_a_seventh_at_the_rim_whatever_the_size() -> None:
    for radius in (6, 12, 24):
        labels = paint([Disc(32, 32, radius_px=radius)], shape=(65, 65))
        bump = make_target(labels, "foreground+centre")[1]
        assert bump[32, 32] == 1
        assert bump[32, 32 + radius] == pytest.approx(np.exp(-2), abs=0.02)
        assert bump[32, 32 + radius // 2] == pytest.approx(np.exp(-0.5), abs=0.01)


def test_the_centre_of_a_bent_cell_lies_inside_it() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[5:25, 5:25] = 1
    labels[9:25, 9:21] = 0
    bump = make_target(labels, "foreground+centre")[1]
    assert (bump == 1).sum() == 1
    assert labels[bump == 1].all()


def test_every_cell_of_a_cluster_has_one_centre() -> None:
    labels = paint(scattered_discs(30, (160, 160), radius_px=(4, 10), cells_per_cluster=5), (160, 160))
    bump = make_target(labels, "foreground+centre")[1]
    assert sorted(labels[bump == 1]) == list(range(1, 31))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbers", [(3, 900), (7, 2_000_000_000)], ids=["gaps", "far above the pixels"])
def test_the_numbers_of_the_labels_do_not_matter(kind: str, numbers: tuple[int, int]) -> None:
    renumbered = np.array([0, *numbers], np.int32)[TOUCHING]
    assert np.array_equal(make_target(renumbered, kind), make_target(TOUCHING, kind))


@pytest.mark.timeout(60)
def test_seventy_thousand_cells_take_less_than_a_minute() -> None:
    side = 265
    labels = np.zeros((side * 4, side * 4), np.int32)
    grid = labels.reshape(side, 4, side, 4)
    grid[:, 1:, :, 1:] = np.arange(1, side**2 + 1).reshape(side, 1, side, 1)
    labels = np.pad(labels, (0, 1))
    distance, centre = (make_target(labels, kind)[1] for kind in KINDS[2:])
    assert (distance == 1).sum() == (centre == 1).sum() == side**2 == 70_225


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'outline' is none of foreground"):
        make_target(TOUCHING, "outline")
