"""Lattices of crops: where they lie, which of them an epoch sees, and how often."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import Disc, paint

from cellmonai.core.errors import RecipeError
from cellmonai.data.places import Cutting, Place, all_places, lattice_starts, repeated, with_foreground
from cellmonai.data.samples import Sample

ORACLE = json.loads(
    (Path(__file__).parents[1] / "data" / "oracles" / "tiling_classweights.json").read_text(encoding="utf-8")
)


def _sample(name: str, labels: np.ndarray) -> Sample:
    return Sample(name, labels[None].astype(np.float32), labels.astype(np.int32), int(labels.max()))


ONE = _sample("one", paint([Disc(16, 16, 6)], (96, 128)))
TWO = _sample("two", paint([Disc(80, 100, 6), Disc(20, 20, 3)], (96, 128)))
GRID = Cutting("grid", 64, overlap=32)


def test_c_resunets_twelve_crops_lie_where_they_were_published() -> None:
    expected = ORACLE["morelli_crops_1600x1200"]
    cutting = Cutting("grid_2021", 512, overlap=112)
    assert lattice_starts(1600, cutting) == expected["x"]
    assert lattice_starts(1200, cutting) == expected["y"]
    labels = np.zeros((1200, 1600), np.int32)
    corners = [place.corner for place in all_places([_sample("a", labels)], cutting).values()]
    assert corners[:4] == [(0, 0), (288, 0), (688, 0), (0, 288)]
    assert len(corners) == 12


@given(
    length=st.integers(1, 3000),
    patch=st.integers(32, 600),
    overlap=st.integers(0, 500),
    method=st.sampled_from(["grid", "grid_2021"]),
)
def test_a_lattice_covers_every_pixel_and_leaves_the_image_only_where_it_is_too_small(
    length: int, patch: int, overlap: int, method: str
) -> None:
    cutting = Cutting(method, patch, overlap=min(overlap, patch - 1))  # type: ignore[arg-type] # a drawn word
    starts = lattice_starts(length, cutting)
    assert starts[0] == 0
    assert starts[-1] == max(length - patch, 0)
    assert all(second - first <= patch for first, second in pairwise(starts))


def test_crops_are_named_by_image_and_number() -> None:
    places = all_places([ONE, TWO], GRID)
    assert list(places)[:3] == ["one:0", "one:1", "one:2"]
    assert places["two:5"] == Place(1, (32, 64))


def test_crops_drawn_at_random_have_no_corner() -> None:
    places = all_places([ONE, TWO], Cutting("random", 64, per_image=2))
    assert places == {"one:0": Place(0), "two:0": Place(1), "one:1": Place(0), "two:1": Place(1)}


def test_only_crops_with_enough_cell_are_kept() -> None:
    masks = [sample.labels > 0 for sample in (ONE, TWO)]
    places = all_places([ONE, TWO], GRID)
    kept = with_foreground(places, masks, patch=64, least_px=50)
    assert sorted(kept) == ["one:0", "two:5"]
    with pytest.raises(RecipeError, match="none of the 12 crops holds 5000 px of cells; lower it"):
        with_foreground(places, masks, patch=64, least_px=5000)


def test_named_images_and_crops_are_seen_more_often() -> None:
    places = all_places([ONE, TWO], GRID)
    seen = repeated(places, {"one": 3, "two:5": 10})
    assert len(seen) == 6 * 3 + 5 + 10
    assert seen.count(Place(1, (32, 64))) == 10
    with pytest.raises(RecipeError, match="no training crop is called 'too:5'; did you mean 'two:5'"):
        repeated(places, {"too:5": 2})
