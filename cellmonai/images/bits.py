"""Masks as packed bits in a file: each row begins with a byte of its own, so that any rows can be read alone."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def packed(mask: NDArray[np.bool_]) -> bytes:
    """Give a mask (h, w) as bits, rows one after the other, the leftmost pixel in the highest bit."""
    return np.packbits(mask, axis=1).tobytes()


def packed_bytes(shape: tuple[int, int]) -> int:
    """Give how many bytes the bits of a mask (h, w) take."""
    return shape[0] * -(-shape[1] // 8)


def read_bits(stream: IO[bytes], width: int, top: int, bottom: int) -> NDArray[np.bool_]:
    """Read rows top to bottom, half-open, from a file that holds the bits of one mask and nothing else.

    Returns
    -------
    bool, shape (bottom - top, width)

    Raises
    ------
    EOFError
        The file ends before that.
    """
    row = -(-width // 8)
    stream.seek(top * row)
    data = stream.read((bottom - top) * row)
    if len(data) != (bottom - top) * row:
        raise EOFError(f"{len(data)} bytes of a mask are there, expected {(bottom - top) * row}")
    rows = np.frombuffer(data, np.uint8).reshape(bottom - top, row)
    return np.unpackbits(rows, axis=1, count=width).view(np.bool_)
