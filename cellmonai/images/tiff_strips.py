"""Rows of a deflated strip that is too long to be decoded whole, from top to bottom.

Deflate can be stopped anywhere and continued, so that a strip as high as the image costs one pass and little memory;
LZW, PackBits, Zstandard, LZMA and JPEG are decoded a strip at a time by the library that is used.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from tifffile import TiffPage

LONG_STRIP = 8 * 2**20
"""Decoded bytes above which a strip is read in bands."""

BAND_BYTES = 2**20

_DEFLATE = {8, 32946}
_HORIZONTAL, _FLOATING_POINT = 2, 3
_PIECE = 2**18


def is_streamed(page: TiffPage) -> bool:
    """Tell whether the strips of a page are long, deflated, and of whole bytes."""
    if page.is_tiled or page.compression not in _DEFLATE or page.fillorder != 1:
        return False
    if page.bitspersample not in {8, 16, 32, 64} or page.predictor not in {1, _HORIZONTAL, _FLOATING_POINT}:
        return False
    if page.dtype is None or np.dtype(page.dtype).kind not in "uif":
        return False
    samples = 1 if page.planarconfig == 2 else page.samplesperpixel
    rows = min(page.rowsperstrip, page.imagelength)
    return bool(rows * page.imagewidth * samples * page.bitspersample // 8 > LONG_STRIP)


class DeflatedStrip:
    """One strip, whose rows are given in any order, most cheaply from top to bottom.

    Parameters
    ----------
    read : gives bytes of the file from an offset on, as many as asked for
    offset, count : where the strip lies
    rows, row_bytes : how many there are, and the bytes of one when decoded
    """

    def __init__(
        self, read: Callable[[int, int], bytes], offset: int, count: int, *, rows: int, row_bytes: int
    ) -> None:
        self._read, self._rows, self._row_bytes = read, rows, row_bytes
        self._offset, self._end = offset, offset + count
        self._start()

    def _start(self) -> None:
        self._inflate, self._at, self._row = zlib.decompressobj(), self._offset, 0

    def rows(self, top: int, bottom: int) -> bytes:
        """Give rows top to bottom, half-open.

        Raises
        ------
        ValueError
            The strip ends before.
        zlib.error
            It is damaged; a checksum that is wrong shows with the last row.
        """
        if top < self._row:
            self._start()
        step = max(1, BAND_BYTES // self._row_bytes)
        while self._row < top:
            self._take(min(step, top - self._row))
        return self._take(bottom - top)

    def _take(self, rows: int) -> bytes:
        parts, left = [], rows * self._row_bytes
        while left:
            data = self._inflate.unconsumed_tail
            if not data:
                size = min(_PIECE, self._end - self._at)
                data = self._read(self._at, size) if size else b""
                self._at += size
            part = self._inflate.decompress(data, left)
            if not part and (not data or self._inflate.eof):
                raise ValueError("a strip ends before its last row")
            parts.append(part)
            left -= len(part)
        self._row += rows
        if self._row == self._rows:
            self._check_sum()
        return b"".join(parts)

    def _check_sum(self) -> None:
        """Let the decoder reach the checksum behind the last row; what some writers put between them is passed over."""
        data = self._inflate.unconsumed_tail or self._read(self._at, min(_PIECE, self._end - self._at))
        self._inflate.decompress(data, _PIECE)


def as_pixels(data: bytes, page: TiffPage, rows: int) -> NDArray[Any]:
    """Turn inflated rows into (rows, width, samples) in native byte order, with the predictor undone."""
    from tifffile import TIFF

    stored = np.dtype(page.dtype)
    if page.predictor != _FLOATING_POINT:
        stored = stored.newbyteorder(page.parent.byteorder)
    samples = 1 if page.planarconfig == 2 else page.samplesperpixel
    pixels = np.frombuffer(data, stored).reshape(rows, page.imagewidth, samples)
    pixels = pixels.astype(stored.newbyteorder("="))
    return pixels if page.predictor == 1 else np.asarray(TIFF.UNPREDICTORS[page.predictor](pixels, axis=-2))
