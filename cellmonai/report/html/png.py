"""Pictures of at most sixteen colours as PNG, after W3C "Portable Network Graphics", third edition (2025).

Pillow would do the same, but its import takes longer than ten such pictures.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _MOST_COLOURS = 4, 16
_INDEXED = 3  # colour type
_LEVEL, _MEMORY = 6, 9


def indexed_png(numbers: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Give a picture of few colours as a PNG file.

    Parameters
    ----------
    numbers : uint8, (h, w), rows of `colours`; h and w at least 1
    colours : uint8, (n, 3), RGB, at most sixteen

    Notes
    -----
    Run lengths alone are the quickest way to pack flat areas, and for these no larger than a full search.
    """
    height, width = numbers.shape
    if len(colours) > _MOST_COLOURS or not numbers.size:
        raise ValueError(f"picture is {numbers.shape} in {len(colours)} colours, expected (h, w) in at most 16")
    header = struct.pack(">IIBBBBB", width, height, _BITS, _INDEXED, 0, 0, 0)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, zlib.Z_RLE)
    packed = packer.compress(_two_in_a_byte(numbers).tobytes()) + packer.flush()
    chunks = ((b"IHDR", header), (b"PLTE", colours.tobytes()), (b"IDAT", packed), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _two_in_a_byte(numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the rows, each behind a byte that says that no filter was applied; the left pixel has the high bits."""
    height, width = numbers.shape
    rows = np.zeros((height, 1 + (width + 1) // 2), np.uint8)
    rows[:, 1:] = numbers[:, 0::2] << _BITS
    rows[:, 1 : 1 + width // 2] |= numbers[:, 1::2]
    return rows


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
