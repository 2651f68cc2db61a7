"""Flags on objects unlike the others of their image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from painting import Disc, paint

from cellmonai.measure.objects import ObjectTable, flag_objects, measure_objects
from cellmonai.simulate.field import paint_field
from cellmonai.simulate.settings import FieldSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grid(*radii_px: float) -> NDArray[np.int32]:
    """A row of discs with room around each."""
    return paint([Disc(40, 40 + 70 * i, radius) for i, radius in enumerate(radii_px)], (80, 70 * len(radii_px) + 10))


def flags_of(labels: NDArray[np.int32]) -> dict[str, NDArray[np.bool_]]:
    return flag_objects(table_of(labels))


def table_of(labels: NDArray[np.int32]) -> ObjectTable:
    return measure_objects(labels, pixel_size_um=None)


def test_objects_unlike_the_others_are_flagged() -> None:
    flags = flags_of(grid(*[9.8, 10, 10.2] * 5, 30, 2))
    assert np.flatnonzero(flags["unusually_large"]).tolist() == [15]
    assert np.flatnonzero(flags["unusually_small"]).tolist() == [16]
    assert not flags["touches_border"].any()
    assert not flags["odd_shape"].any()


def test_nearly_equal_objects_are_not_flagged_for_a_few_pixels() -> None:
    flags = flags_of(grid(*[10.0] * 14, 10.6))
    assert not any(flag.any() for flag in flags.values())


def test_fewer_than_ten_objects_say_nothing_about_what_is_usual() -> None:
    labels = grid(*[10.0] * 8, 30)
    labels[38:42, 70:90] = labels[40, 40]  # a handle
    assert not any(flag.any() for flag in flags_of(labels).values())


def test_a_cell_cut_by_the_border_is_flagged_as_that_and_as_nothing_else() -> None:
    labels = grid(*[10.0] * 12)
    labels[0, 0:30] = 13
    flags = flags_of(labels)
    assert np.flatnonzero(flags["touches_border"]).tolist() == [12]
    assert not (flags["unusually_small"] | flags["odd_shape"]).any()


def test_two_cells_in_one_object_have_an_odd_shape() -> None:
    labels = grid(*[10.0] * 13)
    labels[paint([Disc(40, 58, 10)], labels.shape) > 0] = 1
    flags = flags_of(labels)
    assert np.flatnonzero(flags["odd_shape"]).tolist() == [0]


def test_a_fibre_and_a_ring_have_odd_shapes() -> None:
    labels = grid(*[10.0] * 13)
    labels[5:8, 100:300] = 14
    labels[paint([Disc(40, 40, 7)], labels.shape) > 0] = 0  # a hole leaves the hull as it is
    assert np.flatnonzero(flags_of(labels)["odd_shape"]).tolist() == [0, 13]


@pytest.mark.parametrize(("elongation", "at_most"), [(1.0, 0.005), (1.6, 0.01)])
def test_whole_painted_cells_are_almost_never_odd(elongation: float, at_most: float) -> None:
    odd = []
    for seed in range(4):
        radius = [(4.0, 6.0), (7.0, 11.0)][seed % 2]
        settings = FieldSettings(
            shape=(400, 400), cells=120, radius_px=radius, elongation=elongation, clustering=0, border="inside"
        )
        odd.append(flags_of(paint_field(settings, seed).labels)["odd_shape"])
    assert np.concatenate(odd).mean() <= at_most


def test_flags_need_the_columns_of_shape() -> None:
    with pytest.raises(KeyError, match="solidity"):
        flag_objects(measure_objects(grid(10, 10), pixel_size_um=None, columns="basic"))
