"""A painted field holds exactly the cells it says, each one visible region; the seed decides every byte."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellmonai.simulate import FieldSettings, paint_field

if TYPE_CHECKING:
    from typing import Any, Literal

    from numpy.typing import NDArray

ndimage = pytest.importorskip("scipy.ndimage")
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def pieces_of(labels: NDArray[np.int32], number: int) -> int:
    """How many 8-connected regions a label consists of, by SciPy."""
    return int(ndimage.label(labels == number, EIGHT_NEIGHBOURS)[1])


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(FieldSettings(shape=(64, 64), cells=0), id="no cell"),
        pytest.param(FieldSettings(shape=(64, 64), cells=1), id="one cell"),
        pytest.param(FieldSettings(shape=(1, 1), cells=0), id="one pixel"),
        pytest.param(FieldSettings(shape=(30, 200), cells=12, radius_px=(4, 7)), id="narrow field"),
        pytest.param(FieldSettings(shape=(192, 192), cells=60, radius_px=(5, 8), clustering=1), id="all touch"),
        pytest.param(FieldSettings(shape=(192, 192), cells=40, radius_px=(5, 8), overlap=1), id="deep overlaps"),
        pytest.param(FieldSettings(shape=(512, 512), cells=255, radius_px=(4, 7)), id="255 cells"),
        pytest.param(FieldSettings(shape=(512, 512), cells=256, radius_px=(4, 7)), id="256 cells"),
        pytest.param(FieldSettings(shape=(128, 128), cells=120, radius_px=(1.5, 2), clustering=0.5), id="tiny cells"),
    ],
)
def test_every_cell_is_one_visible_region(settings: FieldSettings) -> None:
    field = paint_field(settings, seed=5)
    assert field.count == settings.cells
    assert np.array_equal(np.unique(field.labels[field.labels > 0]), np.arange(1, settings.cells + 1))
    assert [n for n in range(1, field.count + 1) if pieces_of(field.labels, n) != 1] == []


def test_cells_are_numbered_by_their_first_pixel() -> None:
    labels = paint_field(FieldSettings(cells=50, clustering=0.7), seed=2).labels
    _, first = np.unique(labels[labels > 0], return_index=True)
    assert (np.diff(first) > 0).all()


def test_lone_cells_are_the_components_of_the_foreground() -> None:
    field = paint_field(FieldSettings(shape=(512, 512), cells=200, radius_px=(4, 9), clustering=0), seed=3)
    assert ndimage.label(field.labels > 0, EIGHT_NEIGHBOURS)[1] == 200


def test_clustered_cells_touch() -> None:
    field = paint_field(FieldSettings(shape=(512, 512), cells=100, clustering=1, overlap=0.2), seed=3)
    assert ndimage.label(field.labels > 0, EIGHT_NEIGHBOURS)[1] < 40


def test_cells_keep_most_of_what_others_cover() -> None:
    settings = FieldSettings(shape=(256, 256), cells=60, radius_px=(8, 8), clustering=1, overlap=1, border="inside")
    areas = np.bincount(paint_field(settings, seed=4).labels.ravel())[1:]
    assert areas.min() >= 0.5 * np.pi * 8**2  # 60 % of an outline whose ripples take a few percent


def test_65536_tiny_cells_are_painted_in_seconds() -> None:
    settings = FieldSettings(shape=(2048, 2048), cells=65_536, radius_px=(1.5, 2.5), clustering=0)
    start = time.process_time()
    field = paint_field(settings, seed=1)
    assert time.process_time() - start < 30  # about five on a slow core; minutes when a step per cell sees all cells
    assert int(field.labels.max()) == 65_536
    assert np.bincount(field.labels.ravel(), minlength=65_537).min() >= 1
    assert ndimage.label(field.labels > 0, EIGHT_NEIGHBOURS)[1] == 65_536


def test_cells_can_stay_inside() -> None:
    settings = FieldSettings(shape=(160, 160), cells=25, border="inside", clustering=0.5)
    for seed in range(4):
        labels = paint_field(settings, seed).labels
        edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        inner = labels[1:-1, 1:-1]
        # a cell may end on the last row, but none is cut: every one is large
        assert np.bincount(labels.ravel())[1:].min() > 60
        assert inner.max() == 25
        assert len(np.unique(edges)) < 15


def test_same_seed_same_bytes() -> None:
    settings = FieldSettings(debris=5, defocus_px=1.5)
    one, two, other = (paint_field(settings, seed) for seed in (7, 7, 8))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    assert one.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"texture": 0.0}, id="texture"),
        pytest.param({"defocus_px": 3.0}, id="defocus_px"),
        pytest.param({"background": 0.4}, id="background"),
        pytest.param({"unevenness": 0.0}, id="unevenness"),
        pytest.param({"debris": 9}, id="debris"),
        pytest.param({"noise": 0.3}, id="noise"),
        pytest.param({"exposure": 0.2}, id="exposure"),
        pytest.param({"brightness_spread": 0.6}, id="brightness_spread"),
        pytest.param({"bits": 16}, id="bits"),
    ],
)
def test_light_and_camera_change_the_image_and_move_no_cell(change: dict[str, Any]) -> None:
    plain = FieldSettings(shape=(96, 96), cells=8)
    one, two = paint_field(plain, 3), paint_field(replace(plain, **change), 3)
    assert one.labels.tobytes() == two.labels.tobytes()
    assert one.image.tobytes() != two.image.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"shape": (96, 97)}, id="shape"),
        pytest.param({"cells": 9}, id="cells"),
        pytest.param({"radius_px": (5.0, 9.0)}, id="radius_px"),
        pytest.param({"elongation": 1.0}, id="elongation"),
        pytest.param({"clustering": 1.0}, id="clustering"),
        pytest.param({"overlap": 0.5}, id="overlap"),
    ],
)
def test_geometry_changes_the_labels(change: dict[str, Any]) -> None:
    plain = FieldSettings(shape=(96, 96), cells=8)
    assert paint_field(plain, 3).labels.tobytes() != paint_field(replace(plain, **change), 3).labels.tobytes()


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_the_image_fills_its_range_without_clipping_it(bits: Literal[8, 16], dtype: type) -> None:
    image = paint_field(FieldSettings(bits=bits), seed=1).image
    full = 2**bits - 1
    assert image.dtype == dtype
    assert 0.5 * full < image.max()
    assert (image == full).mean() < 0.001
    assert np.median(image) < 0.12 * full  # most of the field is dark


def test_cells_are_brighter_than_the_background() -> None:
    field = paint_field(FieldSettings(), seed=1)
    assert field.image[field.labels > 0].mean() > 4 * field.image[field.labels == 0].mean()


def test_cells_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"50 cells do not fit into 40 x 40 pixels"):
        paint_field(FieldSettings(shape=(40, 40), cells=50), seed=1)
    with pytest.raises(ValueError, match="do not fit"):
        paint_field(FieldSettings(shape=(10, 10), cells=1, radius_px=(20, 20), border="inside"), seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"shape": (0, 5)}, "shape is", id="no rows"),
        pytest.param({"cells": -1}, "cells is -1", id="negative count"),
        pytest.param({"radius_px": (1.0, 3.0)}, "radius_px is", id="below the pixel grid"),
        pytest.param({"radius_px": (5.0, 3.0)}, "radius_px is", id="limits exchanged"),
        pytest.param({"elongation": 0.5}, "elongation is", id="elongation below one"),
        pytest.param({"clustering": 1.5}, "clustering is 1.5", id="share above one"),
        pytest.param({"noise": -0.1}, "noise is -0.1", id="negative noise"),
        pytest.param({"border": "frame"}, "border is frame", id="unknown border"),
        pytest.param({"bits": 12}, "bits is 12", id="unknown depth"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FieldSettings(**change)
