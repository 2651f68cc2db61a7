"""TIFF, BigTIFF, OME-TIFF, ImageJ TIFF, SVS, NDPI and QPTIFF through tifffile's page parser and decoders.

tifffile's own series are not used: they open files that the header names, and let XML be parsed without limits.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.guard import reading
from cellmonai.images.resolution import both, from_resolution, micrometres
from cellmonai.images.segment_cache import KEPT_BYTES, SegmentCache
from cellmonai.images.source import ImageFacts, ImageSource, Looks, Region, default_names
from cellmonai.images.tiff_colour import LUT_PHOTOMETRICS, Colour, colour_of, one_sample
from cellmonai.images.tiff_frames import FirstPage
from cellmonai.images.tiff_layout import layout_of
from cellmonai.images.tiff_segments import PageReader
from cellmonai.images.tiff_structure import directories_of, is_smaller_copy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

    from cellmonai.core.units import PixelSize
    from cellmonai.images.budget import Budget
    from cellmonai.images.tiff_frames import Frame, TiffLayout
    from cellmonai.images.tiff_structure import Directory

_FLAGS = ("ome", "lsm", "scanimage", "eer", "philips", "vista", "indica", "stk")

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs is said here as an error, or harmless


def open_tiff(path: Path, budget: Budget, *, axes: str | None, as_index: bool = False) -> ImageSource:
    """Open a TIFF; palette pictures become RGB, or stay indices with `as_index`, which masks need."""
    from tifffile import TiffFile

    with reading(path, "the TIFF header"):
        hamamatsu = path.name.lower().endswith(".ndpi")  # nothing in the file's first bytes tells its wide offsets
        directories = directories_of(path, hamamatsu=hamamatsu)
        flags: dict[str, Any] = {f"is_{flag}": False for flag in _FLAGS} | {"is_ndpi": hamamatsu}
        tif = TiffFile(path, **flags)
    try:
        with reading(path, "the TIFF header"):
            return _opened(tif, directories, path, budget, axes=axes, as_index=as_index)
    except BaseException:
        tif.close()
        raise


def _opened(
    tif: TiffFile, directories: Sequence[Directory], path: Path, budget: Budget, *, axes: str | None, as_index: bool
) -> ImageSource:
    page = tif.pages.first
    _check_page(page, path)
    first = _first_page(page, path)
    layout = layout_of(directories, partial(_description, tif), path, first=first, axes=axes, of_mask=as_index)
    if layout.by_sample:
        colour = one_sample(page)
    else:
        imagej = int(page.photometric) in LUT_PHOTOMETRICS and _is_imagej(tif)
        colour = colour_of(page, path, as_index=as_index, imagej=imagej)
    names = _channel_names(layout, colour)
    levels, children = _levels(page, layout, directories)
    facts = ImageFacts(
        stored_axes=_stored_axes(layout, page),
        shape=(len(names), page.imagelength, page.imagewidth),
        channels=names,
        dtype=colour.dtype,
        pixel_size_um=layout.pixel_size_um or _tag_pixel_size(page, layout.unit),
        levels=levels,
        planes=layout.names,
        notes=layout.notes + colour.notes,
        z_step_um=layout.z_step_um,
        looks=Looks(
            _orientation(page), colour.entries, has_alpha=colour.has_alpha, may_be_colours=layout.may_be_colours
        ),
    )
    return TiffSource(path, facts, budget, tif, layout, colour, children)


def _orientation(page: TiffPage) -> int:
    tag = page.tags.valueof(274, 1)
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _first_page(page: TiffPage, path: Path) -> FirstPage:
    axes, shape, behind = str(page.axes), tuple(page.shape), 1
    is_plain = page.compression == 1 and page.predictor == 1 and not page.is_tiled and page.dataoffsets
    if is_plain and page.bitspersample in {8, 16, 32, 64}:
        behind = (path.stat().st_size - page.dataoffsets[0]) // (prod(shape) * np.dtype(page.dtype).itemsize)
    is_array = axes == "SYX" and str(page.software).startswith("tifffile") and page.samplesperpixel in {3, 4}
    return FirstPage(axes, shape, max(1, behind), is_array)


def _is_imagej(tif: TiffFile) -> bool:
    """Whether a page says that ImageJ wrote it; its stacks say it in the first, joined files in any."""
    return any(_description(tif, number).startswith("ImageJ=") for number in range(len(tif.pages)))


def _description(tif: TiffFile, number: int) -> str:
    page: Any = tif.pages[number]
    return str(page.description or "")


def _channel_names(layout: TiffLayout, colour: Colour) -> tuple[str, ...]:
    count = len(layout.planes[0]) * len(colour.names)
    if len(layout.channels) == count:
        return layout.channels
    return colour.names if len(layout.planes[0]) == 1 else default_names(count)


def _check_page(page: TiffPage, path: Path) -> None:
    if page.imagelength == 0 or page.imagewidth == 0 or page.samplesperpixel == 0:
        raise InputError("the image has no pixels", where=str(path), cure="export it again")
    if page.dtype is None:
        raise InputError(
            f"the image holds {page.bitspersample}-bit values of an unknown kind",
            where=str(path),
            cure="save it as 8 or 16 bit integers or 32 bit floats",
        )
    if page.imagedepth > 1:
        raise InputError("the image is a volume in one page", where=str(path), cure="save it as a stack of pages")


def _stored_axes(layout: TiffLayout, page: TiffPage) -> str:
    lead = "".join(letter for letter, n in zip(layout.lead, layout.sizes, strict=True) if n > 1)
    return lead + ("YX" if layout.by_sample else str(page.axes))


def _levels(
    page: TiffPage, layout: TiffLayout, directories: Sequence[Directory]
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Give the sizes of all resolutions, and how many of them are sub-directories of each page."""
    sizes = [(page.imagelength, page.imagewidth)]
    used = {frame.directory for plane in layout.planes for frame in plane}
    if layout.copies:
        ladders = [[(directories[i].height, directories[i].width) for i in layout.copies.get(p, ())] for p in used]
        alike = all(ladder == ladders[0] for ladder in ladders)
        return tuple(sizes + (ladders[0] if alike else [])), 0
    larger = first = directories[layout.planes[0][0].directory]
    for child in first.children:
        if not is_smaller_copy(child, larger):
            break
        sizes.append((child.height, child.width))
        larger = child
    if any([(c.height, c.width) for c in directories[i].children[: len(sizes) - 1]] != sizes[1:] for i in used):
        sizes = sizes[:1]
    return tuple(sizes), len(sizes) - 1


