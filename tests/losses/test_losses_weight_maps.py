"""Weight maps equal the published ones, and weigh the ground between cells as their definitions say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from painting import Disc, paint, scattered_discs
from scipy import ndimage

from cellmonai.core.errors import InputError
from cellmonai.losses.cells import each_cell, squared_distance, widened
from cellmonai.losses.crowding import MORELLI_MAXIMUM, crowding, crowding_morelli2021_raw, ring_around
from cellmonai.losses.weight_maps import make_weight_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORACLE = np.load(Path(__file__).parents[1] / "data" / "oracles" / "weight_maps.npz")
NAMES = ("crowding", "crowding_morelli2021", "border", "border_everywhere")
MASKS = ("one_cell", "three_cells", "L_shape_with_neighbour_in_bbox")
mask = pytest.mark.parametrize("mask", MASKS)


def _labels(mask: str) -> NDArray[np.int32]:
    """Number the 4-connected parts of the oracle's mask; the third one has a speck of 49 px."""
    return ndimage.label(ORACLE[f"{mask}__mask"])[0].astype(np.int32)


@mask
def test_the_ring_around_the_cells_is_the_published_one(mask: str) -> None:
    assert np.array_equal(ring_around(ORACLE[f"{mask}__target"]), ORACLE[f"{mask}__ring"])


def test_the_square_of_the_ring_is_even_and_off_by_one() -> None:
    lone = np.zeros((240, 240), bool)
    lone[120, 120] = True
    rows, cols = np.nonzero(ring_around(lone))
    assert [rows.min(), rows.max(), cols.min(), cols.max()] == [70, 169, 70, 169]


@mask
def test_crowding_equals_the_corrected_map(mask: str) -> None:
    ours = make_weight_map(_labels(mask), "crowding")
    np.testing.assert_allclose(ours, ORACLE[f"{mask}__crowding_corrected_raw"], atol=2e-6, rtol=0)


@mask
def test_crowding_of_morelli_equals_the_original_before_it_is_stored(mask: str) -> None:
    ours = crowding_morelli2021_raw(_labels(mask))
    np.testing.assert_allclose(ours, ORACLE[f"{mask}__crowding_original_raw"], atol=2e-6, rtol=0)


@mask
def test_crowding_of_morelli_is_read_from_eight_bits(mask: str) -> None:
    ours = make_weight_map(_labels(mask), "crowding_morelli2021")
    expected = np.floor(255 * (ORACLE[f"{mask}__crowding_original_raw"].astype(np.float64) / MORELLI_MAXIMUM))
    assert np.abs(ours * 255 - expected).max() < 1e-4
    assert ours.min() * 255 == pytest.approx(66)


@mask
@pytest.mark.parametrize(("name", "key"), [("border", "border_bg_only"), ("border_everywhere", "border_everywhere")])
def test_the_border_map_equals_ronnebergers(mask: str, name: str, key: str) -> None:
    ours = make_weight_map(ORACLE[f"{mask}__labels"].astype(np.int32), name)
    np.testing.assert_allclose(ours, ORACLE[f"{mask}__{key}"], atol=2e-6, rtol=0)


# definitions, pixel by pixel


CLUSTERS = paint(scattered_discs(12, (150, 170), radius_px=(6, 11), cells_per_cluster=4, seed=2), (150, 170))


def _distances(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.stack([ndimage.distance_transform_edt(labels != k) for k in range(1, labels.max() + 1)])


def test_crowding_is_the_sum_of_the_cells_gaussians_in_the_ring() -> None:
    total = np.exp(-(_distances(CLUSTERS) ** 2) / (2 * 25**2)).sum(0)
    expected = np.where(ring_around(CLUSTERS > 0), np.maximum(total, 1), np.where(CLUSTERS > 0, 1.5, 1))
    np.testing.assert_allclose(crowding(CLUSTERS), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("name", ["border", "border_everywhere"])
def test_the_border_map_is_high_where_two_cells_are_near(name: str) -> None:
    nearest, second = np.sort(_distances(CLUSTERS), axis=0)[:2]
    expected = 1 + 10 * np.exp(-((nearest + second) ** 2) / 50)
    if name == "border":
        expected[CLUSTERS > 0] = 1
    np.testing.assert_allclose(make_weight_map(CLUSTERS, name), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(Disc(40, 40, radius_px=5), id="small"),
        pytest.param(Disc(60, 60, radius_px=30), id="large"),
        pytest.param(Disc(0, 110, radius_px=20), id="cut by the edge"),
    ],
)
def test_distances_to_a_cell_are_exact_in_its_window(cell: Disc) -> None:
    labels = paint([cell], shape=(120, 130))
    labels[38:41, 30:90] = 1  # a bar through it, so that it is wide and not convex
    box, pixels = next(iter(each_cell(labels)))
    window = widened(box, 25, labels.shape)
    expected = ndimage.distance_transform_edt(labels == 0)[window] ** 2
    np.testing.assert_allclose(squared_distance(pixels, box, window), expected, rtol=1e-6)


# edges


@pytest.mark.parametrize("name", NAMES)
def test_without_cells_every_pixel_counts_the_same(name: str) -> None:
    weights = make_weight_map(np.zeros((20, 30), np.int32), name)
    assert weights.dtype == np.float32
    assert weights.shape == (20, 30)
    assert np.unique(weights).size == 1


@pytest.mark.parametrize("name", ["border", "border_everywhere"])
def test_one_cell_has_no_border_to_another(name: str) -> None:
    assert (make_weight_map(paint([Disc(20, 20, radius_px=8)], shape=(40, 40)), name) == 1).all()


def test_one_cell_is_heavier_than_the_background_around_it() -> None:
    labels = paint([Disc(60, 60, radius_px=20)], shape=(120, 120))
    assert np.array_equal(make_weight_map(labels, "crowding"), np.where(labels > 0, np.float32(1.5), np.float32(1)))


def test_small_cells_count_where_all_cells_are_small() -> None:
    labels = paint([Disc(30, 20, radius_px=4), Disc(30, 40, radius_px=4)], shape=(60, 60))
    assert make_weight_map(labels, "crowding")[30, 30] > 1.9
    assert np.unique(crowding_morelli2021_raw(labels)).tolist() == [1]  # the original drops whatever is below 100 px


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_the_labels_do_not_matter(name: str) -> None:
    labels = _labels("three_cells")
    renumbered = np.array([0, 5, 11, 2_000_000_000], np.int32)[labels]
    assert np.array_equal(make_weight_map(renumbered, name), make_weight_map(labels, name))


def test_cells_too_crowded_for_the_original_are_refused_with_the_map_to_use() -> None:
    labels = paint(
        [Disc(row, col, radius_px=7) for row in range(20, 130, 16) for col in range(20, 130, 16)], (150, 150)
    )
    with pytest.raises(InputError, match='use "crowding"'):
        make_weight_map(labels, "crowding_morelli2021")
    assert make_weight_map(labels, "crowding").max() > MORELLI_MAXIMUM


def test_an_unknown_map_is_refused() -> None:
    with pytest.raises(ValueError, match="'ring' is none of crowding"):
        make_weight_map(np.zeros((4, 4), np.int32), "ring")
