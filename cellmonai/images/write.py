"""Masks, label images and pictures to disk: whole or not at all, with the pixel size, the same bytes every time."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import OutputError
from cellmonai.core.files import atomic_file
from cellmonai.images.maps import Maps, read_maps, write_maps
from cellmonai.images.mask_pyramid import MaskPyramid
from cellmonai.images.open import open_image
from cellmonai.images.rows import STRIP_PIXELS, as_rows, strips
from cellmonai.images.tiff_write import TILE, write_plane, write_stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.rows import Rows

__all__ = ["Maps", "read_maps", "write_label_stack", "write_labels", "write_maps", "write_mask", "write_png"]

LARGEST_IN_STRIPS_PX = 1 << 26
"""Label images up to this are written in strips, which ImageJ opens without a plugin; larger ones in tiles."""

_READING_BYTES = 1 << 26
_GOLDEN_RATIO = 0.6180339887498949


def write_mask(path: Path, mask: NDArray[np.bool_] | Rows, *, pixel_size_um: PixelSize | None, overwrite: bool) -> None:
    """Write a mask (Y, X), an array or rows, as tiled uint8 TIFF with 0 and 255; large ones as a pyramid.

    Parameters
    ----------
    path : the file
    mask : an array, or rows, which are read once from top to bottom
    pixel_size_um : micrometres per pixel, (y, x), or None
    overwrite : replace a file that exists

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, or cannot be written.

    Notes
    -----
    With a side above 10,000 px it is a BigTIFF with smaller copies down to the first below 1,024 px, each half the one
    before. A pixel of a copy is foreground where at least half of the four that it stands for are.
    """
    plane = _plane(mask, "mask")
    dtype = np.dtype(np.uint8)
    with atomic_file(path, overwrite=overwrite) as temporary, MaskPyramid(plane, path.parent) as pyramid:
        write_plane(
            temporary,
            pyramid,
            dtype,
            stored=_as_bytes,
            pixel_size_um=pixel_size_um,
            tiled=True,
            levels=pyramid.levels,
        )


def write_labels(
    path: Path,
    labels: NDArray[Any] | Rows,
    *,
    count: int | None = None,
    pixel_size_um: PixelSize | None,
    overwrite: bool,
) -> None:
    """Write a label image as TIFF, uint16 up to 65,535 objects and uint32 above, and read it back.

    Parameters
    ----------
    path : the file
    labels : whole numbers, shape (Y, X), 0 is background; an array, or rows, which are read from top to bottom twice,
        and a third time where `count` is not given
    count : the greatest label; looked for when not given
    pixel_size_um : micrometres per pixel, (y, x), or None
    overwrite : replace a file that exists

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, cannot be written, or does not read back as it was.

    Notes
    -----
    The file carries a colour table that ImageJ's own reader shows the labels in, which would else look black. It opens
    no tiled TIFF, so that only label images beyond 67 megapixels are tiled. In memory are 256 rows or 1 megapixel.
    """
    plane = _plane(labels, "labels")
    high = _greatest(plane) if count is None else count
    dtype = np.dtype(np.uint16 if high <= 0xFFFF else np.uint32)
    with atomic_file(path, overwrite=overwrite) as temporary:
        write_plane(
            temporary,
            plane,
            dtype,
            stored=lambda rows: _whole(rows).astype(dtype),
            pixel_size_um=pixel_size_um,
            colours=label_colours(),
            tiled=plane.shape[0] * plane.shape[1] > LARGEST_IN_STRIPS_PX,
        )
        _require_same(temporary, plane, path)


def write_label_stack(
    path: Path,
    planes: Sequence[Rows],
    *,
    count: int,
    pixel_size_um: PixelSize | None,
    z_step_um: float | None,
    overwrite: bool,
) -> None:
    """Write the label images of a volume as one TIFF, a page for each depth, and read it back; as `write_labels`.

    Parameters
    ----------
    planes : label images of one shape, from the first depth to the last
    count : the greatest label of all
    z_step_um : micrometres from one plane to the next, or None
    """
    dtype = np.dtype(np.uint16 if count <= 0xFFFF else np.uint32)
    pixels = planes[0].shape[0] * planes[0].shape[1]
    with atomic_file(path, overwrite=overwrite) as temporary:
        write_stack(
            temporary,
            planes,
            dtype,
            stored=lambda rows: _whole(rows).astype(dtype),
            voxel_size_um=(z_step_um, pixel_size_um),
            colours=label_colours(),
            tiled=pixels > LARGEST_IN_STRIPS_PX,
        )
        for index, plane in enumerate(planes):
            _require_same(temporary, plane, path, index)


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


def label_colours() -> NDArray[np.uint8]:
    """Give 256 colours for labels, shape (256, 3): black for the background, then bright ones, neighbours far apart.

    Each hue is the golden ratio of the circle further than the one before it, which spreads any number of them.
    """
    bright = [
        colorsys.hsv_to_rgb(i * _GOLDEN_RATIO % 1.0, (0.55, 0.85)[i % 2], (1.0, 0.8, 0.9)[i % 3]) for i in range(255)
    ]
    colours: NDArray[np.uint8] = np.rint(np.array([(0.0, 0.0, 0.0), *bright]) * 255).astype(np.uint8)
    return colours


def _plane(plane: NDArray[Any] | Rows, what: str) -> Rows:
    kind = getattr(plane, "dtype", "rows")
    if len(plane.shape) != 2 or 0 in plane.shape:
        raise ValueError(f"{what}: {kind} {plane.shape}, expected (Y, X) with pixels")
    return as_rows(plane)


def _as_bytes(mask: NDArray[Any]) -> NDArray[np.uint8]:
    if mask.dtype != np.bool_:
        raise ValueError(f"mask is {mask.dtype}, expected bool (Y, X)")
    return mask.view(np.uint8) * np.uint8(255)


def _whole(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype}, expected whole numbers (Y, X)")
    return labels


def _greatest(plane: Rows) -> int:
    """Give the greatest label, after checking that all are labels."""
    low = high = 0
    for top, bottom in strips(plane.shape):
        rows = _whole(plane.rows(top, bottom))
        low, high = min(low, int(rows.min())), max(high, int(rows.max()))
    if low < 0 or high > 0xFFFFFFFF:
        raise ValueError(f"labels are {low} to {high}, expected 0 to 4294967295")
    return high


def _require_same(written: Path, labels: Rows, path: Path, plane: int = 0) -> None:
    """Read a label image back, strip by strip: a label that wrapped or a lost tile must not go unseen."""
    rows = TILE * max(1, STRIP_PIXELS // (TILE * labels.shape[1]))  # whole rows of tiles
    memory = _READING_BYTES + 4 * rows * labels.shape[1] * np.dtype(np.uint32).itemsize  # each row is read only once
    with open_image(written, memory=memory) as source:
        for top, bottom in strips(labels.shape, strip_rows=rows):
            if not np.array_equal(
                source.read((top, 0, bottom, labels.shape[1]), plane=plane)[0], labels.rows(top, bottom)
            ):
                raise OutputError("the file does not read back as written", where=str(path), cure="check the disk")