def _tag_pixel_size(page: TiffPage, unit: str | None) -> PixelSize | None:
    x, y = (_units_per_pixel(page.tags.valueof(code)) for code in (282, 283))
    if x is None or y is None:
        return None
    if unit is not None:  # ImageJ names the unit in its description
        return both(micrometres(y, unit), micrometres(x, unit))
    name = {2: "inch", 3: "cm"}.get(int(page.tags.valueof(296, 2) or 0))
    return from_resolution(y, x, name) if name else None


def _units_per_pixel(value: object) -> float | None:
    """Turn pixels per unit, stored as a fraction, round."""
    top, bottom = value if isinstance(value, tuple) and len(value) == 2 else (value, 1)
    if not isinstance(top, int | float) or not isinstance(bottom, int | float) or top <= 0 or bottom <= 0:
        return None
    return float(bottom) / float(top)


class TiffSource(ImageSource):
    """An open TIFF; safe to read from several threads."""

    def __init__(
        self,
        path: Path,
        facts: ImageFacts,
        budget: Budget,
        tif: TiffFile,
        layout: TiffLayout,
        colour: Colour,
        children: int,
    ) -> None:
        super().__init__(path, facts, budget)
        self._tif, self._layout, self._colour, self._children = tif, layout, colour, children
        self._size = path.stat().st_size
        self._cache = SegmentCache(min(budget.amount // 4, KEPT_BYTES))
        self._readers: dict[tuple[int, int, int], PageReader] = {}
        self._lock = threading.RLock()
        first = self._reader(layout.planes[0][0], 0)
        decoded = facts.shape[1] * facts.shape[2] * first.page.samplesperpixel * first.dtype.itemsize
        budget.require_ratio(decoded, first.encoded_bytes, where=path)
        if layout.planes[-1][-1].skip:
            self._reader(layout.planes[-1][-1], 0)

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of a tile or strip."""
        reader = self._reader(self._layout.planes[0][0], level)
        rows = 1 if reader.is_raw else reader.band_rows or reader.segment_shape[0]
        return min(rows, self.levels[level][0]), reader.segment_shape[1]

    def keep_rows_only(self) -> None:
        """Keep the tiles of two rows of tiles, which rows that run on from top to bottom share."""
        first = self._reader(self._layout.planes[0][0], 0)
        row_of_tiles = first.smallest_read * first.columns
        self._cache.limit = min(self._cache.limit, 2 * row_of_tiles * self.shape[0])

    def close(self) -> None:
        """Close the file."""
        self._tif.close()

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        frames, colour = self._layout.planes[plane], self._colour
        out = np.empty((len(channels), box[2] - box[0], box[3] - box[1]), self.dtype)
        per_frame = len(colour.kept)
        with self._lock:
            for number in sorted({channel // per_frame for channel in channels}):
                places = [i for i, channel in enumerate(channels) if channel // per_frame == number]
                samples = [colour.kept[channels[i] % per_frame] + (frames[number].sample or 0) for i in places]
                out[places] = self._samples(self._reader(frames[number], level), box, samples)
        return out

    def _samples(self, reader: PageReader, box: Region, samples: list[int]) -> NDArray[Any]:
        colour = self._colour
        if colour.palette is not None:
            index = reader.read(box, [0])[0].astype(np.intp)
            return colour.palette[samples][:, index]
        array = reader.read(box, samples)
        if colour.white is None:
            return array.astype(self.dtype, copy=False)  # bits become numbers where they are indices
        return ~array if array.dtype.kind == "b" else (array.dtype.type(colour.white) - array)

    def _reader(self, frame: Frame, level: int) -> PageReader:
        key = (frame.directory, frame.skip, level)
        reader = self._readers.get(key)
        if reader is None:
            page = self._page(frame, level)
            self._check_like_first(page, level)
            reader = PageReader(page, self.path, self._size, self._cache, frame.skip)
            reader.require_complete()
            self.budget.require(reader.peak_bytes, "one tile or strip of it", where=self.path)
            self._keep_whole_strips(reader)
            if len(self._readers) > 256:
                self._readers.clear()
            self._readers[key] = reader
        return reader

    def _keep_whole_strips(self, reader: PageReader) -> None:
        """Keep strips as large as the image, of each channel where they fit, so that each is decoded only once."""
        beside = reader.smallest_read * self.shape[0]
        wanted = beside if 2 * beside <= self.budget.amount else reader.smallest_read
        self._cache.limit = max(self._cache.limit, wanted)

    def _page(self, frame: Frame, level: int) -> TiffPage:
        pages: Any = self._tif.pages  # indexing gives frames only where they were asked for
        if level and not self._children:
            page: TiffPage = pages[self._layout.copies[frame.directory][level - 1]]
        else:
            page = pages[frame.directory].pages[level - 1] if level else pages[frame.directory]
        return page

    def _check_like_first(self, page: TiffPage, level: int) -> None:
        first = self._tif.pages.first
        facts = [
            (p.dtype, p.samplesperpixel, self._colour.meaning_of(p), p.planarconfig, p.bitspersample)
            for p in (page, first)
        ]
        size = (page.imagelength, page.imagewidth)
        is_turned = level == 0 and _orientation(page) != _orientation(first)  # smaller copies need not repeat the tag
        if facts[0] != facts[1] or is_turned or size != self.levels[level]:
            raise InputError(
                f"a page is {page.dtype} of {size[1]} x {size[0]} px, unlike the first"
                if (page.dtype, size) != (first.dtype, self.levels[level])
                else "a page has other colours or another orientation than the first",
                where=str(self.path),
                cure="save it in a file of its own",
            )
