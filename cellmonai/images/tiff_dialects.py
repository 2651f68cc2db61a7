"""What OME-TIFF, ImageJ and tifffile's JSON say about the pages of a TIFF."""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.axes import plane_names
from cellmonai.images.resolution import length_um
from cellmonai.images.tiff_frames import Frame, StoredFrames, TiffLayout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.images.ome import OmeImage

_SIDE_PICTURES = {"label", "macro", "thumbnail", "overview", "label image", "macro image"}


def ome_layout(images: Sequence[OmeImage], path: Path) -> TiffLayout:
    """Arrange the planes that OME-XML places in this file; series of one size follow each other.

    Raises
    ------
    InputError
        Images of different sizes or channels, or planes that are missing.
    """
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
        z_step_um=first.z_step_um,
    )


def imagej_layout(pages: list[int], description: str, path: Path) -> StoredFrames:
    """Read ImageJ's description: channels run fastest, then slices, then frames.

    Raises
    ------
    InputError
        More images declared than stored.
    """
    facts = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    count = _number(facts, "images")
    sizes = tuple(_number(facts, key) for key in ("frames", "slices", "channels"))
    lead = "TZC"
    if prod(sizes) != count:
        lead, sizes = "P", (count,)
    unit = facts.get("unit", "").strip()
    return StoredFrames(lead, sizes, _frames(pages, count, path), unit, length_um(facts.get("spacing"), unit))


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


def tifffile_json_layout(pages: list[int], description: str, path: Path) -> StoredFrames | None:
    """Read the axes that tifffile's writer notes, None where it notes none.

    Raises
    ------
    InputError
        More planes declared than stored.
    """
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
    return StoredFrames(lead, sizes, _frames(pages, prod(sizes), path)) if lead else None
