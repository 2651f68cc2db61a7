"""Which directory of a TIFF is which plane, channel or resolution, from what the file says of itself.

Five dialects are known: OME-TIFF, ImageJ, Aperio SVS, tifffile's JSON, and a plain file with one or many pages.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.axes import check_axes, plane_names
from cellmonai.images.ome import OmeImage, read_ome
from cellmonai.images.resolution import micrometres

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.units import PixelSize
    from cellmonai.images.tiff_structure import Directory

_SIDE_PICTURES = {"label", "macro", "thumbnail", "overview", "label image", "macro image"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One stored page: the number of its directory, and how many pages of raw data lie between that and it."""

    directory: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """Frames by plane and channel.

    Parameters
    ----------
    lead : axes before those of a page, as "TZC", slowest first
    sizes : their lengths
    planes : for each plane the frames of its channels
    names : of the planes
    page_levels : directories that are smaller copies of the only plane, where the file keeps them in its main chain
    unit : of the resolution tags where the description gives it (ImageJ), else None
    """

    lead: str
    sizes: tuple[int, ...]
    planes: tuple[tuple[Frame, ...], ...]
    names: tuple[str, ...]
    page_levels: tuple[int, ...] = ()
    channels: tuple[str, ...] = ()
    pixel_size_um: PixelSize | None = None
    unit: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stored:
    """Frames in the order of the file, which run through axes of known lengths, the last one fastest."""

    lead: str
    sizes: tuple[int, ...]
    frames: list[Frame]
    unit: str | None = None


def layout_of(
    directories: Sequence[Directory], description: str, path: Path, *, page_axes: str, axes: str | None
) -> TiffLayout:
    """Read the layout of a TIFF from its directories and the description of the first one.

    Parameters
    ----------
    page_axes : axes of one page: YX, YXS or SYX
    axes : as the user named them, for the pages and the axes in front of them, or None to believe the file

    Raises
    ------
    InputError
        The file declares more planes than it holds, mixes pictures of different sizes, or `axes` do not fit.
    """
    images = read_ome(description, path, directories=len(directories))
    images = tuple(image for image in images if image.table)
    if description.startswith("Aperio"):
        return _aperio(directories, description)
    pages, levels, notes = _same_size(directories, path, strict=not images)
    if images and axes is None:
        return _ome(images, path)
    stored = None
    if description.startswith("ImageJ="):
        stored = _imagej(pages, description, path)
    elif description.startswith("{"):
        stored = _tifffile_json(pages, description, path)
    stored = stored or _Stored("P", (len(pages),), [Frame(i) for i in pages])
    if axes is not None:
        stored = _named(stored, axes.upper(), page_axes, path)
    return _grid(stored, page_levels=levels, notes=notes)


def _named(stored: _Stored, axes: str, page_axes: str, path: Path) -> _Stored:
    """Give the axes in front of the pages the letters that the user named."""
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
        letters, sizes = letters or "P", (len(stored.frames),)
    elif len(letters) == len(long):
        sizes = long
    else:
        raise InputError(
            f"{axes!r} names {len(letters)} axes in front of the pages and the file tells of {len(long)}",
            where=str(path),
            cure="name one axis for all pages, or export the image as OME-TIFF",
        )
    check_axes(letters + "YX", len(letters) + 2, path)
    return _Stored(letters, sizes, stored.frames, stored.unit)


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


def is_smaller_copy(small: Directory, large: Directory) -> bool:
    """Tell whether `small` has the samples and the proportions of `large` at a lower resolution."""
    if small.samples != large.samples or not 0 < small.width < large.width or not 0 < small.height <= large.height:
        return False
    factor = large.width / small.width
    return factor >= 1.2 and abs(small.height - large.height / factor) <= 1.5


def _grid(stored: _Stored, *, page_levels: tuple[int, ...] = (), notes: tuple[str, ...] = ()) -> TiffLayout:
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
        page_levels=page_levels,
        unit=stored.unit,
        notes=notes,
    )


