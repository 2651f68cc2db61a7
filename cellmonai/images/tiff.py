"""TIFF, BigTIFF, OME-TIFF, ImageJ TIFF and Aperio SVS through tifffile's page parser and decoders.

tifffile's own series are not used: they open files that the header names, and let XML be parsed without limits.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.channels import RGB_NAMES
from cellmonai.images.guard import reading
from cellmonai.images.resolution import both, from_resolution, micrometres
from cellmonai.images.source import ImageFacts, ImageSource, Region, default_names
from cellmonai.images.tiff_layout import Frame, TiffLayout, is_smaller_copy, layout_of
from cellmonai.images.tiff_segments import PageReader, SegmentCache
from cellmonai.images.tiff_structure import Directory, directories_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

    from cellmonai.core.units import PixelSize
    from cellmonai.images.budget import Budget

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_COLOURS = {
    5: "CMYK",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "raw camera",
    32844: "LogL",
    32845: "LogLuv",
}
_JPEG_COMPRESSIONS = {6, 7, 33007, 34892}
_FLAGS = ("ome", "lsm", "scanimage", "ndpi", "eer", "philips", "vista", "indica", "stk")

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs is said here as an error, or harmless


@dataclass(frozen=True, slots=True)
class _Colour:
    """What the stored samples become: which are kept, a palette, or the largest value that white is stored as 0."""

    kept: tuple[int, ...]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    palette: NDArray[Any] | None = None
    white: int | None = None
    notes: tuple[str, ...] = ()


def open_tiff(path: Path, budget: Budget, *, axes: str | None, as_index: bool = False) -> ImageSource:
    """Open a TIFF; palette pictures become RGB, or stay indices with `as_index`, which masks need."""
    from tifffile import TiffFile

    with reading(path, "the TIFF header"):
        directories = directories_of(path)
        flags: dict[str, Any] = {f"is_{flag}": False for flag in _FLAGS}
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
    layout = layout_of(directories, page.description or "", path, page_axes=page.axes, axes=axes)
    colour = _colour_of(page, path, as_index=as_index)
    frames = len(layout.planes[0])
    names = colour.names
    if frames > 1:
        names = (
            layout.channels
            if len(layout.channels) == frames == frames * len(names)
            else default_names(frames * len(names))
        )
    elif layout.channels and len(names) == 1:
        names = layout.channels
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
    )
    return TiffSource(path, facts, budget, tif, layout, colour, children)


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
    return lead + str(page.axes)


def _levels(
    page: TiffPage, layout: TiffLayout, directories: Sequence[Directory]
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Give the sizes of all resolutions, and how many of them are sub-directories of each page."""
    sizes = [(page.imagelength, page.imagewidth)]
    if layout.page_levels:
        sizes += [(directories[i].height, directories[i].width) for i in layout.page_levels]
        return tuple(sizes), 0
    larger = first = directories[layout.planes[0][0].directory]
    for child in first.children:
        if not is_smaller_copy(child, larger):
            break
        sizes.append((child.height, child.width))
        larger = child
    used = {directories[frame.directory] for plane in layout.planes for frame in plane}
    if any([(c.height, c.width) for c in d.children[: len(sizes) - 1]] != sizes[1:] for d in used):
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


def _colour_of(page: TiffPage, path: Path, *, as_index: bool) -> _Colour:
    photometric, samples, dtype = int(page.photometric), page.samplesperpixel, np.dtype(page.dtype)
    if photometric in _COLOURS or (photometric == _YCBCR and int(page.compression) not in _JPEG_COMPRESSIONS):
        raise InputError(
            f"its colours are {_COLOURS.get(photometric, 'YCbCr')}", where=str(path), cure="save it as grey or RGB"
        )
    orientation = page.tags.valueof(274, 1)
    notes = () if orientation == 1 else (f"orientation tag {orientation} not applied",)
    if photometric == _PALETTE and not as_index:
        return _palette(page, path, notes)
    if photometric in {_RGB, _YCBCR} and samples >= 3:
        kept = _without_alpha(page, 4 if 338 not in page.tags else 0)
        names = RGB_NAMES + tuple(str(i) for i in range(3, len(kept)))
        return _Colour(kept, names, dtype, notes=notes + _alpha_note(page, kept))
    kept = _without_alpha(page, 0)
    white = _white(page, path) if photometric == _MIN_IS_WHITE else None
    return _Colour(kept, default_names(len(kept)), dtype, white=white, notes=notes + _alpha_note(page, kept))


