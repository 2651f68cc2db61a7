"""A label is one cell, whatever its pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellmonai.images.labels import in_raster_order
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.components import label_components
from cellmonai.instances.find import keep_in_rows, keep_labels
from cellmonai.instances.settings import InstanceSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("kernels")


def crossed() -> NDArray[np.uint16]:
    """A long cell seen at both sides of one that lies across it, below another cell."""
    labels = np.zeros((60, 50), np.uint16)
    labels[20:26, 4:46], labels[10:40, 22:28], labels[2:6, 30:34] = 9, 4, 2
    return labels


@pytest.mark.parametrize(
    ("labels", "areas", "notes"),
    [
        pytest.param(
            crossed(),
            [16, 180, 216],
            {"extra_pieces": 1, "labels_in_pieces": 1, "pieces_of_labels": 2},
            id="one cell across another",
        ),
        pytest.param(
            np.kron([[3, 0, 3, 0], [0, 0, 0, 7], [3, 0, 7, 0]], np.ones((4, 4), int)),
            [48, 32],
            {"extra_pieces": 2, "labels_in_pieces": 1, "pieces_of_labels": 3},
            id="pieces that lie apart, and pieces that meet at a corner",
        ),
        pytest.param(
            np.kron([[1, 2, 1, 2], [2, 1, 2, 1]], np.ones((3, 3), int)), [36, 36], {}, id="a chessboard of two labels"
        ),
        pytest.param(np.kron([[7, 0, 7], [7, 7, 7]], np.ones((3, 3), np.uint16)), [45], {}, id="one concave cell"),
        pytest.param(
            np.kron([[7, 0, 7, 0, 7]], np.ones((3, 3), np.uint16)),
            [27],
            {"extra_pieces": 2, "labels_in_pieces": 1, "pieces_of_labels": 3},
            id="one cell alone, in pieces",
        ),
    ],
)
@pytest.mark.parametrize("rows", [1, 5, None])
def test_an_id_is_one_object_whatever_its_pieces(
    labels: NDArray[np.integer],
    areas: list[int],
    notes: dict[str, int],
    rows: int | None,
) -> None:
    with keep_in_rows(ArrayRows(labels), InstanceSettings(), strip_rows=rows) as found:
        painted = found.rows(0, labels.shape[0])
        assert (found.count, found.notes) == (len(areas), notes)
    assert np.bincount(painted.ravel())[1:].tolist() == areas
    np.testing.assert_array_equal(painted, in_raster_order(labels))


def test_filters_and_notes_see_the_whole_label() -> None:
    """Pieces of 6 px make a cell of 12 px; a box over all pieces reaches the border; what is out is not reported."""
    labels = np.zeros((20, 30), np.uint8)
    labels[4:6, 4:7] = labels[4:6, 10:13] = 1
    labels[10:14, 0:3] = labels[10:14, 8:12] = 2
    labels[16, 5] = labels[16, 8] = 3
    found = keep_labels(labels, InstanceSettings(min_area_px=10))
    assert (found.count, found.removed["min_area"]) == (2, 1)
    assert found.notes == {"extra_pieces": 3, "labels_in_pieces": 2, "pieces_of_labels": 4}
    inside = keep_labels(labels, InstanceSettings(min_area_px=10, border="exclude"))
    assert (inside.count, inside.removed["border"]) == (1, 1)
    assert inside.notes == {"extra_pieces": 3, "labels_in_pieces": 1, "pieces_of_labels": 2}


@given(
    labels=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.integers(0, 5)),
    least=st.integers(0, 12),
)
def test_labels_are_kept_as_by_counting_pixels(labels: NDArray[np.uint8], least: int) -> None:
    found = keep_labels(labels, InstanceSettings(min_area_px=least))
    areas = np.bincount(labels.ravel(), minlength=6)
    expected = np.where(areas[labels] >= max(least, 1), labels, 0)
    np.testing.assert_array_equal(found.labels, in_raster_order(expected))
    pieces = [label_components(labels == label).max() for label in range(1, 6) if areas[label]]
    assert found.notes.get("extra_pieces", 0) == sum(pieces) - len(pieces)
