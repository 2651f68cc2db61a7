"""Nearest neighbours against all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from cellmonai.measure.shapes import neighbours
from cellmonai.measure.shapes.neighbours import nearest_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray


def over_all_pairs(points: NDArray[np.float64]) -> NDArray[np.float64]:
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    return distances.min(1)


@given(points=arrays(np.float64, st.tuples(st.integers(2, 40), st.just(2)), elements=st.integers(-50, 50)))
def test_nearest_distances_are_the_smallest_over_all_pairs(points: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(nearest_distances(*points.T), over_all_pairs(points), rtol=1e-12)


@pytest.mark.parametrize("pairs", [1 << 20, 5])
def test_a_crowd_in_one_corner_and_a_line_are_found_too(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_PAIRS_AT_A_TIME", pairs)
    random = np.random.default_rng(0)
    crowd = np.concatenate([random.random((300, 2)), [[1e4, 3e4]], [[1e4, -1e4]]])
    line = np.stack([np.full(300, 7.0), random.random(300) * 1000], 1)
    for points in (crowd, line):
        np.testing.assert_allclose(nearest_distances(*points.T), over_all_pairs(points), rtol=1e-10)


def test_a_point_alone_has_no_neighbour_and_points_at_one_place_are_no_distance_apart() -> None:
    assert nearest_distances(np.zeros(0), np.zeros(0)).shape == (0,)
    assert np.isnan(nearest_distances(np.ones(1), np.ones(1))).all()
    assert nearest_distances(np.ones(3), np.ones(3)).tolist() == [0, 0, 0]
