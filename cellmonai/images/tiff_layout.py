"""Which directory of a TIFF is which plane, channel or resolution, from what the file says of itself.

Seven dialects are known: OME-TIFF, ImageJ, tifffile's JSON, slide scans of Aperio (SVS), Hamamatsu (NDPI) and Akoya
(QPTIFF), and a plain file with one or many pages.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.axes import check_axes, plane_names
from cellmonai.images.ome import read_ome
from cellmonai.images.tiff_dialects import imagej_layout, ome_layout
from cellmonai.images.tiff_frames import Frame, StoredFrames, TiffLayout
from cellmonai.images.tiff_json import by_sample, tifffile_layout
from cellmonai.images.tiff_slides import aperio_layout, ndpi_layout, qptiff_layout
from cellmonai.images.tiff_structure import is_smaller_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cellmonai.images.tiff_frames import FirstPage
    from cellmonai.images.tiff_structure import Directory

_AKOYA = "PerkinElmer-QPI-ImageDescription"


def layout_of(
    directories: Sequence[Directory],
    description_of: Callable[[int], str],
    path: Path,
    *,
    first: FirstPage,
    axes: str | None,
    of_mask: bool = False,
) -> TiffLayout:
    """Read the layout of a TIFF from its directories and what they say of themselves.

    Parameters
    ----------
    description_of : gives the image description of a directory by its number
    first : what its first page says of itself
    axes : as the user named them, for the pages and the axes in front of them, or None to believe the file
    of_mask : whether it is read as a mask, which has no colours

    Raises
    ------
    InputError
        The file declares more planes than it holds, mixes pictures of different sizes, or `axes` do not fit.
    """
    description = description_of(0)
    images = read_ome(description, path, directories=len(directories))
    images = tuple(image for image in images if image.table)
    if description.startswith("Aperio"):
        return aperio_layout(directories, description)
    if directories[0].magnification is not None:
        return ndpi_layout(directories)
    if _AKOYA in description[:200]:
        return qptiff_layout(directories, description_of)
    pages, levels, notes = _same_size(directories, path, strict=not images)
    if images and axes is None:
        return ome_layout(images, path)
    stored = None
    if description.startswith(("ImageJ=", "SCIFIO=")):
        stored = imagej_layout(pages, description, path, first)
    elif first.is_array or description.startswith("{"):
        stored = tifffile_layout(pages, description, path, first, of_mask=of_mask)
    stored = stored or StoredFrames("P", (len(pages),), [Frame(i) for i in pages])
    if axes is not None:
        stored = _named(stored, axes.upper(), first, path)
    return _grid(stored, levels=levels, notes=notes)


def _named(stored: StoredFrames, axes: str, first: FirstPage, path: Path) -> StoredFrames:
    """Give the axes in front of the pages the letters that the user named."""
    page_axes = first.axes
    if first.is_array and axes.endswith("YX") and axes[-3:] not in {"SYX", "CYX"}:
        stored = stored if stored.frames[0].sample is not None else by_sample(stored, "P", first.samples)
    if stored.frames[0].sample is not None:
        page_axes = "YX"
    given = axes.replace("C", "S") if "S" in page_axes and axes.count("C") == 1 and "S" not in axes else axes
    if not given.endswith(page_axes):
        raise InputError(
            f"its pages are stored as {page_axes} and {axes!r} does not end so",
            where=str(path),
            cure=f"name the axes as --axes C{page_axes}, Z{page_axes} or {page_axes}",
        )
    letters = given.removesuffix(page_axes)
    long = tuple(n for n in stored.sizes if n > 1)
    if len(letters) <= 1:
        letters = letters or "P"
        sizes: tuple[int, ...] = (len(stored.frames),)
    elif len(letters) == len(long):
        sizes = long
    else:
        raise InputError(
            f"{axes!r} names {len(letters)} axes in front of the pages and the file tells of {len(long)}",
            where=str(path),
            cure="name one axis for all pages, or export the image as OME-TIFF",
        )
    check_axes(letters + "YX", len(letters) + 2, path)
    return StoredFrames(letters, sizes, stored.frames, stored.unit, stored.z_step_um, stored.notes)


def _same_size(
    directories: Sequence[Directory], path: Path, *, strict: bool
) -> tuple[list[int], tuple[int, ...], tuple[str, ...]]:
    """Sort directories into pages like the first, smaller copies, and side pictures, which are left out."""
    first, left_out = directories[0], 0
    pages, levels = [0], list[int]()
    for i, directory in enumerate(directories[1:], start=1):
        same = (directory.width, directory.height, directory.samples) == (first.width, first.height, first.samples)
        last = directories[levels[-1]] if levels else first
        if same and not directory.reduced:
            pages.append(i)
        elif is_smaller_copy(directory, last) and (directory.reduced or (first.tiled and directory.tiled)):
            levels.append(i)
        elif directory.reduced:
            left_out += 1
        elif strict:
            raise InputError(
                f"it holds pictures of different sizes ({first.width} x {first.height} and "
                f"{directory.width} x {directory.height} px)",
                where=str(path),
                cure="save each in a file of its own",
            )
    notes = (f"{left_out} side pictures (thumbnail, label or mask) left out",) if left_out else ()
    return pages, tuple(levels) if len(pages) == 1 else (), notes


def _grid(stored: StoredFrames, *, levels: tuple[int, ...] = (), notes: tuple[str, ...] = ()) -> TiffLayout:
    """Arrange stored frames as planes of channels."""
    lead, sizes = stored.lead, stored.sizes
    order = [i for i, letter in enumerate(lead) if letter != "C"]
    at = lead.find("C")
    channels, inner = (sizes[at], prod(sizes[at + 1 :])) if at >= 0 else (1, 1)
    planes = []
    for i in range(len(stored.frames) // channels):
        outer, rest = divmod(i, inner)
        planes.append(tuple(stored.frames[(outer * channels + c) * inner + rest] for c in range(channels)))
    return TiffLayout(
        lead,
        sizes,
        tuple(planes),
        plane_names("".join(lead[i] for i in order), [sizes[i] for i in order]),
        copies={stored.frames[0].directory: levels} if levels else {},
        unit=stored.unit,
        notes=(*stored.notes, *notes),
        z_step_um=stored.z_step_um,
        may_be_colours=stored.may_be_colours,
    )
