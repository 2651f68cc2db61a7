"""Slide scans: which directories of a TIFF of Aperio, Hamamatsu or Akoya are the picture and its smaller copies."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from cellmonai.images.axes import plane_names
from cellmonai.images.resolution import micrometres
from cellmonai.images.tiff_frames import Frame, TiffLayout
from cellmonai.images.tiff_structure import is_smaller_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cellmonai.images.tiff_structure import Directory


def aperio_layout(directories: Sequence[Directory], description: str) -> TiffLayout:
    """Arrange a slide scan: the first page, its tiled smaller copies, and neither label nor macro picture."""
    levels: list[int] = []
    for i, directory in enumerate(directories[1:], start=1):
        last = directories[levels[-1]] if levels else directories[0]
        if directory.tiled and is_smaller_copy(directory, last):
            levels.append(i)
    match = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description)
    size = micrometres(float(match[1]), "um") if match and match[1].count(".") <= 1 else None
    return TiffLayout(
        "P",
        (1,),
        ((Frame(0),),),
        ("",),
        copies={0: tuple(levels)} if levels else {},
        pixel_size_um=(size, size) if size else None,
        notes=_left_out(len(directories) - 1 - len(levels)),
    )


def ndpi_layout(directories: Sequence[Directory]) -> TiffLayout:
    """Arrange an NDPI scan: pages have a magnification, below 0 for the macro picture and the map of the slide.

    Depths, where there are several, are pages of the same size at other distances from the slide's middle.
    """
    scans = [i for i, directory in enumerate(directories) if (directory.magnification or 1) > 0]
    first = directories[scans[0]]
    full = [i for i in scans if _size(directories[i]) == _size(first)]
    copies: dict[int, tuple[int, ...]] = {}
    for page in full:
        levels = [page]
        for i in scans:
            if directories[i].depth == directories[page].depth and is_smaller_copy(
                directories[i], directories[levels[-1]]
            ):
                levels.append(i)
        copies[page] = tuple(levels[1:])
    used = len(full) + sum(map(len, copies.values()))
    return TiffLayout(
        "Z",
        (len(full),),
        tuple((Frame(i),) for i in full),
        plane_names("Z", (len(full),)),
        copies=copies,
        notes=_left_out(len(directories) - used),
    )


def qptiff_layout(directories: Sequence[Directory], description_of: Callable[[int], str]) -> TiffLayout:
    """Arrange a QPTIFF scan: one page per channel, a thumbnail, as many pages per smaller copy, a macro picture."""
    first = directories[0]
    count = 1
    while count < len(directories) and _size(directories[count]) == _size(first):
        count += 1
    rows: list[range] = []
    at, last = count, first
    while at + count <= len(directories):
        group = range(at, at + count)
        same = all(_size(directories[i]) == _size(directories[at]) for i in group)
        if same and directories[at].tiled and is_smaller_copy(directories[at], last):
            rows.append(group)
            last, at = directories[at], at + count
        else:
            at += 1
    names = tuple(_channel_name(description_of(i)) for i in range(count)) if count > 1 else ()
    return TiffLayout(
        "C",
        (count,),
        (tuple(Frame(i) for i in range(count)),),
        ("",),
        copies={i: tuple(row[i] for row in rows) for i in range(count)} if rows else {},
        channels=names if all(names) else (),
        notes=_left_out(len(directories) - count * (1 + len(rows))),
    )


def _size(directory: Directory) -> tuple[int, int, int]:
    return directory.width, directory.height, directory.samples


def _channel_name(description: str) -> str:
    """Give the biomarker or the name of the dye that the XML of a page tells; the rest of it is not looked at."""
    match = re.search(r"<Biomarker>([^<]+)</Biomarker>", description) or re.search(r"<Name>([^<]+)</Name>", description)
    return html.unescape(match[1]).strip() if match else ""


def _left_out(count: int) -> tuple[str, ...]:
    return (f"{count} side pictures (thumbnail, label, macro) left out",) if count else ()