def _ome(images: Sequence[OmeImage], path: Path) -> TiffLayout:
    first = images[0]
    used = [image for image in images if image.name.strip().lower() not in _SIDE_PICTURES or image is first]
    if any(
        (i.sizes["X"], i.sizes["Y"], i.samples) != (first.sizes["X"], first.sizes["Y"], first.samples) for i in used
    ):
        raise InputError(
            f"it holds {len(used)} images of different sizes", where=str(path), cure="save each in a file of its own"
        )
    planes: list[tuple[Frame, ...]] = []
    names: list[str] = []
    for number, image in enumerate(used):
        times, depths, channels = (sorted({key[i] for key in image.table}) for i in range(3))
        if len(image.table) != len(times) * len(depths) * len(channels):
            raise InputError("some of its planes are missing", where=str(path), cure="export the image again")
        inner = plane_names("TZ", (len(times), len(depths)))
        series = f"s{number:0{len(str(len(used) - 1))}d}" if len(used) > 1 else ""
        names += ["_".join(part for part in (series, name) if part) for name in inner]
        planes += [tuple(Frame(image.table[(t, z, c)]) for c in channels) for t in times for z in depths]
    if len({len(plane) for plane in planes}) != 1:
        raise InputError("its images have different channels", where=str(path), cure="save each in a file of its own")
    channels = sorted({key[2] for key in first.table})
    labels = tuple(first.channels[c] if c < len(first.channels) else "" for c in channels)
    left_out = len(images) - len(used)
    return TiffLayout(
        lead="PTZC" if len(used) > 1 else "TZC",
        sizes=(*((len(used),) if len(used) > 1 else ()), len(times), len(depths), len(channels)),
        planes=tuple(planes),
        names=tuple(names),
        channels=labels if all(labels) else (),
        pixel_size_um=first.pixel_size_um,
        notes=(f"{left_out} side pictures (label, macro) left out",) if left_out else (),
    )


def _imagej(pages: list[int], description: str, path: Path) -> _Stored:
    facts = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    count = _number(facts, "images")
    sizes = tuple(_number(facts, key) for key in ("frames", "slices", "channels"))
    lead = "TZC"
    if prod(sizes) != count:
        lead, sizes = "P", (count,)
    return _Stored(lead, sizes, _frames(pages, count, path), facts.get("unit", "").strip())


def _number(facts: dict[str, str], key: str) -> int:
    text = facts.get(key, "1").strip()
    return int(text) if text.isdecimal() and len(text) < 12 and int(text) > 0 else 1


def _frames(pages: list[int], count: int, path: Path) -> list[Frame]:
    """Give the frames of `count` declared planes: one directory each, or all behind the only directory."""
    if count == len(pages):
        return [Frame(i) for i in pages]
    if count < len(pages) or len(pages) > 1 or count > 10**6:
        raise InputError(
            f"its description declares {count} planes and it holds {len(pages)}",
            where=str(path),
            cure="export the image again",
        )
    return [Frame(pages[0], skip) for skip in range(count)]


def _tifffile_json(pages: list[int], description: str, path: Path) -> _Stored | None:
    try:
        facts = json.loads(description)
    except (ValueError, RecursionError):
        return None
    shape = facts.get("shape") if isinstance(facts, dict) else None
    if not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape) or not 2 <= len(shape) <= 8:
        return None
    axes = str(facts.get("axes", ""))
    if len(axes) != len(shape) or not axes.endswith(("YX", "YXS", "SYX")):
        return None
    cut = min(axes.index("Y"), axes.find("S") % len(axes))
    lead = "".join(letter if letter in "CTZ" else "P" for letter in axes[:cut])
    sizes = tuple(shape[:cut])
    if len(set(lead)) != len(lead):
        lead, sizes = "P", (prod(sizes),)
    return _Stored(lead, sizes, _frames(pages, prod(sizes), path)) if lead else None


def _aperio(directories: Sequence[Directory], description: str) -> TiffLayout:
    levels: list[int] = []
    for i, directory in enumerate(directories[1:], start=1):
        last = directories[levels[-1]] if levels else directories[0]
        if directory.tiled and is_smaller_copy(directory, last):
            levels.append(i)
    match = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description)
    size = micrometres(float(match[1]), "um") if match and match[1].count(".") <= 1 else None
    left_out = len(directories) - 1 - len(levels)
    return TiffLayout(
        "P",
        (1,),
        ((Frame(0),),),
        ("",),
        page_levels=tuple(levels),
        pixel_size_um=(size, size) if size else None,
        notes=(f"{left_out} side pictures (thumbnail, label, macro) left out",) if left_out else (),
    )
