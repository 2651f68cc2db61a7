"""The object table is a function of the labels: not of strips, kernels, or how labels are numbered and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import paint, scattered_discs

from cellmonai.measure.objects import ObjectTable, measure_objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (290, 240)
STRIPS = (1, 7, 64, 100, 256, None)


def spiral(side: int) -> NDArray[np.int32]:
    """Nested frames with gaps, joined in one object that every strip meets many times."""
    labels = np.zeros((side, side), np.int32)
    for k in range(0, side // 2, 4):
        labels[k : side - k, k : side - k] = 1
        labels[k + 2 : side - k - 2, k + 2 : side - k - 2] = 0
    labels[side // 2] = 1
    return labels


def fields() -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(7)
    cells = paint(scattered_discs(60, SHAPE, radius_px=(0.4, 15), cells_per_cluster=4, seed=5), SHAPE)
    noise = (random.random((150, 61)) < 0.5) * random.integers(1, 9, (150, 61))
    return {
        "cells": cells,
        "noise": noise.astype(np.int32),
        "spiral": spiral(121),
        "all foreground": np.ones((131, 40), np.int32),
        "no object": np.zeros((130, 9), np.int32),
        "no columns": np.zeros((9, 0), np.int32),
        "wild labels": cells.astype(np.int64) * 10_000_000_019,
        "large labels": (cells * 26_000_000).astype(np.int32),
        "late wild label": np.where(
            np.arange(SHAPE[0])[:, None] > 200, cells.astype(np.int64) * 77_777_777 % 2**31, cells
        ).astype("u4"),
        "column order": np.asfortranarray(cells),
        "bytes": (cells % 100).astype(np.uint8),
    }


FIELDS = fields()


class Image:
    """Rows or channels that are read only strip by strip, and only from top to bottom."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.shape: Any = array.shape
        self.most_rows = 0

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        assert 0 <= top < bottom <= self.shape[-2]
        self.most_rows = max(self.most_rows, bottom - top)
        return self._array[..., top:bottom, :].copy()


def digest(table: ObjectTable) -> dict[str, tuple[str, bytes]]:
    return {name: (column.dtype.str, column.tobytes()) for name, column in table.columns.items()}


def in_numpy(labels: NDArray[Any], image: NDArray[Any] | None = None) -> ObjectTable:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cellmonai.measure.shapes.label_kernels.library", lambda: None)
        return measure_objects(labels, pixel_size_um=(0.3, 0.5), image=image)


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("name", FIELDS)
def test_strips_and_kernels_give_equal_bytes(name: str) -> None:
    labels = FIELDS[name]
    random = np.random.default_rng(1)
    picture = random.random((2, *labels.shape)).astype(np.float32)
    whole = digest(in_numpy(labels, image=picture))
    for rows in STRIPS:
        table = measure_objects(labels, pixel_size_um=(0.3, 0.5), image=picture, strip_rows=rows)
        assert digest(table) == whole


@pytest.mark.usefixtures("twin")
@given(
    labels=arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)),
    rows=st.integers(1, 12),
)
def test_strips_and_kernels_give_equal_bytes_for_any_labels(labels: NDArray[np.int32], rows: int) -> None:
    table = measure_objects(labels, pixel_size_um=(0.3, 0.5), strip_rows=rows)
    assert digest(table) == digest(in_numpy(labels))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float16, np.float64])
def test_kernels_give_equal_sums_of_any_values(dtype: type[np.generic]) -> None:
    values = np.random.default_rng(2).normal(0, 100, SHAPE).astype(dtype)
    compiled = measure_objects(FIELDS["cells"], pixel_size_um=(0.3, 0.5), image=values, strip_rows=50)
    assert digest(compiled) == digest(in_numpy(FIELDS["cells"], image=values))


@pytest.mark.usefixtures("twin")
def test_an_image_larger_than_memory_is_read_strip_by_strip() -> None:
    cells = FIELDS["cells"]
    picture = np.random.default_rng(3).integers(0, 9, (3, *SHAPE))
    labels, image = Image(cells), Image(picture)
    table = measure_objects(labels, pixel_size_um=(0.3, 0.5), image=image, strip_rows=32)
    assert digest(table) == digest(measure_objects(cells, pixel_size_um=(0.3, 0.5), image=picture))
    assert (labels.most_rows, image.most_rows) == (36, 32)  # border pixels depend on two rows on both sides


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("name", ["cells", "noise", "wild labels"])
def test_portions_that_bound_memory_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digest(measure_objects(FIELDS[name], pixel_size_um=(0.3, 0.5)))
    for constant in ("perimeter._PIXELS_AT_A_TIME", "hull_lengths._PAIRS_AT_A_TIME", "neighbours._PAIRS_AT_A_TIME"):
        monkeypatch.setattr(f"cellmonai.measure.shapes.{constant}", 50)
    monkeypatch.setattr("cellmonai.measure.shapes.hull_measures._OBJECTS_AT_A_TIME", 7)
    assert digest(measure_objects(FIELDS[name], pixel_size_um=(0.3, 0.5))) == whole


@pytest.mark.usefixtures("twin")
def test_names_of_labels_change_nothing_but_the_order() -> None:
    cells, wild = FIELDS["cells"], FIELDS["wild labels"]
    plain, renamed = (digest(measure_objects(labels, pixel_size_um=None)) for labels in (cells, wild))
    assert plain.pop("label") != renamed.pop("label")
    assert plain == renamed


@pytest.mark.usefixtures("twin")
def test_nothing_is_written_into_the_labels() -> None:
    labels = FIELDS["cells"].copy()
    labels.flags.writeable = False
    measure_objects(labels, pixel_size_um=None, strip_rows=40)
