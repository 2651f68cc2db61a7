"""Cells that run through the planes of a volume, added up plane by plane."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellmonai.images.labels import in_raster_order
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.regions import AREA, BOTTOM, LEFT, RIGHT, TOP
from cellmonai.instances.settings import InstanceSettings
from cellmonai.instances.volume import FoundVolume, VolumeCells, VolumeTally

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("kernels")


def tallied(volume: NDArray[np.integer]) -> tuple[VolumeTally, VolumeCells]:
    tally = VolumeTally((volume.shape[1], volume.shape[2]))
    for plane in volume:
        tally.add(ArrayRows(plane))
    return tally, tally.finish()


@given(volume=arrays(np.uint16, array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.integers(0, 6)))
def test_cells_of_any_volume_are_those_of_all_its_voxels(volume: NDArray[np.uint16]) -> None:
    _, cells = tallied(volume)
    present, first = np.unique(volume[volume > 0], return_index=True)
    assert cells.ids.tolist() == present[np.argsort(first)].tolist()
    for row, label in enumerate(cells.ids.tolist()):
        z, y, x = np.nonzero(volume == label)
        areas = np.bincount(z, minlength=len(volume))
        assert cells.volume_px[row] == z.size
        assert (cells.first[row], cells.last[row], cells.planes[row]) == (z.min(), z.max(), np.count_nonzero(areas))
        assert (cells.largest[row], cells.table[row, AREA]) == (areas.argmax(), areas.max())
        assert cells.table[row, [TOP, LEFT, BOTTOM, RIGHT]].tolist() == [y.min(), x.min(), y.max() + 1, x.max() + 1]


@given(
    volume=arrays(np.int32, array_shapes(min_dims=3, max_dims=3, max_side=8), elements=st.integers(0, 5)),
    step=st.sampled_from([1, 1000, 2**28]),
)
def test_numbers_are_those_of_first_voxels_and_alike_on_all_planes(volume: NDArray[np.int32], step: int) -> None:
    found = FoundVolume(tallied(volume * step)[1], InstanceSettings(min_area_px=0))
    numbered = np.stack([found.numbered(plane) for plane in volume * step])
    np.testing.assert_array_equal(numbered, in_raster_order(volume))


@given(volume=arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=8), elements=st.integers(0, 5)))
def test_ids_that_lie_over_themselves_are_found(volume: NDArray[np.uint8]) -> None:
    tally, _ = tallied(volume)
    pairs = list(pairwise(volume))
    shared = [np.setdiff1d(np.intersect1d(above, below), [0]) for above, below in pairs]
    assert tally.shared == sum(ids.size for ids in shared)
    assert tally.through == sum(
        ((above == label) & (below == label)).any()
        for (above, below), ids in zip(pairs, shared, strict=True)
        for label in ids
    )


def test_filters_look_at_the_largest_section_and_at_the_box_over_all_planes() -> None:
    volume = np.zeros((3, 20, 30), np.uint8)
    volume[0, 4:6, 4:6], volume[1, 4:9, 4:9] = 1, 1  # 4 and 25 px
    volume[:, 12:14, 10:12] = 2  # 4 px on each of three planes
    volume[0, 4:8, 20:24], volume[1, 4:8, 24:30] = 3, 3  # reaches the border on its second plane
    found = FoundVolume(tallied(volume)[1], InstanceSettings(min_area_px=10, border="exclude"))
    assert (found.count, found.removed) == (1, {"min_area": 1, "max_area": 0, "border": 1})
    assert found.at_border_rule == {"keep": 2, "exclude": 1, "frame": 2}
    assert [np.unique(found.numbered(plane)).tolist() for plane in volume] == [[0, 1], [0, 1], [0]]
