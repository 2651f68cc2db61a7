"""What OME-TIFF and ImageJ say about the pages of a TIFF."""

from __future__ import annotations

from itertools import permutations
from math import prod
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.axes import plane_names
from cellmonai.images.resolution import length_um
from cellmonai.images.tiff_frames import Frame, StoredFrames, TiffLayout, declared_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.images.ome import OmeImage
    from cellmonai.images.tiff_frames import FirstPage

_SIZES = ("channels", "slices", "frames")
_ORDERS = {"".join(order) for order in permutations("czt")}
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


def imagej_layout(pages: list[int], description: str, path: Path, first: FirstPage) -> StoredFrames:
    """Read ImageJ's description: by default channels run fastest, then slices, then frames.

    Where the number of images is missing or another one, the channels, slices and frames decide; where these do not
    make up the pages that are there, the pages are a plain stack, and a note says so.

    Raises
    ------
    InputError
        One page, and fewer planes behind it than the description declares.
    """
    facts = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    sizes = {letter: _number(facts, key) or 1 for letter, key in zip("CZT", _SIZES, strict=True)}
    declared = _number(facts, "images")
    if first.samples > 1 and sizes["C"] == first.samples:  # the colours of one page, counted as channels
        declared = declared // sizes["C"] if declared and declared == prod(sizes.values()) else declared
        sizes["C"] = 1
    lead, notes = _order(facts)
    wanted = prod(sizes.values())
    count, assumed = _held(pages, wanted, declared, first)
    if count != wanted:
        lead, sizes = "P", {"P": count}
    unit = _unit(facts)
    return StoredFrames(
        lead.replace("C", "P") if first.samples > 1 else lead,  # pictures in colour are no channels of each other
        tuple(sizes[letter] for letter in lead),
        declared_frames(pages, count, path, first),
        unit,
        length_um(facts.get("spacing"), unit),
        notes + assumed,
    )


def _held(pages: list[int], wanted: int, declared: int | None, first: FirstPage) -> tuple[int, tuple[str, ...]]:
    """Give how many planes are read, and a note where the description says otherwise or contradicts itself.

    Parameters
    ----------
    wanted : channels times slices times frames
    declared : the number of images as the description says it
    """
    contradicts = declared is not None and declared != wanted
    if len(pages) > 1:
        count = len(pages)
    elif contradicts and declared is not None:
        fitting = [n for n in (declared, wanted) if n <= first.planes_behind]
        count = max(fitting, default=1)
    elif declared is None and wanted > first.planes_behind:
        count = 1
    else:
        count = wanted
    says = declared if declared is not None else wanted
    if count == wanted and not contradicts:
        return count, ()
    if contradicts and wanted == 1 and declared == count:
        return count, ()  # a plain stack, of which ImageJ writes the number of images only
    if declared is None and wanted == 1:
        return count, ()
    return count, (f"its description tells of {says} images and of {wanted} planes, {count} were found and read",)


def _unit(facts: dict[str, str]) -> str:
    """Give the unit of both axes; ImageJ names that of y where it is another one, and then none is known."""
    unit = facts.get("unit", "").strip()
    return unit if facts.get("yunit", unit).strip() == unit else ""


def _order(facts: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """Give the axes, slowest first, from ImageJ's order, which names the fastest first: `czt`, also as `xyczt`."""
    text = facts.get("order", "czt").strip().lower()
    order = text.removesuffix("(default)").removeprefix("xy")
    if order in _ORDERS:
        return order[::-1].upper(), ()
    notes = () if order == "default" else (f"the order {text[:20]!r} in its description is unknown, czt was assumed",)
    return "TZC", notes


def _number(facts: dict[str, str], key: str) -> int | None:
    text = facts.get(key, "").strip()
    return int(text) if text.isdecimal() and len(text) < 12 and int(text) > 0 else None
