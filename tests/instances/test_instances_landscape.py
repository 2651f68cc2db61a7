"""Splitting along a map that a network predicts, instead of the distance to the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from painting import Disc, paint

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_in_rows, find_instances
from cellmonai.instances.settings import InstanceSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("kernels")

SHAPE = (120, 140)
NECKLESS = [Disc(60, 50, 20), Disc(60, 66, 20), Disc(20, 110, 12)]  # the first two overlap so far that no neck is left


def centre_map(discs: list[Disc]) -> NDArray[np.float32]:
    """A bump on every centre, as a network for centres predicts it."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    bumps = [np.exp(-((rows - d.row) ** 2 + (columns - d.col) ** 2) / (2 * 4.0**2)) for d in discs]
    return np.max(bumps, axis=0).astype(np.float32)


def labels_by(landscape: NDArray[np.float32], *, strip_rows: int | None = None) -> NDArray[np.int32]:
    mask = paint(NECKLESS, SHAPE) > 0
    with find_in_rows(
        ArrayRows(mask), InstanceSettings(), heights=ArrayRows(landscape), strip_rows=strip_rows
    ) as found:
        return found.rows(0, SHAPE[0])


def test_a_centre_map_splits_cells_that_the_distance_cannot() -> None:
    mask = paint(NECKLESS, SHAPE) > 0
    assert find_instances(mask, InstanceSettings()).count == 2
    assert labels_by(centre_map(NECKLESS)).max() == 3


def test_labels_along_a_map_still_cover_exactly_the_foreground() -> None:
    np.testing.assert_array_equal(labels_by(centre_map(NECKLESS)) > 0, paint(NECKLESS, SHAPE) > 0)


def test_ripples_of_a_map_do_not_split_cells() -> None:
    ripples = np.random.default_rng(0).normal(0, 0.02, SHAPE).astype(np.float32)
    assert labels_by(centre_map(NECKLESS) + ripples).max() == 3


@pytest.mark.parametrize("strip_rows", [1, 7, 50])
def test_strips_change_no_label_along_a_map(strip_rows: int) -> None:
    landscape = centre_map(NECKLESS) + np.random.default_rng(1).normal(0, 0.2, SHAPE).astype(np.float32)
    landscape[5, 5] = np.nan
    np.testing.assert_array_equal(labels_by(landscape, strip_rows=strip_rows), labels_by(landscape))


def test_values_outside_the_range_of_a_map_count_as_its_ends() -> None:
    wild = centre_map(NECKLESS) * 4 - 1
    np.testing.assert_array_equal(labels_by(wild), labels_by(np.clip(wild, 0, 1)))