def _without_alpha(page: TiffPage, implied: int) -> tuple[int, ...]:
    """Give the samples that are not alpha; without a tag that says so, sample `implied` of as many is alpha."""
    extra = page.extrasamples or ()
    base = page.samplesperpixel - len(extra)
    alpha = {base + i for i, kind in enumerate(extra) if kind in {1, 2}}
    if implied and page.samplesperpixel == implied:
        alpha.add(implied - 1)
    return tuple(i for i in range(page.samplesperpixel) if i not in alpha or page.samplesperpixel == 1)


def _alpha_note(page: TiffPage, kept: tuple[int, ...]) -> tuple[str, ...]:
    return ("alpha channel left out",) if len(kept) < page.samplesperpixel else ()


def _white(page: TiffPage, path: Path) -> int:
    if np.dtype(page.dtype).kind not in "bu" or not isinstance(page.bitspersample, int):
        raise InputError(
            f"white is stored as the smallest value of {page.dtype}, which has no largest one",
            where=str(path),
            cure="save it with black as the smallest value",
        )
    return (1 << page.bitspersample) - 1


def _palette(page: TiffPage, path: Path, notes: tuple[str, ...]) -> _Colour:
    table = page.colormap
    if table is None or table.ndim != 2 or page.samplesperpixel != 1 or np.dtype(page.dtype).kind not in "bu":
        raise InputError("its palette is missing or damaged", where=str(path), cure="save it as grey or RGB")
    is_8_bit = bool(((table % 257) == 0).all() or ((table & 0xFF) == 0).all())
    table = (table >> 8).astype(np.uint8) if is_8_bit else table.astype(np.uint16)
    return _Colour((0, 1, 2), RGB_NAMES, table.dtype, palette=table, notes=(*notes, "palette applied"))


class TiffSource(ImageSource):
    """An open TIFF; safe to read from several threads."""

    def __init__(
        self,
        path: Path,
        facts: ImageFacts,
        budget: Budget,
        tif: TiffFile,
        layout: TiffLayout,
        colour: _Colour,
        children: int,
    ) -> None:
        super().__init__(path, facts, budget)
        self._tif, self._layout, self._colour, self._children = tif, layout, colour, children
        self._size = path.stat().st_size
        self._cache = SegmentCache(min(budget.amount // 4, 256 * 2**20))
        self._readers: dict[tuple[Frame, int], PageReader] = {}
        self._lock = threading.RLock()
        first = self._reader(layout.planes[0][0], 0)
        budget.require(first.smallest_read, "one tile or strip of it", where=path)
        decoded = facts.shape[1] * facts.shape[2] * first.page.samplesperpixel * first.dtype.itemsize
        budget.require_ratio(decoded, first.encoded_bytes, where=path)
        if layout.planes[-1][-1].skip:
            self._reader(layout.planes[-1][-1], 0)

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
                samples = [colour.kept[channels[i] % per_frame] for i in places]
                out[places] = self._samples(self._reader(frames[number], level), box, samples)
        return out

    def _samples(self, reader: PageReader, box: Region, samples: list[int]) -> NDArray[Any]:
        colour = self._colour
        if colour.palette is not None:
            index = reader.read(box, [0])[0].astype(np.intp)
            return colour.palette[samples][:, index]
        array = reader.read(box, samples)
        if colour.white is None:
            return array
        return ~array if array.dtype.kind == "b" else (array.dtype.type(colour.white) - array)

    def _reader(self, frame: Frame, level: int) -> PageReader:
        reader = self._readers.get((frame, level))
        if reader is None:
            page = self._page(frame, level)
            self._check_like_first(page, level)
            reader = PageReader(page, self.path, self._size, self._cache, frame.skip)
            reader.require_complete()
            if len(self._readers) > 256:
                self._readers.clear()
            self._readers[(frame, level)] = reader
        return reader

    def _page(self, frame: Frame, level: int) -> TiffPage:
        pages: Any = self._tif.pages  # indexing gives frames only where they were asked for
        if level and not self._children:
            page: TiffPage = pages[self._layout.page_levels[level - 1]]
        else:
            page = pages[frame.directory].pages[level - 1] if level else pages[frame.directory]
        return page

    def _check_like_first(self, page: TiffPage, level: int) -> None:
        first = self._tif.pages.first
        facts = [(p.dtype, p.samplesperpixel, p.photometric, p.planarconfig, p.bitspersample) for p in (page, first)]
        size = (page.imagelength, page.imagewidth)
        if facts[0] != facts[1] or size != self.levels[level]:
            raise InputError(
                f"a page is {page.dtype} of {size[1]} x {size[0]} px, unlike the first",
                where=str(self.path),
                cure="save it in a file of its own",
            )
