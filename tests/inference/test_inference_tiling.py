"""Even tiling, against the published system's own numbers."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.inference.tiling import even_starts, make_tiling, tile_corners

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "oracles" / "tiling_classweights.json").read_text()
)
SETTINGS = [name for name in ORACLE if name.startswith("len")]


@pytest.mark.parametrize("name", SETTINGS)
def test_tiles_begin_where_the_published_system_has_them(name: str) -> None:
    length, tile, overlap = (int(number) for number in re.findall(r"\d+", name))
    starts = even_starts(length, tile, overlap)
    expected = ORACLE[name].get("corrected") or ORACLE[name]["starts"]
    assert starts == pytest.approx(expected, abs=1e-9)
    if ORACLE[name]["rounded_starts"] is not None:  # the published formula divides by zero for a single tile
        assert [round(start) for start in starts] == ORACLE[name]["rounded_starts"]


def test_the_corners_of_a_picture_run_down_each_column_of_tiles() -> None:
    picture = ORACLE["image_1600x1200"]
    corners = tile_corners((1200, 1600), tile=400, min_overlap=100)
    assert len(corners) == picture["n"] == 20
    assert np.array(corners) == pytest.approx(np.array(picture["xy"]), abs=1e-9)


def test_half_a_pixel_is_rounded_to_the_even_side() -> None:
    assert [box.col0 for box in make_tiling((400, 701), tile=400).boxes] == [0, 150, 301]


@pytest.mark.parametrize("length", [1, 399, 400])
def test_an_image_no_longer_than_a_tile_has_one_tile(length: int) -> None:
    assert even_starts(length, 400, 100) == (0.0,)


@given(st.integers(4, 90), st.integers(1, 400), st.integers(1, 400))
def test_tiles_cover_every_pixel_and_end_where_the_image_ends(tile: int, height: int, width: int) -> None:
    tiling = make_tiling((height, width), tile=tile)
    seen = np.zeros((height, width), bool)
    for box in tiling.boxes:
        assert box.shape == (tile, tile)
        seen[box.slices] = True
    assert seen.all()
    assert max(box.row1 for box in tiling.boxes) == max(height, tile)
    assert max(box.col1 for box in tiling.boxes) == max(width, tile)


@given(st.integers(4, 90), st.integers(1, 2000))
def test_neighbours_share_at_least_a_quarter_but_for_rounding(tile: int, length: int) -> None:
    starts = [box.row0 for box in make_tiling((length, 1), tile=tile).boxes]
    shared = [first + tile - second for first, second in pairwise(starts)]
    assert all(overlap >= tile // 4 - 1 for overlap in shared)


@pytest.mark.parametrize(("length", "tile", "overlap"), [(0, 400, 100), (500, 400, 400), (500, 400, -1)])
def test_tiles_that_never_get_on_are_refused(length: int, tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        even_starts(length, tile, overlap)
