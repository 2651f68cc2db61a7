"""Objects as a ZIP of ImageJ ROIs, one file per object, named by its label."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import OutputError
from cellmonai.core.files import atomic_file
from cellmonai.measure.tracing.outlines import object_outlines
from cellmonai.report.exports.object_names import object_names
from cellmonai.report.exports.stored_zip import StoredZip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.measure.objects import ObjectTable
    from cellmonai.measure.tracing.rings import Polygon

# ImageJ reads 16-bit coordinates as unsigned only below 65536 - 5000, to allow for slightly negative ones
_LARGEST_SHORT = 60_535
_LARGEST_EXACT_FLOAT = 2**24
_VERSION = 227
_RECTANGLE, _TRACED = 1, 8
_MOVE_TO, _LINE_TO, _CLOSE = 0.0, 1.0, 4.0
_HEADER_BYTES = 64

# "Iout", version, type, -, top, left, bottom, right, points; line ends, stroke width; length of a composite; stroke
# and fill colour, subtype, options, arrow, arc, position; where the second header starts
_HEADER = struct.Struct(">4sHBxHHHHH16xHi8xHH4xiI")
# channel, slice, frame; where the name starts and its length; all else about labels, strokes and properties unset
_SECOND_HEADER = struct.Struct(">4x3i2I40x")


def write_rois(path: Path, labels: NDArray[Any] | Rows, table: ObjectTable, *, overwrite: bool) -> None:
    """Write an ImageJ ROI ZIP that the ROI Manager opens, one ROI per object, in the order of the table.

    Parameters
    ----------
    path : the file, a new one each time
    labels : label image, shape (Y, X), as an array or in rows; may be larger than memory
    table : its objects
    overwrite : replace a file that exists

    Raises
    ------
    OutputError
        The file exists or cannot be written, or the image is larger than ROIs can say.

    Notes
    -----
    Outlines run along pixel edges, so that a ROI's area in ImageJ is the object's pixel count. An object with one ring
    is a traced ROI; one with holes or several parts, or beyond 60,535 px, a composite, whose coordinates are float32.
    ROIs have no position: they show on each slice.

    References
    ----------
    The format is documented in ImageJ's source, ij/io/RoiDecoder.java (public domain).
    """
    if max(table.image_shape) > _LARGEST_EXACT_FLOAT:
        raise OutputError(
            f"the image is {max(table.image_shape)} px long, and ImageJ's ROIs hold {_LARGEST_EXACT_FLOAT} px",
            where=str(path),
            cure="save GeoJSON",
        )
    names = object_names(table["label"])
    with atomic_file(path, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
        archive = StoredZip(stream)
        for outline, box, name in zip(object_outlines(labels, table), _boxes(table), names, strict=True):
            archive.add(f"{name}.roi", roi_bytes(outline.polygons, box, name))
        archive.close()


def _boxes(table: ObjectTable) -> Iterator[tuple[int, int, int, int]]:
    left, top = table["bbox_left_px"].astype(np.int64), table["bbox_top_px"].astype(np.int64)
    right, bottom = left + table["bbox_width_px"], top + table["bbox_height_px"]
    return zip(left.tolist(), top.tolist(), right.tolist(), bottom.tolist(), strict=True)


def roi_bytes(polygons: Sequence[Polygon], box: tuple[int, int, int, int], name: str) -> bytes:
    """Give one ROI as the content of a `.roi` file.

    Parameters
    ----------
    polygons : outer ring and holes each, int32, shape (n, 2), corners x, y
    box : left, top, right, bottom, half-open
    name : shown in the ROI Manager
    """
    left, top, right, bottom = box
    outer = polygons[0][0]
    is_simple = len(polygons) == 1 and len(polygons[0]) == 1
    if is_simple and max(right, bottom, len(outer)) <= _LARGEST_SHORT:
        kind, points, floats = _TRACED, len(outer), 0
        body = (outer.T - ((left,), (top,))).astype(">u2").tobytes()
    else:
        path = _path_of(polygons)
        kind, points, floats, body = _RECTANGLE, 0, len(path), path.tobytes()
    sides = [min(side, _LARGEST_SHORT) for side in (top, left, bottom, right)]  # composites are read without them
    second = _HEADER_BYTES + len(body)
    text = name.encode("utf-16-be")
    return b"".join(
        [
            _HEADER.pack(b"Iout", _VERSION, kind, *sides, points, 0, floats, 0, 0, 0, second),
            body,
            _SECOND_HEADER.pack(0, 0, 0, second + _SECOND_HEADER.size, len(text) // 2),
            text,
        ]
    )


def _path_of(polygons: Sequence[Polygon]) -> NDArray[np.float32]:
    """Give a composite's path: segments of their kind and where they lead, in coordinates of the image; big-endian."""
    parts: list[NDArray[np.float64]] = []
    for ring in (ring for polygon in polygons for ring in polygon):
        segments = np.full((len(ring), 3), _LINE_TO)
        segments[0, 0] = _MOVE_TO
        segments[:, 1:] = ring
        parts += [segments.ravel(), np.array([_CLOSE])]
    return np.concatenate(parts).astype(">f4")
