"""A region of one TIFF page, decoded from the tiles or strips that overlap it and no others."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.picture_size import coded_size
from cellmonai.images.tiff_strips import BAND_BYTES, DeflatedStrip, as_pixels, is_streamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffPage

    from cellmonai.images.segment_cache import SegmentCache
    from cellmonai.images.source import Region

_JPEG = {6, 7, 34892, 33007}
_PICTURES = _JPEG | {33004, 33005, 34712, 34933}  # JPEG 2000 and PNG too


class PageReader:
    """Regions of one page.

    Parameters
    ----------
    page : as tifffile parsed it
    file_size : in bytes; segments that end behind it are missing
    skip : pages of raw data to leap over, for ImageJ stacks with one directory
    """

    def __init__(self, page: TiffPage, path: Path, file_size: int, cache: SegmentCache, skip: int = 0) -> None:
        self.page, self.path, self.file_size, self.cache, self.skip = page, path, file_size, cache, skip
        self.dtype = np.dtype(page.dtype)
        self.planar = page.planarconfig == 2 and page.samplesperpixel > 1
        self.contiguous = 1 if self.planar else page.samplesperpixel
        length, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        if length < 1 or width < 1:
            raise self._missing("its tiles or strips have no pixels")
        self.segment_shape = (length, width)
        self.rows = -(-page.imagelength // length)
        self.columns = -(-page.imagewidth // width)
        row = page.imagewidth * self.contiguous * self.dtype.itemsize
        self.band_rows = max(1, BAND_BYTES // max(row, 1)) if is_streamed(page) else 0
        self._strips: dict[int, DeflatedStrip] = {}
        if skip and not self.is_raw:
            raise self._missing("its description declares more planes than it holds")

    @property
    def is_raw(self) -> bool:
        """Whether rows lie in the file as plain numbers, so that any of them can be read alone."""
        page = self.page
        plain = page.compression == 1 and page.predictor == 1 and page.fillorder == 1 and not page.is_tiled
        return plain and page.bitspersample in {8, 16, 32, 64} and self.dtype.kind in "uif"

    @property
    def smallest_read(self) -> int:
        """Bytes of the least that can be decoded: a row where raw, a band of a long strip, else a tile or strip."""
        rows = 1 if self.is_raw else self.band_rows or min(self.segment_shape[0], self.page.imagelength)
        return int(rows * self.segment_shape[1] * self.contiguous * self.dtype.itemsize)

    @property
    def peak_bytes(self) -> int:
        """Bytes in memory while the least is decoded: its stored form, and its pixels once or twice."""
        if self.is_raw or self.band_rows:
            return 2 * self.smallest_read
        return 2 * self.smallest_read + min(max(self.page.databytecounts, default=0), self.file_size)

    @property
    def encoded_bytes(self) -> int:
        """Bytes that the file holds of this page."""
        return min(sum(self.page.databytecounts), self.file_size)

    def require_complete(self) -> None:
        """Refuse a page with fewer tiles or strips than its size needs, or with some beyond the file's end."""
        page = self.page
        wanted = self.rows * self.columns * (page.samplesperpixel if self.planar else 1)
        counts = page.databytecounts if not self.is_raw else [0] * len(page.databytecounts)
        if len(page.dataoffsets) < wanted or len(page.databytecounts) < wanted:
            raise self._missing(f"its size needs {wanted} strips or tiles and it holds {len(page.dataoffsets)}")
        if any(o + n > self.file_size for o, n in zip(page.dataoffsets, counts, strict=False)):
            raise self._missing("it is cut short")
        if self.is_raw and self._raw_end() > self.file_size:
            raise self._missing("it is cut short")

    def _raw_end(self) -> int:
        page, row = self.page, self.page.imagewidth * self.contiguous * self.dtype.itemsize
        last = self.rows * (page.samplesperpixel if self.planar else 1) - 1
        rows = page.imagelength - (self.rows - 1) * self.segment_shape[0]
        return int(page.dataoffsets[last] + rows * row + self._skipped_rows * row)

    @property
    def _skipped_rows(self) -> int:
        """Rows of raw data between the page's own and those that are read."""
        return int(self.skip * self.page.imagelength * (self.page.samplesperpixel if self.planar else 1))

    def read(self, box: Region, samples: Sequence[int]) -> NDArray[Any]:
        """Give `samples` of a region as (samples, h, w) in native byte order."""
        row0, column0, row1, column1 = box
        out = np.zeros((len(samples), row1 - row0, column1 - column0), self.dtype)
        if self.page.nodata:
            out[:] = self.page.nodata
        groups = [[s] for s in samples] if self.planar else [list(samples)]
        done = 0
        for group in groups:
            target = out[done : done + len(group)]
            done += len(group)
            for top, left, segment in self._segments(box, group[0] if self.planar else 0):
                inside = [0] if self.planar else group
                self._paste(target, segment, inside, (top - row0, left - column0))
        return out

    def _paste(self, target: NDArray[Any], segment: NDArray[Any], samples: list[int], corner: tuple[int, int]) -> None:
        """Copy the overlap of a segment (l, w, s), whose first pixel lies at `corner` of the target, into it."""
        (top, left), (_, height, width) = corner, target.shape
        bottom = min(top + segment.shape[0], height)
        right = min(left + segment.shape[1], width)
        part = segment[max(-top, 0) : bottom - top, max(-left, 0) : right - left]
        target[:, max(top, 0) : bottom, max(left, 0) : right] = np.moveaxis(part[..., samples], -1, 0)

    def _segments(self, box: Region, sample: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
        row0, column0, row1, column1 = box
        length, width = self.segment_shape
        first = sample * self.rows * self.columns
        for i in range(row0 // length, -(-row1 // length)):
            if self.is_raw:
                top, bottom = max(i * length, row0), min((i + 1) * length, row1)
                yield top, 0, self._raw_rows(first + i, top - i * length, bottom - top)
                continue
            if self.band_rows:
                yield from self._bands(first + i, i * length, box)
                continue
            for j in range(column0 // width, -(-column1 // width)):
                segment = self._decoded(first + i * self.columns + j)
                if segment is not None:
                    yield i * length, j * width, self._whole(segment, i, j)

    def _whole(self, segment: NDArray[Any], i: int, j: int) -> NDArray[Any]:
        """Cut a segment at the page's edge, and refuse one that decoded to less than its share."""
        length, width = self.segment_shape
        rows, columns = min(length, self.page.imagelength - i * length), min(width, self.page.imagewidth - j * width)
        if segment.shape[0] < rows or segment.shape[1] < columns or segment.shape[2] != self.contiguous:
            raise self._missing(f"a tile or strip decodes to {segment.shape}")
        return segment[:rows, :columns]

    def _raw_rows(self, index: int, start: int, count: int) -> NDArray[Any]:
        dtype = self.dtype.newbyteorder(self.page.parent.byteorder)
        row = self.page.imagewidth * self.contiguous
        offset = self.page.dataoffsets[index] + (start + self._skipped_rows) * row * dtype.itemsize
        data = self._bytes(offset, count * row * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(count, self.page.imagewidth, self.contiguous)

    def _bands(self, index: int, top: int, box: Region) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Give the bands of a long strip, whose first row is `top`, that overlap the box."""
        rows, page = self.band_rows, self.page
        bottom = min(top + self.segment_shape[0], page.imagelength)
        for number in range(max(box[0] - top, 0) // rows, -(-(min(box[2], bottom) - top) // rows)):
            key, start = (page.offset, index, number), number * rows
            band = self.cache.get(key)
            if band is None:
                end = min(start + rows, bottom - top)
                if page.databytecounts[index] == 0:
                    continue
                band = as_pixels(self._strip(index).rows(start, end), page, end - start)
                self.cache.put(key, band)
            yield top + start, 0, band

    def _strip(self, index: int) -> DeflatedStrip:
        strip = self._strips.get(index)
        if strip is None:
            page, row = self.page, self.page.imagewidth * self.contiguous * self.dtype.itemsize
            if len(self._strips) >= max(8, page.samplesperpixel):
                self._strips.clear()
            top = index % self.rows * self.segment_shape[0]
            rows = min(self.segment_shape[0], page.imagelength - top)
            place = page.dataoffsets[index], page.databytecounts[index]
            strip = DeflatedStrip(self._bytes, *place, rows=rows, row_bytes=row)
            self._strips[index] = strip
        return strip

    def _decoded(self, index: int) -> NDArray[Any] | None:
        key = (self.page.offset, index)
        if (kept := self.cache.get(key)) is not None:
            return kept
        count = self.page.databytecounts[index]
        if count == 0:
            return None  # left out by the writer because it holds nothing
        self.cache.make_room(self.smallest_read)
        data = self._bytes(self.page.dataoffsets[index], count)
        more: dict[str, Any] = {}
        self._check_size(data)
        if self.page.compression in _JPEG:
            more = {"jpegtables": self.page.jpegtables, "jpegheader": self.page.jpegheader}
        decoded, _, _ = self.page.decode(data, index, **more)
        if decoded is None:
            return None
        segment: NDArray[Any] = np.asarray(decoded)[0]
        if segment.dtype != self.dtype:
            # fax decoders give bits as uint8
            casting: Literal["unsafe", "same_kind"] = "unsafe" if self.dtype.kind == "b" else "same_kind"
            segment = segment.astype(self.dtype, casting=casting)
        self.cache.put(key, segment)
        return segment

    def _check_size(self, data: bytes) -> None:
        """Refuse a tile that is a picture of its own and claims to be larger, before a decoder makes room for it."""
        size = coded_size(data) if self.page.compression in _PICTURES else None
        if size is not None and prod(size) > 4 * prod(self.segment_shape):
            raise self._missing(f"a tile of it claims {size[1]} x {size[0]} px")

    def _bytes(self, offset: int, count: int) -> bytes:
        if offset + count > self.file_size:
            raise self._missing("it is cut short")
        stream = self.page.parent.filehandle
        stream.seek(offset)
        data: bytes = stream.read(count)
        if len(data) != count:
            raise self._missing("it is cut short")
        return data

    def _missing(self, what: str) -> InputError:
        return InputError(f"the TIFF is damaged: {what}", where=str(self.path), cure="export the image again")
