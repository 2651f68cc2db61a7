"""Layers for napari: data, keyword arguments and kind, with features that join by `index`."""

from __future__ import annotations

import numpy as np
import pytest
from painting import Disc, paint

from cellmonai.images.rows import ArrayRows
from cellmonai.measure.objects import measure_objects
from cellmonai.report.exports.napari import napari_layers

LABELS = paint([Disc(5, 5, 3), Disc(5, 15, 3), Disc(15, 5, 3)], (20, 25))
TABLE = measure_objects(LABELS, pixel_size_um=(0.5, 0.25))


def test_labels_and_centroids_carry_the_table_and_the_pixel_size() -> None:
    labels, points = napari_layers(LABELS, TABLE, name="a")
    assert [kind for _, _, kind in (labels, points)] == ["labels", "points"]
    assert np.array_equal(labels[0], LABELS)
    assert points[0].tolist() == [[5, 5], [5, 15], [15, 5]]
    for _, settings, _ in (labels, points):
        assert settings["scale"] == (0.5, 0.25)
        assert settings["features"]["index"].tolist() == settings["features"]["label"].tolist() == [1, 2, 3]
        assert {len(values) for values in settings["features"].values()} == {3}


def test_each_channel_of_the_image_is_a_layer_below() -> None:
    one = napari_layers(LABELS, TABLE, image=np.zeros((20, 25)), name="a")
    two = napari_layers(LABELS, TABLE, image=np.zeros((2, 20, 25)), name="a")
    assert [(kind, settings["name"]) for _, settings, kind in one][:1] == [("image", "a")]
    assert [settings["name"] for _, settings, _ in two] == ["a 0", "a 1", "a labels", "a centroids"]
    assert all(settings["scale"] == (0.5, 0.25) for _, settings, _ in two)


def test_without_a_pixel_size_layers_are_in_pixels_and_a_given_one_wins() -> None:
    table = measure_objects(LABELS, pixel_size_um=None)
    assert all("scale" not in settings for _, settings, _ in napari_layers(LABELS, table, name="a"))
    layers = napari_layers(LABELS, TABLE, pixel_size_um=(1.0, 2.0), name="a")
    assert all(settings["scale"] == (1.0, 2.0) for _, settings, _ in layers)


def test_rows_become_an_array_and_no_cells_are_shown_too() -> None:
    empty = np.zeros((7, 8), np.int32)
    labels, points = napari_layers(ArrayRows(empty), measure_objects(empty, pixel_size_um=None), name="a")
    assert np.array_equal(labels[0], empty)
    assert points[0].shape == (0, 2)


def test_an_image_of_another_shape_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="the shapes differ"):
        napari_layers(LABELS, TABLE, image=np.zeros((20, 24)), name="a")
    with pytest.raises(ValueError, match="the shapes differ"):
        napari_layers(LABELS[:9], TABLE, name="a")
