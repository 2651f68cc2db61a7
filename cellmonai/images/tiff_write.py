"""One plane to TIFF, row by row: compressed, with its pixel size, the same bytes for the same content."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.rows import Rows

TILE = 256
CLASSIC_TIFF_LIMIT = 2**32 - 2**25
"""Raw bytes up to which a classic TIFF surely holds the picture; it ends at 4 GiB."""

_LEVEL = 1  # of zlib; higher ones take much longer and gain little on masks
_STRIP_BYTES = 1 << 18
_BUFFER_BYTES = 1 << 24  # of tiles that are compressed side by side; 256 MiB unless told
_COLOUR_MAP = 320  # TIFF tag
_SHORT = 3  # TIFF type
_REDUCED = 1  # subfile type of a smaller copy


def write_plane(
    path: Path,
    plane: Rows,
    dtype: np.dtype[Any],
    *,
    stored: Callable[[NDArray[Any]], NDArray[Any]],
    pixel_size_um: PixelSize | None,
    colours: NDArray[np.uint8] | None = None,
    tiled: bool,
    levels: Sequence[Rows] = (),
) -> None:
    """Write a plane as TIFF with OME-XML.

    Parameters
    ----------
    path : the file
    plane : rows that are asked for from top to bottom, a few at a time
    dtype : what the file holds
    stored : makes rows of `dtype` from rows of the plane
    pixel_size_um : micrometres per pixel, (y, x), or None
    colours : uint8, shape (256, 3), from the least to the greatest value, which ImageJ's own reader shows the picture
        in; values stay what they are for it and all others, as the picture is declared grey
    tiled : in tiles, which large pictures want, or in strips, which ImageJ's own reader can open
    levels : smaller copies, each half the one before, rounded up; asked for when the plane is written to its end. They
        become sub-directories (SubIFDs) with a pixel size of their own, and the file a BigTIFF, as OME-TIFF has it
    """
    from tifffile import TiffWriter

    big = bool(levels) or plane.shape[0] * plane.shape[1] * dtype.itemsize > CLASSIC_TIFF_LIMIT
    with TiffWriter(path, bigtiff=big) as tif:
        for number, level in enumerate((plane, *levels)):
            tif.write(
                _tiles(level, stored) if tiled else _strips(level, dtype, stored),
                shape=level.shape,
                dtype=dtype,
                photometric="minisblack",
                tile=(TILE, TILE) if tiled else None,
                rowsperstrip=None if tiled else _rows_per_strip(level.shape, dtype),
                compression="zlib",
                compressionargs={"level": _LEVEL},
                description=None if number else _ome_xml(plane.shape, dtype, pixel_size_um),
                metadata=None,
                software=False if number else "cellmonai",
                resolution=_pixels_per_centimetre(pixel_size_um, 2**number) if pixel_size_um else None,
                resolutionunit="CENTIMETER" if pixel_size_um else None,
                buffersize=_BUFFER_BYTES,
                extratags=[] if colours is None or number else [_colour_tag(colours)],
                subifds=len(levels) if levels and not number else None,
                subfiletype=_REDUCED if number else None,
            )


def write_stack(
    path: Path,
    planes: Sequence[Rows],
    dtype: np.dtype[Any],
    *,
    stored: Callable[[NDArray[Any]], NDArray[Any]],
    voxel_size_um: tuple[float | None, PixelSize | None],
    colours: NDArray[np.uint8],
    tiled: bool,
) -> None:
    """Write planes that lie over each other as TIFF with OME-XML, a directory for each.

    Parameters
    ----------
    planes : of one shape, from the first depth to the last
    voxel_size_um : from one plane to the next, and (y, x) within them; None for what is unknown
    path, dtype, stored, colours, tiled : as for `write_plane`
    """
    from tifffile import TiffWriter

    shape, pixel_size_um = planes[0].shape, voxel_size_um[1]
    big = len(planes) * shape[0] * shape[1] * dtype.itemsize > CLASSIC_TIFF_LIMIT
    with TiffWriter(path, bigtiff=big) as tif:
        for number, plane in enumerate(planes):
            tif.write(
                _tiles(plane, stored) if tiled else _strips(plane, dtype, stored),
                shape=shape,
                dtype=dtype,
                photometric="minisblack",
                tile=(TILE, TILE) if tiled else None,
                rowsperstrip=None if tiled else _rows_per_strip(shape, dtype),
                compression="zlib",
                compressionargs={"level": _LEVEL},
                description=None if number else _ome_xml(shape, dtype, pixel_size_um, len(planes), voxel_size_um[0]),
                metadata=None,
                software=False if number else "cellmonai",
                resolution=_pixels_per_centimetre(pixel_size_um, 1) if pixel_size_um else None,
                resolutionunit="CENTIMETER" if pixel_size_um else None,
                buffersize=_BUFFER_BYTES,
                extratags=[_colour_tag(colours)],
            )


def _pixels_per_centimetre(pixel_size_um: PixelSize, shrunk: int) -> tuple[float, float]:
    """Give (x, y) of a copy that is `shrunk` times smaller, in TIFF's order."""
    return 1e4 / (pixel_size_um[1] * shrunk), 1e4 / (pixel_size_um[0] * shrunk)


