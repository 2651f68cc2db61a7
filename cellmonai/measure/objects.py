"""One row per object: place, size, shape, intensity and flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.measure.flags import unusual_areas
from cellmonai.measure.intensity import intensity_columns
from cellmonai.measure.perimeter import perimeters_px
from cellmonai.measure.runs import object_runs
from cellmonai.measure.shape import Axes, Moments, axes_of, moments_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize


@dataclass(frozen=True, slots=True)
class ObjectTable:
    """Measured objects, a column per quantity; the unit is the last part of a column's name.

    Parameters
    ----------
    columns : arrays of shape (N,) in the order in which a table shows them
    image_shape : rows and columns of the label image
    pixel_size_um : (y, x), or None where unknown; then there are no columns in micrometres
    """

    columns: Mapping[str, NDArray[Any]]
    image_shape: tuple[int, int]
    pixel_size_um: PixelSize | None

    def __len__(self) -> int:
        """How many objects there are."""
        return int(self.columns["label"].size)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Give a column, shape (N,)."""
        return self.columns[name]


def measure_objects(
    labels: NDArray[np.integer],
    *,
    pixel_size_um: PixelSize | None,
    image: NDArray[Any] | None = None,
    channel_names: Sequence[str] = (),
) -> ObjectTable:
    """Measure the objects of a label image.

    Parameters
    ----------
    labels : integer, shape (Y, X), 0 is background
    pixel_size_um : micrometres per pixel, (y, x), or None
    image : shape (Y, X) or (C, Y, X), any real dtype, to measure intensities in
    channel_names : one per channel of `image`; left out, they are 0, 1, …

    Returns
    -------
    one row per object in order of labels: label; centroid x, y (pixel centres at whole numbers); box as left, top,
    width, height; area; equivalent diameter; perimeter; circularity 4π area / perimeter²; major and minor axis,
    eccentricity and orientation (from the row axis to the major axis, counter-clockwise) of the ellipse with equal
    second moments; whether the object touches the image border; mean and sum of intensity per channel. Lengths and
    areas come in px, and in µm beside that where the pixel size is known.

    Raises
    ------
    InputError
        The image's rows and columns are not those of the label image, or the names not as many as its channels.

    Notes
    -----
    All quantities are scikit-image's `regionprops` by definition. Circularity is not a number where the perimeter is 0,
    and the perimeter in µm where pixels are not square, as its weights then have no meaning. Eccentricity and
    orientation are those of the pixel grid.
    """
    runs = object_runs(labels)
    moments = moments_of(runs)
    perimeter = perimeters_px(labels, int(runs.label.max(initial=0)))[runs.label]
    axes = axes_of(moments.row_variance, moments.column_variance, moments.covariance)
    rows, columns = labels.shape
    border = (moments.top == 0) | (moments.left == 0) | (moments.bottom == rows) | (moments.right == columns)
    micrometres = _in_micrometres(moments, perimeter, pixel_size_um) if pixel_size_um is not None else {}
    table: dict[str, NDArray[Any]] = {"label": runs.label}
    for name, values in _in_pixels(moments, perimeter, axes).items():
        table[name] = values
        for twin in (name.replace("_px", "_um"), name.replace("_px", "_um2")):
            if twin != name and twin in micrometres:
                table[twin] = micrometres[twin]
    table["touches_border"] = border
    if image is not None:
        table |= intensity_columns(labels, runs.label, moments.area, _channels(image, (rows, columns)), channel_names)
    return ObjectTable(table, (rows, columns), pixel_size_um)


def flag_objects(table: ObjectTable) -> dict[str, NDArray[np.bool_]]:
    """Flag what deserves a look; nothing is removed.

    Returns
    -------
    bool arrays of shape (N,): `touches_border`; `unusually_large` and `unusually_small` beside the whole objects of the
    image, by the rule of `measure.flags.unusual_areas`
    """
    large, small = unusual_areas(table["area_px"], table["touches_border"])
    return {"touches_border": table["touches_border"], "unusually_large": large, "unusually_small": small}


def _in_pixels(moments: Moments, perimeter: NDArray[np.float64], axes: Axes) -> dict[str, NDArray[Any]]:
    no_number = np.full(perimeter.size, np.nan)
    return {
        "centroid_x_px": moments.column,
        "centroid_y_px": moments.row,
        "bbox_left_px": moments.left,
        "bbox_top_px": moments.top,
        "bbox_width_px": moments.right - moments.left,
        "bbox_height_px": moments.bottom - moments.top,
        "area_px": moments.area,
        "equivalent_diameter_px": np.sqrt(moments.area * (4 / np.pi)),
        "perimeter_px": perimeter,
        "circularity": np.divide(4 * np.pi * moments.area, perimeter**2, out=no_number, where=perimeter > 0),
        "major_axis_px": axes.major,
        "minor_axis_px": axes.minor,
        "eccentricity": axes.eccentricity,
        "orientation_rad": axes.orientation_rad,
    }


def _in_micrometres(
    moments: Moments, perimeter: NDArray[np.float64], pixel_size_um: PixelSize
) -> dict[str, NDArray[np.float64]]:
    y_um, x_um = pixel_size_um
    axes = axes_of(
        moments.row_variance * y_um**2, moments.column_variance * x_um**2, moments.covariance * (y_um * x_um)
    )
    area_um2 = moments.area * (y_um * x_um)
    return {
        "centroid_x_um": moments.column * x_um,
        "centroid_y_um": moments.row * y_um,
        "area_um2": area_um2,
        "equivalent_diameter_um": np.sqrt(area_um2 * (4 / np.pi)),
        "perimeter_um": perimeter * (y_um if y_um == x_um else np.nan),
        "major_axis_um": axes.major,
        "minor_axis_um": axes.minor,
    }


def _channels(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Give the image as (C, Y, X) after checking that it lies under the labels."""
    if image.ndim not in (2, 3) or image.shape[-2:] != shape:
        raise InputError(f"the image's shape is {image.shape}, expected (Y, X) or (C, Y, X) with (Y, X) = {shape}")
    return image if image.ndim == 3 else image[None]
