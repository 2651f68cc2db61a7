"""The object table against scikit-image's regionprops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint, scattered_discs
from scipy.spatial.distance import cdist
from skimage.measure import regionprops

from cellmonai.core.errors import InputError
from cellmonai.measure.objects import ObjectTable, flag_objects, measure_objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (300, 260)
CELLS = paint(scattered_discs(80, SHAPE, radius_px=(0.4, 14), cells_per_cluster=3, seed=3), SHAPE)
# both sides round sums of the same whole numbers to 53 bits in different order; nothing else may differ
ROUNDING = 1e-12
NAMES = {
    "label": "label",
    "area_px": "area",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "perimeter_px": "perimeter",
    "major_axis_px": "axis_major_length",
    "solidity": "solidity",
    "feret_max_px": "feret_diameter_max",
}


def from_scikit_image(labels: NDArray[Any], name: str, image: NDArray[Any] | None = None) -> NDArray[np.float64]:
    return np.array([region[name] for region in regionprops(labels, image)], np.float64)


def table_of(labels: NDArray[Any]) -> ObjectTable:
    return measure_objects(labels, pixel_size_um=None)


pytestmark = pytest.mark.usefixtures("twin")


@pytest.mark.parametrize(("ours", "theirs"), NAMES.items())
def test_columns_equal_scikit_images(ours: str, theirs: str) -> None:
    np.testing.assert_allclose(table_of(CELLS)[ours], from_scikit_image(CELLS, theirs), rtol=ROUNDING, atol=ROUNDING)


def test_centroids_and_boxes_equal_scikit_images() -> None:
    table, centroid, box = table_of(CELLS), from_scikit_image(CELLS, "centroid"), from_scikit_image(CELLS, "bbox")
    np.testing.assert_allclose(
        np.stack([table["centroid_y_px"], table["centroid_x_px"]], 1), centroid, rtol=ROUNDING, atol=ROUNDING
    )
    top, left, height, width = (table[f"bbox_{part}_px"] for part in ("top", "left", "height", "width"))
    np.testing.assert_array_equal(np.stack([top, left, top + height, left + width], 1), box)


def test_minor_axis_and_eccentricity_equal_scikit_images() -> None:
    # a square root near 0 (a thin or a round object) turns a last digit of 1e-16 into 1e-8
    table = table_of(CELLS)
    np.testing.assert_allclose(table["minor_axis_px"], from_scikit_image(CELLS, "axis_minor_length"), atol=1e-7)
    np.testing.assert_allclose(table["eccentricity"], from_scikit_image(CELLS, "eccentricity"), atol=1e-7)


def test_orientation_equals_scikit_images() -> None:
    table = table_of(CELLS)
    directed = (table["eccentricity"] > 0.1) & (table["area_px"] > 1)  # a round object has no direction to compare
    assert directed.sum() > 40
    difference = table["orientation_rad"] - from_scikit_image(CELLS, "orientation")
    # an axis has no front: -π/2 and π/2 are one orientation
    np.testing.assert_allclose(np.sin(difference[directed]), 0, atol=1e-10)


def test_labels_in_pieces_are_measured_as_scikit_image_measures_them() -> None:
    """Every third cell is a second piece of another one, far away from it."""
    torn = np.where(CELLS % 3 == 0, CELLS // 3 + 1, CELLS)
    image = np.random.default_rng(1).random(SHAPE)
    table = measure_objects(torn, pixel_size_um=None, image=image, channel_names=["a"])
    names = NAMES | {"centroid_x_px": "centroid-1", "centroid_y_px": "centroid-0", "eccentricity": "eccentricity"}
    for ours, theirs in (names | {"intensity_mean_a": "intensity_mean"}).items():
        name, _, axis = theirs.partition("-")
        regions = regionprops(torn, image)
        expected = [region[name][int(axis)] if axis else region[name] for region in regions]
        np.testing.assert_allclose(table[ours], expected, rtol=1e-9, atol=1e-7, err_msg=ours)


@given(labels=arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.integers(0, 4)))
def test_perimeters_of_any_labels_equal_scikit_images(labels: NDArray[np.int32]) -> None:
    np.testing.assert_allclose(
        table_of(labels)["perimeter_px"], from_scikit_image(labels, "perimeter"), rtol=ROUNDING, atol=ROUNDING
    )


def test_a_typed_object_has_the_numbers_one_can_count() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[1:4, 2:7] = 1  # 3 rows, 5 columns
    table = table_of(labels)
    assert {name: float(table[name][0]) for name in list(table.columns)[1:8]} == {
        "centroid_x_px": 4.0,
        "centroid_y_px": 2.0,
        "bbox_left_px": 2.0,
        "bbox_top_px": 1.0,
        "bbox_width_px": 5.0,
        "bbox_height_px": 3.0,
        "area_px": 15.0,
    }
    assert table["perimeter_px"][0] == 12.0  # around the centres of the border pixels
    assert table["circularity"][0] == pytest.approx(4 * math.pi * 15 / 144)
    assert abs(table["orientation_rad"][0]) == pytest.approx(math.pi / 2)  # across the rows


def test_a_single_pixel_has_no_circularity() -> None:
    labels = np.zeros((5, 5), np.int32)
    labels[2, 2] = 1
    table = table_of(labels)
    assert (table["perimeter_px"][0], table["eccentricity"][0], table["major_axis_px"][0]) == (0, 0, 0)
    assert math.isnan(table["circularity"][0])
    assert (table["solidity"][0], table["feret_max_px"][0], table["feret_min_px"][0]) == (1, 1, math.sqrt(0.5))
    assert math.isnan(table["nearest_neighbour_px"][0])


@pytest.mark.parametrize("labels", [np.ones((1, 7), np.int32), np.ones((7, 1), np.int32)], ids=["row", "column"])
def test_a_line_of_pixels_is_as_long_as_it_has_pixels_and_one_wide(labels: NDArray[np.int32]) -> None:
    table = table_of(labels)
    assert (table["solidity"][0], table["feret_max_px"][0], table["feret_min_px"][0]) == (1, 7, 1)
    assert table["touches_border"].all()
    assert table["eccentricity"][0] == 1


def test_objects_at_all_borders_equal_scikit_images() -> None:
    rim = np.zeros((9, 8), np.int32)
    rim[0], rim[-1], rim[1:-1, 0], rim[1:-1, -1] = 1, 2, 3, 4
    rim[3:6, 3:5] = 5
    for labels in (rim, np.where(rim > 0, 1, 0)):
        for ours, theirs in NAMES.items():
            np.testing.assert_allclose(table_of(labels)[ours], from_scikit_image(labels, theirs), rtol=ROUNDING)
    assert table_of(rim)["touches_border"].tolist() == [True] * 4 + [False]


def test_an_image_without_objects_gives_an_empty_table() -> None:
    table = measure_objects(np.zeros((9, 9), np.int32), pixel_size_um=(0.5, 0.5), image=np.ones((9, 9)))
    assert len(table) == 0
    assert {column.shape for column in table.columns.values()} == {(0,)}
    assert not any(flag.any() for flag in flag_objects(table).values())


def test_gaps_in_the_labels_are_allowed() -> None:
    labels = np.where(CELLS % 2 == 0, CELLS * 3, 0).astype(np.int32)
    table = table_of(labels)
    np.testing.assert_array_equal(table["label"], from_scikit_image(labels, "label"))
    np.testing.assert_allclose(
        table["perimeter_px"], from_scikit_image(labels, "perimeter"), rtol=ROUNDING, atol=ROUNDING
    )


def test_a_huge_object_keeps_its_digits() -> None:
    side = 4000  # the sums of squares times the area leave 64 bits
    labels = np.ones((side, side), np.int32)
    assert table_of(labels)["major_axis_px"][0] == pytest.approx(4 * math.sqrt((side**2 - 1) / 12), rel=1e-14)


def test_an_objects_numbers_do_not_depend_on_its_place() -> None:
    near, far = np.zeros((40, 20000), np.int32), np.zeros((40, 20000), np.int32)
    cell = paint([Disc(10, 12, 7.3), Disc(16, 15, 5.2)], (30, 30)) > 0
    near[:30, :30], far[10:, 19970:] = cell, cell
    here, there = table_of(near), table_of(far)
    shape = "perimeter_px major_axis_px minor_axis_px eccentricity orientation_rad solidity feret_max_px feret_min_px"
    for name in shape.split():
        assert here[name].tobytes() == there[name].tobytes()


def test_micrometres_stand_beside_pixels_when_the_pixel_size_is_known() -> None:
    table = measure_objects(CELLS, pixel_size_um=(0.5, 0.5))
    np.testing.assert_allclose(table["area_um2"], table["area_px"] * 0.25)
    lengths = ("equivalent_diameter", "perimeter", "major_axis", "minor_axis", "feret_max", "feret_min")
    for name in ("centroid_x", "centroid_y", *lengths, "nearest_neighbour"):
        np.testing.assert_allclose(table[f"{name}_um"], table[f"{name}_px"] * 0.5, atol=1e-12)
    assert not any("_um" in name for name in table_of(CELLS).columns)


def test_pixels_that_are_not_square_stretch_the_ellipse_and_leave_the_perimeter_open() -> None:
    disc = paint([Disc(30, 30, 20)], (61, 61))
    table = measure_objects(disc, pixel_size_um=(1.0, 0.5))
    assert table["major_axis_um"][0] == pytest.approx(2 * table["minor_axis_um"][0])
    assert table["area_um2"][0] == table["area_px"][0] * 0.5
    assert (table["centroid_x_um"][0], table["centroid_y_um"][0]) == (15.0, 30.0)
    assert np.isnan(table["perimeter_um"]).all()
    assert (table["feret_max_um"][0], table["feret_min_um"][0]) == pytest.approx((41, 20.5), rel=0.01)


def test_feret_diameters_and_neighbours_know_that_pixels_are_not_square() -> None:
    regions = regionprops(CELLS, spacing=(0.3, 0.5))
    table = measure_objects(CELLS, pixel_size_um=(0.3, 0.5))
    expected = [region.feret_diameter_max for region in regions]
    np.testing.assert_allclose(table["feret_max_um"], expected, rtol=ROUNDING)
    distances = cdist(*[[region.centroid for region in regions]] * 2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_allclose(table["nearest_neighbour_um"], distances.min(1), rtol=ROUNDING)


def test_columns_that_a_table_shows_come_in_this_order() -> None:
    table = measure_objects(CELLS, pixel_size_um=(0.5, 0.5), image=np.ones(SHAPE), channel_names=("DAPI",))
    assert " ".join(table.columns) == (
        "label centroid_x_px centroid_x_um centroid_y_px centroid_y_um bbox_left_px bbox_top_px bbox_width_px "
        "bbox_height_px area_px area_um2 equivalent_diameter_px equivalent_diameter_um perimeter_px perimeter_um "
        "circularity major_axis_px major_axis_um minor_axis_px minor_axis_um eccentricity orientation_rad solidity "
        "feret_max_px feret_max_um feret_min_px feret_min_um nearest_neighbour_px nearest_neighbour_um "
        "touches_border intensity_mean_DAPI intensity_sum_DAPI"
    )


def test_basic_columns_are_the_same_numbers() -> None:
    every, basic = table_of(CELLS), measure_objects(CELLS, pixel_size_um=None, columns="basic")
    left_out = {"solidity", "feret_max_px", "feret_min_px", "nearest_neighbour_px"}
    assert set(every.columns) - set(basic.columns) == left_out
    for name, column in basic.columns.items():
        assert column.tobytes() == every[name].tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.uint32, np.float16, np.float32, np.float64])
def test_intensities_equal_scikit_images(dtype: type[np.generic]) -> None:
    image = np.random.default_rng(1).integers(0, 127, (2, *SHAPE)).astype(dtype)
    table = measure_objects(CELLS, pixel_size_um=None, image=image, channel_names=("DAPI", "GFP"))
    mean = from_scikit_image(CELLS, "intensity_mean", np.moveaxis(image, 0, -1).astype(np.float64))
    for channel, name in enumerate(("DAPI", "GFP")):
        np.testing.assert_allclose(table[f"intensity_mean_{name}"], mean[:, channel], rtol=ROUNDING, atol=ROUNDING)
        np.testing.assert_allclose(
            table[f"intensity_sum_{name}"], mean[:, channel] * table["area_px"], rtol=ROUNDING, atol=ROUNDING
        )


def test_channels_without_names_are_numbered() -> None:
    table = measure_objects(CELLS, pixel_size_um=None, image=np.ones(SHAPE))
    assert list(table.columns)[-2:] == ["intensity_mean_0", "intensity_sum_0"]
    np.testing.assert_array_equal(table["intensity_sum_0"], table["area_px"])


@pytest.mark.parametrize(
    ("image", "names", "message"),
    [
        pytest.param(np.ones((4, 4)), (), "the image's shape is", id="other size"),
        pytest.param(np.ones((2, *SHAPE)), ("DAPI",), "1 channel names .DAPI. for an image of 2 channels", id="names"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(image: NDArray[Any], names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_objects(CELLS, pixel_size_um=None, image=image, channel_names=names)


def test_a_negative_label_is_refused() -> None:
    for dtype in (np.int16, np.int32, np.int64):
        with pytest.raises(InputError, match="a label is -1, expected 0 for background"):
            table_of(np.array([[0, 1], [-1, 2]], dtype))


def test_whole_number_sums_are_exact_and_float_sums_run_in_raster_order() -> None:
    labels = np.ones((3, 40_000), np.int32)
    dark = np.full(labels.shape, 65535, np.uint16)
    assert measure_objects(labels, pixel_size_um=None, image=dark)["intensity_sum_0"][0] == 65535 * labels.size
    bright = np.random.default_rng(0).random(labels.shape)
    in_order = np.cumsum(bright)[-1]  # NumPy's own sum adds in pairs
    assert measure_objects(labels, pixel_size_um=None, image=bright)["intensity_sum_0"][0] == in_order
