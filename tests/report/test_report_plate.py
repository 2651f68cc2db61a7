"""Plates as pictures: a well has the colour of its value."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.measure.replicates.groups import FieldCount, GroupLevel, summarise_groups
from cellmonai.report.colours import VIRIDIS
from cellmonai.report.plate import plate_picture, plate_pictures, scale_limits
from cellmonai.report.plate_drawing import plate_layout

WELL = GroupLevel("well", ("plate", "well"), "field")


def colour_of(picture: np.ndarray, row: int, column: int, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Give the colour in a well, beside its number."""
    left, top, right, _ = plate_layout(*shape).box(row, column)
    red, green, blue = picture[top + (right - left) // 6, (left + right) // 2].tolist()
    return red, green, blue


def test_wells_have_the_colours_of_their_values() -> None:
    picture = plate_picture({(0, 0): 0.0, (1, 2): 50.0, (7, 11): 100.0}, limits=(0, 100))
    assert picture.dtype == np.uint8
    for place, share in (((0, 0), 0), ((1, 2), 128), ((7, 11), 255)):
        assert colour_of(picture, *place, (8, 12)) == tuple(VIRIDIS[share].tolist())


def test_an_empty_well_is_grey_and_hatched() -> None:
    picture = plate_picture({(0, 0): 5.0})
    left, top, right, bottom = plate_layout(2, 3).box(1, 1)
    well = picture[top + 12 : bottom - 12, left + 12 : right - 12].astype(int)
    assert (well.max(axis=2) - well.min(axis=2)).max() <= 8
    assert len(np.unique(well[..., 0])) > 1
    assert well.min() > 200


@pytest.mark.parametrize("shape", [(2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48)])
def test_every_plate_format_makes_a_picture_of_handy_size(shape: tuple[int, int]) -> None:
    picture = plate_picture({(shape[0] - 1, shape[1] - 1): 3.0}, shape=shape)
    assert 250 <= picture.shape[0] <= 1000
    assert 420 <= picture.shape[1] <= 1300


def test_numbers_are_written_where_they_are_legible_only() -> None:
    def inks(shape: tuple[int, int]) -> int:
        left, top, right, bottom = plate_layout(*shape).box(0, 0)
        picture = plate_picture({(0, 0): 1.0, (0, 1): 3.0}, shape=shape, limits=(0, 4))
        inside = picture[top + 3 : bottom - 3, left + 3 : right - 3].reshape(-1, 3)
        return len(np.unique(inside[:, 0]))

    assert inks((8, 12)) > 10
    assert inks((16, 24)) > 10
    assert inks((32, 48)) <= 6  # the well's own colour and its corners


def test_each_plate_has_its_picture_on_one_scale() -> None:
    fields = [FieldCount({"plate": p, "well": w}, n) for p, w, n in (("P10", "A1", 100), ("P2", "H12", 50))]
    pictures = plate_pictures(summarise_groups(fields, [WELL]))
    assert list(pictures) == ["P2", "P10"]
    assert colour_of(pictures["P2"], 7, 11, (8, 12)) == tuple(VIRIDIS[128].tolist())
    assert pictures["P2"].shape == pictures["P10"].shape


def test_plates_of_one_title_keep_a_picture_each() -> None:
    level = GroupLevel("well", ("plate", "time", "well"), "field")
    names = ("a, b", "c"), ("a", "b, c")
    fields = [FieldCount({"plate": plate, "time": time, "well": "A1"}, 1) for plate, time in names]
    assert list(plate_pictures(summarise_groups(fields, [level]))) == ["a, b, c", "a, b, c (2)"]


def test_density_and_mean_are_drawn_where_they_are_known() -> None:
    groups = summarise_groups([FieldCount({"plate": "P", "well": "A01"}, 5, 0.5)], [WELL])
    assert plate_pictures(groups, value="density_per_mm2").keys() == {"P"}
    without = summarise_groups([FieldCount({"plate": "P", "well": "A01"}, 5)], [WELL])
    assert plate_pictures(without, value="density_per_mm2") == {}


def test_there_is_no_picture_without_wells() -> None:
    level = GroupLevel("treatment", ("treatment",), "field")
    assert plate_pictures(summarise_groups([FieldCount({"treatment": "x", "well": "A01"}, 5)], [level])) == {}


def test_the_same_plate_gives_the_same_bytes() -> None:
    wells = {(row, column): float(row * column) for row in range(8) for column in range(12)}
    assert np.array_equal(plate_picture(wells), plate_picture(dict(reversed(wells.items()))))


@pytest.mark.parametrize("title", ["", "[red]x\x1b\n", "細胞 \udcff", "x" * 5000, "µ ² é"])
def test_any_title_is_drawn_within_the_picture(title: str) -> None:
    picture = plate_picture({(0, 0): 1.0}, title=title)
    assert (picture[:, -4:] == 255).all()


@given(st.lists(st.floats(0, 1e9), max_size=20))
def test_the_scale_holds_all_values_between_round_ends(values: list[float]) -> None:
    low, high = scale_limits(values)
    assert low < high
    assert all(low <= value * (1 + 1e-6) and value <= high * (1 + 1e-6) for value in values)


def test_the_picture_needs_no_matplotlib() -> None:
    code = (
        "import sys; from cellmonai.report.plate import plate_picture; assert 'PIL' not in sys.modules;"
        "plate_picture({(0, 0): 1.0}); sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
