"""The size that a compressed picture claims to have, read before a decoder makes room for it."""

from __future__ import annotations

import struct


def coded_size(data: bytes) -> tuple[int, int] | None:
    """Read (height, width) from a JPEG, JPEG 2000 or PNG stream, None where it does not say."""
    if data.startswith(b"\xff\x4f\xff\x51") and len(data) >= 24:  # SIZ: the far corner, then the near one
        right, bottom, left, top = struct.unpack(">4I", data[8:24])
        return max(bottom - top, 0), max(right - left, 0)
    for box, wide in ((b"ihdr", False), (b"IHDR", True)):  # of JP2 and of PNG
        at = data.find(box, 0, 256)
        if at >= 0 and len(data) >= at + 12:
            first, second = struct.unpack(">2I", data[at + 4 : at + 12])
            return (second, first) if wide else (first, second)
    return jpeg_size(data)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read (height, width) from the frame header of a JPEG stream, None where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = struct.unpack(">BH", data[at + 1 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return height, width
        at += 2 + length
    return None
