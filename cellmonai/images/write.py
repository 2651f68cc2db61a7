"""Masks, label images and pictures to disk: whole or not at all, with the pixel size, the same bytes every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np

from cellmonai.core.errors import OutputError
from cellmonai.core.files import atomic_file
from cellmonai.images.maps import Maps, read_maps, write_maps
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize

__all__ = ["Maps", "read_maps", "write_labels", "write_maps", "write_mask", "write_png"]

TILE = 256
CLASSIC_TIFF_LIMIT = 2**32 - 2**25
"""Raw bytes up to which a classic TIFF surely holds the picture; it ends at 4 GiB."""


def write_mask(path: Path, mask: NDArray[np.bool_], *, pixel_size_um: PixelSize | None, overwrite: bool) -> None:
    """Write a mask (Y, X) as tiled uint8 TIFF with 0 and 255.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, or cannot be written.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.size:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected bool (Y, X)")
    with atomic_file(path, overwrite=overwrite) as temporary:
        tiles = (tile.view(np.uint8) * np.uint8(255) for tile in _tiles(mask))
        _write_tiff(temporary, tiles, mask.shape, np.dtype(np.uint8), pixel_size_um)


def write_labels(path: Path, labels: NDArray[Any], *, pixel_size_um: PixelSize | None, overwrite: bool) -> None:
    """Write a label image (Y, X) as tiled TIFF, uint16 up to 65,535 objects and uint32 above, and read it back.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, cannot be written, or does not read back as it was.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or not labels.size:
        raise ValueError(f"labels are {labels.dtype} {labels.shape}, expected whole numbers (Y, X)")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > 0xFFFFFFFF:
        raise ValueError(f"labels are {low} to {high}, expected 0 to 4294967295")
    dtype = np.dtype(np.uint16 if high <= 0xFFFF else np.uint32)
    with atomic_file(path, overwrite=overwrite) as temporary:
        tiles = (tile.astype(dtype) for tile in _tiles(labels))
        _write_tiff(temporary, tiles, labels.shape, dtype, pixel_size_um)
        _require_same(temporary, labels, path)


def write_png(path: Path, rgb: NDArray[np.uint8], *, overwrite: bool) -> None:
    """Write a colour picture (Y, X, 3) for people to look at.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, or cannot be written.
    """
    from PIL import Image

    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"picture is {rgb.dtype} {rgb.shape}, expected uint8 (Y, X, 3)")
    with atomic_file(path, overwrite=overwrite) as temporary:
        Image.fromarray(np.ascontiguousarray(rgb)).save(temporary, format="PNG")


def _tiles(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Cut an array into tiles in raster order; those at the lower and right edge are filled up with zeros."""
    for row in range(0, array.shape[0], TILE):
        for column in range(0, array.shape[1], TILE):
            part = array[row : row + TILE, column : column + TILE]
            tile = np.zeros((TILE, TILE), array.dtype)
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _write_tiff(
    path: Path,
    tiles: Iterator[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    pixel_size_um: PixelSize | None,
) -> None:
    from tifffile import imwrite

    imwrite(
        path,
        tiles,
        shape=shape,
        dtype=dtype,
        bigtiff=shape[0] * shape[1] * dtype.itemsize > CLASSIC_TIFF_LIMIT,
        photometric="minisblack",
        tile=(TILE, TILE),
        compression="zlib",
        compressionargs={"level": 1},
        description=_ome_xml(shape, dtype, pixel_size_um),
        metadata=None,
        software="cellmonai",
        resolution=(1e4 / pixel_size_um[1], 1e4 / pixel_size_um[0]) if pixel_size_um else None,
        resolutionunit="CENTIMETER" if pixel_size_um else None,
    )


def _ome_xml(shape: tuple[int, ...], dtype: np.dtype[Any], pixel_size_um: PixelSize | None) -> str:
    """Describe one plane as OME-XML, without the random identifier and the date that would make each file differ."""
    facts = {"ID": "Pixels:0", "DimensionOrder": "XYCZT", "Type": dtype.name, "BigEndian": "false"}
    facts |= {"SizeX": str(shape[1]), "SizeY": str(shape[0]), "SizeC": "1", "SizeZ": "1", "SizeT": "1"}
    if pixel_size_um is not None:
        y, x = pixel_size_um
        facts |= {"PhysicalSizeX": repr(float(x)), "PhysicalSizeXUnit": "\u00b5m"}
        facts |= {"PhysicalSizeY": repr(float(y)), "PhysicalSizeYUnit": "\u00b5m"}
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in facts.items())
    space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="{space}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{space} {space}/ome.xsd" Creator="cellmonai">'
        f'<Image ID="Image:0"><Pixels {attributes}>'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _require_same(written: Path, labels: NDArray[Any], path: Path) -> None:
    """Read a label image back, strip by strip: a label that wrapped or a lost tile must not go unseen."""
    with open_image(written) as source:
        for row in range(0, labels.shape[0], TILE):
            end = min(row + TILE, labels.shape[0])
            if not np.array_equal(source.read((row, 0, end, labels.shape[1]))[0], labels[row:end]):
                raise OutputError("the file does not read back as written", where=str(path), cure="check the disk")
