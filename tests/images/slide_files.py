"""Small slide scans as the scanners' software lays them out: NDPI and QPTIFF, of which no small real file was found."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tifffile import TiffWriter

if TYPE_CHECKING:
    from pathlib import Path

TILE_WIDTH = 64
"""Pixels between two restart markers of a JPEG, which is what an NDPI tile is; it is one block, 8 px, high."""


def write_ndpi(path: Path, pages: list[dict[str, Any]]) -> None:
    """Write pages {"pixels": uint8 (Y, X, 3), "lens": float, "depth": int} as Hamamatsu does.

    A classic TIFF whose offsets from directory to directory have 64 bits; each page is one JPEG, whose restart markers
    are listed in tag 65426; behind the offset to the next directory lie the upper halves of all values.
    """
    data = bytearray(b"II*\0" + bytes(8))
    link = 4  # where the offset to the next directory is to be written
    for page in pages:
        jpeg, starts = _jpeg(page["pixels"])
        at = len(data)
        data += jpeg
        table = len(data)
        data += np.asarray(starts, "<u4").tobytes()
        tags = _ndpi_tags(page, at, len(jpeg), table, len(starts))
        directory = len(data) + len(data) % 2
        data += bytes(directory - len(data))
        struct.pack_into("<Q", data, link, directory)
        data += struct.pack("<H", len(tags)) + b"".join(tags)
        link = len(data)
        data += bytes(8 + 4 * len(tags))
    path.write_bytes(data)


def _ndpi_tags(page: dict[str, Any], at: int, count: int, table: int, starts: int) -> list[bytes]:
    height, width = page["pixels"].shape[:2]
    numbers = {
        256: width,
        257: height,
        259: 7,
        262: 6,
        273: at,
        277: 3,
        278: height,
        279: count,
        284: 1,
        296: 3,
        65420: 1,
    }
    tags = {code: struct.pack("<HHII", code, 4, 1, value) for code, value in numbers.items()}
    tags[258] = struct.pack("<HHIHH", 258, 3, 1, 8, 0)
    tags[271] = struct.pack("<HHI4s", 271, 2, 4, b"Ham\0")
    tags[65421] = struct.pack("<HHIf", 65421, 11, 1, page["lens"])
    tags[65424] = struct.pack("<HHIi", 65424, 9, 1, page.get("depth", 0))
    if page["lens"] > 0:
        tags[65426] = struct.pack("<HHII", 65426, 4, starts, table)
    return [tags[code] for code in sorted(tags)]


def _jpeg(pixels: np.ndarray) -> tuple[bytes, list[int]]:
    """Encode with a restart marker every `TILE_WIDTH` px; give the JPEG and where the data of each piece start."""
    stream = io.BytesIO()
    options = {"quality": 95, "subsampling": 0, "restart_marker_blocks": TILE_WIDTH // 8}
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    jpeg = stream.getvalue()
    scan = jpeg.index(b"\xff\xda")
    start = scan + 2 + struct.unpack(">H", jpeg[scan + 2 : scan + 4])[0]
    markers = [i + 2 for i in range(start, len(jpeg) - 1) if jpeg[i] == 0xFF and 0xD0 <= jpeg[i + 1] <= 0xD7]
    return jpeg, [start, *markers]


def write_qptiff(path: Path, levels: list[np.ndarray], names: list[str]) -> None:
    """Write levels (C, Y, X), full size first, as Akoya does: channel by channel, with two side pictures."""
    kinds = ["FullResolution", *["ReducedResolution"] * (len(levels) - 1)]
    rgb = np.zeros((20, 30, 3), np.uint8)
    with TiffWriter(path, bigtiff=True) as writer:
        for number, (level, kind) in enumerate(zip(levels, kinds, strict=True)):
            for plane, name in zip(level, names, strict=True):
                writer.write(
                    plane,
                    tile=(16, 16),
                    compression="lzw",
                    photometric="minisblack",
                    description=_akoya(kind, name),
                    metadata=None,
                    subfiletype=0 if number == 0 else 1,
                    resolution=(1e4 / 0.5, 1e4 / 0.5),
                    resolutionunit="CENTIMETER",
                )
            if number == 0:
                writer.write(rgb, photometric="rgb", description=_akoya("Thumbnail", ""), metadata=None)
        writer.write(rgb[:10, :10], photometric="rgb", description=_akoya("Overview", ""), metadata=None)


def _akoya(kind: str, name: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-16"?><PerkinElmer-QPI-ImageDescription><DescriptionVersion>2'
        f"</DescriptionVersion><ImageType>{kind}</ImageType><Name>{name}</Name></PerkinElmer-QPI-ImageDescription>"
    )
