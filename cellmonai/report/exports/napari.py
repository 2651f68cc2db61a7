"""Objects as napari layers, in the form that napari's readers and widgets give; napari itself is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import as_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.rows import Rows
    from cellmonai.measure.objects import ObjectTable

Layer = tuple["NDArray[Any]", dict[str, Any], str]
"""Data, keyword arguments of the layer, and its kind: napari's LayerDataTuple."""


def napari_layers(
    labels: NDArray[Any] | Rows,
    table: ObjectTable,
    *,
    image: NDArray[Any] | None = None,
    pixel_size_um: PixelSize | None = None,
    name: str,
) -> list[Layer]:
    """Give the layers that show an image, its objects and their centroids.

    Parameters
    ----------
    labels : label image, shape (Y, X); rows are read into memory as a whole
    table : its objects
    image : shape (Y, X) or (C, Y, X), one layer per channel
    pixel_size_um : (y, x); the table's where it is not given; layers are in pixels where neither is known
    name : how the layers are called

    Returns
    -------
    image layers, a labels layer, and a points layer that is not shown at first. The features of labels and points are
    the table's columns and `index`, the label, which is the column by which napari finds the features of a label.

    Examples
    --------
    Each is a layer by ``viewer.add_layer(napari.layers.Layer.create(*layer))``.
    """
    plane = as_rows(labels)
    if plane.shape != table.image_shape or (image is not None and image.shape[-2:] != plane.shape):
        shapes = f"labels {plane.shape}, table {table.image_shape}, image {getattr(image, 'shape', None)}"
        raise ValueError(f"the shapes differ: {shapes}")
    size = pixel_size_um or table.pixel_size_um
    place: dict[str, Any] = {} if size is None else {"scale": size}
    features = {"index": np.asarray(table["label"]), **table.columns}
    centroids = np.stack([table["centroid_y_px"], table["centroid_x_px"]], axis=1)
    points = {"name": f"{name} centroids", "features": features, "size": _point_size(table), "visible": False, **place}
    return [
        *_images(image, name, place),
        (plane.rows(0, plane.shape[0]), {"name": f"{name} labels", "features": features, **place}, "labels"),
        (centroids, points, "points"),
    ]


def _images(image: NDArray[Any] | None, name: str, place: dict[str, Any]) -> list[Layer]:
    if image is None:
        return []
    if image.ndim == 2:
        return [(image, {"name": name, **place}, "image")]
    return [
        (channel, {"name": f"{name} {number}", "blending": "additive", **place}, "image")
        for number, channel in enumerate(image)
    ]


def _point_size(table: ObjectTable) -> float:
    """Give a third of the median diameter, in pixels, which napari scales as it does the points."""
    return float(max(1.0, np.sqrt(np.median(table["area_px"])) / 3)) if len(table) else 1.0
