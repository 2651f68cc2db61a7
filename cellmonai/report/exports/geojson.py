"""Objects as GeoJSON that QuPath opens: one detection per object, with its outline and its measurements."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from cellmonai.core.files import atomic_file
from cellmonai.measure.tracing.outlines import object_outlines
from cellmonai.report.colours import outline_palette
from cellmonai.report.exports.object_names import object_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.measure.objects import ObjectTable
    from cellmonai.measure.tracing.rings import Polygon

_ROWS_AT_A_TIME = 4096
_DIGITS = 7  # significant ones, as many as a float32 has


def write_geojson(
    path: Path,
    labels: NDArray[Any] | Rows,
    table: ObjectTable,
    *,
    flags: Mapping[str, NDArray[np.bool_]],
    name: str,
    overwrite: bool,
) -> None:
    """Write a GeoJSON FeatureCollection, one feature per object and line, as the objects are traced.

    Parameters
    ----------
    path : the file
    labels : label image, shape (Y, X), as an array or in rows; may be larger than memory
    table : its objects; every column of finite numbers but the box becomes a measurement under its own name
    flags : name -> bool, shape (N,), as `measure.objects.flag_objects` gives them; measurements 0 and 1
    name : of the image and its plane; with the label it makes each object's id, the same in each run
    overwrite : replace a file that exists

    Raises
    ------
    OutputError
        The file exists or cannot be written.
    ValueError
        The table or the flags are not of these labels.

    Notes
    -----
    Coordinates are whole pixels from the upper left corner of the image, as QuPath counts them; polygons run along
    pixel edges, so that their area is the pixel count. Outer rings are counter-clockwise in x, y as RFC 7946 (3.1.6)
    wants it, which looks clockwise with y downwards. Objects are of class `Cell`, those with a flag `Cell: flagged`.
    Not-a-numbers are left out: JSON has none.
    """
    if any(len(flag) != len(table) for flag in flags.values()):
        raise ValueError(f"the table has {len(table)} objects, the flags {[len(flag) for flag in flags.values()]}")
    plain, flagged = (_classification(i, word) for i, word in enumerate(("Cell", "Cell: flagged")))
    is_flagged = np.logical_or.reduce([*flags.values(), np.zeros(len(table), np.bool_)]).tolist()
    image = uuid5(NAMESPACE_URL, "cellmonai:" + name.encode("utf-8", "backslashreplace").decode())
    facts = zip(object_names(table["label"]), is_flagged, _measurements(table, flags), strict=True)
    with atomic_file(path, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
        start = '{"type":"FeatureCollection","features":[\n'
        for outline, (title, warn, measurements) in zip(object_outlines(labels, table), facts, strict=True):
            feature = (
                f'{start}{{"type":"Feature","id":"{uuid5(image, str(outline.label))}",'
                f'"geometry":{_geometry(outline.polygons)},"properties":{{"objectType":"detection","name":"{title}",'
                f'"classification":{flagged if warn else plain},"measurements":{{{measurements}}}}}}}'
            )
            stream.write(feature.encode("ascii"))
            start = ",\n"
        stream.write(b"\n]}\n" if start == ",\n" else f"{start}]}}\n".encode())


def _classification(colour: int, name: str) -> str:
    return json.dumps({"name": name, "color": outline_palette(bright=False)[1 - colour].tolist()})


def _geometry(polygons: Sequence[Polygon]) -> str:
    parts = [f"[{','.join([_ring(ring) for ring in polygon])}]" for polygon in polygons]
    if len(parts) == 1:
        return f'{{"type":"Polygon","coordinates":{parts[0]}}}'
    return f'{{"type":"MultiPolygon","coordinates":[{",".join(parts)}]}}'


def _ring(ring: NDArray[np.int32]) -> str:
    """Give a closed ring; one format for all its numbers is three times as quick as a JSON encoder."""
    numbers = ring.ravel().tolist()
    return f"[{'[%d,%d],' * len(ring)}[%d,%d]]" % (*numbers, *numbers[:2])


def _measurements(table: ObjectTable, flags: Mapping[str, NDArray[np.bool_]]) -> Iterator[str]:
    """Give each object's measurements as the inside of a JSON object."""
    columns = {
        column: values
        for column, values in table.columns.items()
        if values.dtype.kind in "iuf" and not column.startswith("bbox_")
    } | {flag: values.astype(np.uint8) for flag, values in flags.items()}
    keys = [json.dumps(column) for column in columns]
    forms = ["%d" if values.dtype.kind in "iu" else f"%.{_DIGITS}g" for values in columns.values()]
    line = ",".join(f"{key.replace('%', '%%')}:{form}" for key, form in zip(keys, forms, strict=True))
    for start in range(0, len(table), _ROWS_AT_A_TIME):
        parts = [values[start : start + _ROWS_AT_A_TIME] for values in columns.values()]
        finite = np.logical_and.reduce([np.isfinite(part) for part in parts]).tolist()
        for is_finite, row in zip(finite, zip(*(part.tolist() for part in parts), strict=True), strict=True):
            if is_finite:
                yield line % row
                continue
            cells = zip(keys, forms, row, strict=True)
            yield ",".join(f"{key}:{form % value}" for key, form, value in cells if math.isfinite(value))
