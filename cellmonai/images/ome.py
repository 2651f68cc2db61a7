"""OME-XML read by ourselves: which directory of the file is which plane, channel names, pixel size.

Files that the XML names are never opened, and a document type definition, with which XML can be made to explode or
to read other files, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.resolution import both, micrometres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from cellmonai.core.units import PixelSize

MAX_XML_BYTES = 16 * 2**20
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of an OME-XML block.

    Parameters
    ----------
    name : as given, may be empty
    sizes : Z, T, C (samples of one channel counted once), Y, X
    samples : samples per pixel of its directories (3 for colour)
    channels : names, "" where a channel has none
    pixel_size_um : (y, x) or None
    table : (t, z, c) to the number of the directory that holds the plane, for planes in this file
    z_step_um : from one depth to the next, or None
    """

    name: str
    sizes: dict[str, int]
    samples: int
    channels: tuple[str, ...]
    pixel_size_um: PixelSize | None
    table: dict[tuple[int, int, int], int]
    z_step_um: float | None = None


def read_ome(text: str, path: Path, *, directories: int) -> tuple[OmeImage, ...]:
    """Read the images of an OME-XML block; none where the text is not OME-XML or refers to a companion file.

    Parameters
    ----------
    text : the file's image description
    path : for messages, and to tell planes of this file from planes of its siblings
    directories : how many IFDs the file really has

    Raises
    ------
    InputError
        A document type definition, more than 16 MiB, damaged XML, or more planes than directories.
    """
    start = text.lstrip("\ufeff \t\r\n")
    if not start.startswith("<"):
        return ()
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _refused("the XML in it has a document type definition, which is not allowed", path)
    if "<OME" not in start and ":OME" not in start:
        return ()
    if len(text) > MAX_XML_BYTES:
        raise _refused("the OME-XML in it is larger than 16 MiB", path)
    root = _parsed(start, path)
    if not _is(root, "OME"):
        return ()
    return tuple(_image(image, root.get("UUID", ""), path, directories) for image in _children(root, "Image"))


def _parsed(text: str, path: Path) -> Element:
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except Exception as error:  # parser errors and defusedxml's refusals share no base class
        raise _refused(f"the OME-XML in it cannot be parsed ({type(error).__name__})", path) from error
    if _deeper_than(root, MAX_DEPTH):
        raise _refused(f"the OME-XML in it is nested deeper than {MAX_DEPTH}", path)
    return root


def _deeper_than(root: Element, depth: int) -> bool:
    row = [root]
    for _ in range(depth):
        row = [child for element in row for child in element]
    return bool(row)


def _image(image: Element, own_uuid: str, path: Path, directories: int) -> OmeImage:
    pixels = next(_children(image, "Pixels"), None)
    if pixels is None:
        raise _refused("an image of its OME-XML has no Pixels", path)
    sizes = {axis: _whole(pixels, f"Size{axis}", path) for axis in "XYZCT"}
    channels = list(_children(pixels, "Channel"))
    samples = _whole(channels[0], "SamplesPerPixel", path, 1) if channels else 1
    if any(_whole(channel, "SamplesPerPixel", path, 1) != samples for channel in channels) or sizes["C"] % samples:
        raise _refused("its OME-XML mixes colour and grey channels", path)
    sizes["C"] //= samples
    return OmeImage(
        name=image.get("Name", ""),
        sizes=sizes,
        samples=samples,
        channels=tuple(channel.get("Name") or "" for channel in channels),
        pixel_size_um=both(_physical(pixels, "Y"), _physical(pixels, "X")),
        table=_table(pixels, sizes, own_uuid, path, directories),
        z_step_um=_physical(pixels, "Z"),
    )


def _table(
    pixels: Element, sizes: dict[str, int], own_uuid: str, path: Path, directories: int
) -> dict[tuple[int, int, int], int]:
    order = pixels.get("DimensionOrder", "XYCZT")
    if sorted(order) != sorted("XYCZT") or order[:2] != "XY":
        raise _refused(f"its OME-XML has the unknown dimension order {order[:10]!r}", path)
    total = sizes["Z"] * sizes["C"] * sizes["T"]
    blocks = list(_children(pixels, "TiffData"))
    here = [block for block in blocks if _is_here(block, own_uuid, path)]
    if blocks and not here and len({_file_name(block) for block in blocks}) == 1:
        here = blocks  # all in one file, which was renamed since
    if blocks and not here:
        return {}
    if len(here) == len(blocks) and total > directories:
        raise _refused(f"its OME-XML declares {total} planes and it holds {directories}", path)
    table: dict[tuple[int, int, int], int] = {}
    for block in here or [pixels.makeelement("TiffData", {})]:
        table |= _block(block, order[2:], sizes, path, directories, total)
    return table


def _block(
    block: Element, order: str, sizes: dict[str, int], path: Path, directories: int, total: int
) -> dict[tuple[int, int, int], int]:
    first = {axis: _whole(block, f"First{axis}", path, 0) for axis in order}
    ifd = _whole(block, "IFD", path, 0)
    count = _whole(block, "PlaneCount", path, 1 if block.get("IFD") is not None else total)
    fast, middle, slow = tuple(order)
    start = first[fast] + sizes[fast] * (first[middle] + sizes[middle] * first[slow])
    if start + count > total or ifd + count > directories:
        raise _refused(f"its OME-XML places planes beyond the {directories} that it holds", path)
    table = {}
    for i in range(count):
        rest, index = divmod(start + i, sizes[fast])
        at = {fast: index, middle: rest % sizes[middle], slow: rest // sizes[middle]}
        table[(at["T"], at["Z"], at["C"])] = ifd + i
    return table


def _is_here(block: Element, own_uuid: str, path: Path) -> bool:
    uuid = next(_children(block, "UUID"), None)
    if uuid is None:
        return True
    same_id = bool(own_uuid) and (uuid.text or "").strip() == own_uuid.strip()
    return same_id or _file_name(block) in {None, path.name}


def _file_name(block: Element) -> str | None:
    uuid = next(_children(block, "UUID"), None)
    return None if uuid is None else uuid.get("FileName")


def _physical(pixels: Element, axis: str) -> float | None:
    try:
        value = float(pixels.get(f"PhysicalSize{axis}", "nan"))
    except ValueError:
        return None
    return micrometres(value, pixels.get(f"PhysicalSize{axis}Unit", "um"))


def _whole(element: Element, name: str, path: Path, default: int | None = None) -> int:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        value = int(text or "")
    except ValueError:
        value = -1
    if value < (1 if name.startswith(("Size", "Samples", "PlaneCount")) else 0):
        raise _refused(f"its OME-XML says {name}={(text or '')[:20]!r}", path)
    return value


def _is(element: Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _is(child, name))


def _refused(what: str, path: Path) -> InputError:
    return InputError(what, where=str(path), cure="export the image again as OME-TIFF, one file per image")
