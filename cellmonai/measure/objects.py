"""One row per object: place, size, shape, neighbourhood and intensity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.images.rows import as_rows
from cellmonai.measure.flags import odd_shapes, unusual_areas
from cellmonai.measure.shapes.hull_measures import measure_hulls
from cellmonai.measure.shapes.intensity import as_channels, names_of_channels
from cellmonai.measure.shapes.neighbours import nearest_distances
from cellmonai.measure.shapes.perimeter import perimeters_px
from cellmonai.measure.shapes.scan import scan_labels
from cellmonai.measure.shapes.shape import Axes, Moments, axes_of, moments_of
from cellmonai.measure.shapes.tally import AREA, STRAIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.rows import Rows
    from cellmonai.measure.shapes.hull import HullBuilder
    from cellmonai.measure.shapes.intensity import ChannelRows
    from cellmonai.measure.shapes.scan import Scanned

Columns = Literal["basic", "all"]


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
    labels: NDArray[np.integer] | Rows,
    *,
    pixel_size_um: PixelSize | None,
    image: NDArray[Any] | ChannelRows | None = None,
    channel_names: Sequence[str] = (),
    strip_rows: int | None = None,
    columns: Columns = "all",
) -> ObjectTable:
    """Measure the objects of a label image, which may be larger than memory.

    Parameters
    ----------
    labels : integer, shape (Y, X), 0 is background; gaps between labels and labels in several pieces are allowed
    pixel_size_um : micrometres per pixel, (y, x), or None
    image : shape (Y, X) or (C, Y, X), any real dtype, to measure intensities in
    channel_names : one per channel of `image`; left out, they are 0, 1, …
    strip_rows : rows of `labels` and `image` read at a time; by default about a megapixel. No number depends on it
    columns : "basic" leaves out solidity, the Feret diameters and the distance to the nearest neighbour

    Returns
    -------
    one row per object in order of labels: label; centroid x, y (pixel centres at whole numbers); box as left, top,
    width, height; area; equivalent diameter; perimeter; circularity 4π area / perimeter²; major and minor axis,
    eccentricity and orientation (from the row axis to the major axis, counter-clockwise) of the ellipse with equal
    second moments; solidity, area / area of the convex hull; largest and smallest Feret diameter; distance between the
    centroids of the object and the nearest other one; whether the object touches the image border; mean and sum of
    intensity per channel. Lengths and areas come in px, and in µm beside that where the pixel size is known.

    Raises
    ------
    InputError
        The image's rows and columns are not those of the label image, the names are not as many as its channels, or a
        label is negative.

    Notes
    -----
    All that scikit-image's `regionprops` has is equal to it by definition. So the convex hull is that of the middles of
    pixel sides, filled with the pixels whose centres lie in it or on it: their number is its area, and the Feret
    diameters are theirs, between the middles of pixel sides.

    Not a number are: circularity where the perimeter is 0; the perimeter in µm where pixels are not square, as its
    weights then have no meaning; the distance to the nearest neighbour of an object that is alone. Eccentricity,
    orientation and solidity are those of the pixel grid.
    """
    plane = as_rows(labels)
    channels = None if image is None else as_channels(image, plane.shape)
    names = [] if channels is None else names_of_channels(channels.shape[0], channel_names)
    scanned = scan_labels(plane, channels, strip_rows=strip_rows, with_hulls=columns == "all")
    hulls = {} if scanned.corners is None else _of_hulls(scanned.corners, scanned, pixel_size_um)
    scanned = replace(scanned, corners=None)  # the largest part of what a pass leaves
    moments = moments_of(scanned.table)
    perimeter = perimeters_px(scanned.table[:, STRAIGHT:])
    table: dict[str, NDArray[Any]] = {"label": scanned.label}
    table |= _interleaved(
        _in_pixels(moments, perimeter),
        _in_micrometres(moments, perimeter, pixel_size_um) if pixel_size_um is not None else {},
    )
    if columns == "all":
        table |= hulls | _neighbours(moments, pixel_size_um)
    table["touches_border"] = _touches_border(moments, plane.shape)
    table |= _intensities(scanned, moments, names)
    return ObjectTable(table, plane.shape, pixel_size_um)


def flag_objects(table: ObjectTable) -> dict[str, NDArray[np.bool_]]:
    """Flag what deserves a look; nothing is removed.

    Parameters
    ----------
    table : with all columns; KeyError where it has the basic ones only

    Returns
    -------
    bool arrays of shape (N,): `touches_border`; `unusually_large`, `unusually_small` and `odd_shape` beside the whole
    objects of the image, by the rules of `measure.flags.unusual_areas` and `odd_shapes`
    """
    cut = table["touches_border"]
    large, small = unusual_areas(table["area_px"], cut)
    odd = odd_shapes(table["solidity"], table["eccentricity"], cut)
    return {"touches_border": cut, "unusually_large": large, "unusually_small": small, "odd_shape": odd}


def _interleaved(pixels: dict[str, NDArray[Any]], micrometres: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Put each column in micrometres behind its twin in pixels."""
    table: dict[str, NDArray[Any]] = {}
    for name, values in pixels.items():
        table[name] = values
        for twin in (name.replace("_px", "_um"), name.replace("_px", "_um2")):
            if twin != name and twin in micrometres:
                table[twin] = micrometres[twin]
    return table


def _in_pixels(moments: Moments, perimeter: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    axes = axes_of(moments.row_variance, moments.column_variance, moments.covariance)
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
) -> dict[str, NDArray[Any]]:
    y_um, x_um = pixel_size_um
    axes = _axes_um(moments, pixel_size_um)
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


def _axes_um(moments: Moments, pixel_size_um: PixelSize) -> Axes:
    y_um, x_um = pixel_size_um
    return axes_of(
        moments.row_variance * y_um**2, moments.column_variance * x_um**2, moments.covariance * (y_um * x_um)
    )


def _of_hulls(corners: HullBuilder, scanned: Scanned, pixel_size_um: PixelSize | None) -> dict[str, NDArray[Any]]:
    sizes = {"px": (1.0, 1.0)} | ({} if pixel_size_um is None else {"um": pixel_size_um})
    hulls = measure_hulls(corners, scanned.place, list(sizes.values()))
    table: dict[str, NDArray[Any]] = {"solidity": scanned.table[:, AREA] / hulls.area}
    for name, lengths in (("feret_max", hulls.feret_max), ("feret_min", hulls.feret_min)):
        table |= {f"{name}_{unit}": length for unit, length in zip(sizes, lengths, strict=True)}
    return table


def _neighbours(moments: Moments, pixel_size_um: PixelSize | None) -> dict[str, NDArray[Any]]:
    table: dict[str, NDArray[Any]] = {"nearest_neighbour_px": nearest_distances(moments.row, moments.column)}
    if pixel_size_um is not None:
        y_um, x_um = pixel_size_um
        table["nearest_neighbour_um"] = nearest_distances(moments.row * y_um, moments.column * x_um)
    return table


def _touches_border(moments: Moments, shape: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = shape
    at_top_left = (moments.top == 0) | (moments.left == 0)
    touches: NDArray[np.bool_] = at_top_left | (moments.bottom == rows) | (moments.right == columns)
    return touches


def _intensities(scanned: Scanned, moments: Moments, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    table = {}
    for name, total in zip(names, scanned.values, strict=True):
        table[f"intensity_mean_{name}"] = total / moments.area
        table[f"intensity_sum_{name}"] = total
    return table