def _tiles(plane: Rows, stored: Callable[[NDArray[Any]], NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Cut a plane into tiles in raster order; those at the lower and right edge are filled up with zeros."""
    for top in range(0, plane.shape[0], TILE):
        block = stored(plane.rows(top, min(top + TILE, plane.shape[0])))
        for left in range(0, plane.shape[1], TILE):
            part = block[:, left : left + TILE]
            tile = np.zeros((TILE, TILE), block.dtype)
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _strips(plane: Rows, dtype: np.dtype[Any], stored: Callable[[NDArray[Any]], NDArray[Any]]) -> Iterator[bytes]:
    """Cut a plane into compressed strips; tifffile takes strips one by one in this form only."""
    rows, little = _rows_per_strip(plane.shape, dtype), dtype.newbyteorder("<")
    for top in range(0, plane.shape[0], rows):
        block = stored(plane.rows(top, min(top + rows, plane.shape[0])))
        yield zlib.compress(np.ascontiguousarray(block, little).data, _LEVEL)


def _rows_per_strip(shape: tuple[int, int], dtype: np.dtype[Any]) -> int:
    return min(shape[0], max(1, _STRIP_BYTES // (shape[1] * dtype.itemsize)))


def _colour_tag(colours: NDArray[np.uint8]) -> tuple[int, int, int, tuple[int, ...], bool]:
    """Give the colour map as ImageJ writes it for 16-bit pictures: 256 reds, greens and blues, 0 to 65535."""
    values = colours.T.astype(np.int64).ravel() * 257
    return _COLOUR_MAP, _SHORT, values.size, tuple(values.tolist()), True


def _ome_xml(
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    pixel_size_um: PixelSize | None,
    depths: int = 1,
    z_step_um: float | None = None,
) -> str:
    """Describe planes as OME-XML, without the random identifier and the date that would make each file differ."""
    facts = {"ID": "Pixels:0", "DimensionOrder": "XYCZT", "Type": dtype.name, "BigEndian": "false"}
    facts |= {"SizeX": str(shape[1]), "SizeY": str(shape[0]), "SizeC": "1", "SizeZ": str(depths), "SizeT": "1"}
    if pixel_size_um is not None:
        y, x = pixel_size_um
        facts |= {"PhysicalSizeX": repr(float(x)), "PhysicalSizeXUnit": "&#181;m"}
        facts |= {"PhysicalSizeY": repr(float(y)), "PhysicalSizeYUnit": "&#181;m"}
    if z_step_um is not None:
        facts |= {"PhysicalSizeZ": repr(float(z_step_um)), "PhysicalSizeZUnit": "&#181;m"}
    attributes = " ".join(f'{name}="{value}"' for name, value in facts.items())  # nothing in them is to be escaped
    space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="{space}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{space} {space}/ome.xsd" Creator="cellmonai">'
        f'<Image ID="Image:0"><Pixels {attributes}><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="{depths}"/></Pixels></Image></OME>'
    )
