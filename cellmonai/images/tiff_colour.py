"""What the samples of a TIFF page mean: grey, colour, a palette, alpha, or white stored as 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.channels import RGB_NAMES
from cellmonai.images.source import default_names

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffPage

_MIN_IS_WHITE, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
LUT_PHOTOMETRICS = {_MIN_IS_WHITE, _PALETTE}
"""With these, ImageJ stores how an image is shown, and leaves its values alone."""

_COLOURS = {
    5: "CMYK",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "raw camera",
    32844: "LogL",
    32845: "LogLuv",
}
_APERIO_YCBCR = 33003
_JPEG_COMPRESSIONS = {6, 7, 33007, 34892}


@dataclass(frozen=True, slots=True)
class Colour:
    """What the stored samples become.

    Parameters
    ----------
    kept : which samples are read; with `has_alpha` the last of them is alpha
    names : of the channels they become
    dtype : of what is read
    palette : red, green and blue by index, applied when read; shape (3, entries)
    entries : the palette of indices that are read as they are, shape (entries, 4): red, green, blue, alpha
    white : the largest value, where white is stored as 0
    is_display : whether photometric interpretation and palette only say how the values are shown, as with ImageJ
    """

    kept: tuple[int, ...]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    palette: NDArray[Any] | None = None
    entries: NDArray[np.uint16] | None = None
    white: int | None = None
    has_alpha: bool = False
    is_display: bool = False
    notes: tuple[str, ...] = ()

    def meaning_of(self, page: TiffPage) -> object:
        """Give what must be the same in all pages for their samples to mean the same."""
        if self.is_display and int(page.photometric) in {*LUT_PHOTOMETRICS, 1}:
            return None
        table = page.colormap if int(page.photometric) == _PALETTE else None
        return page.photometric, None if table is None else table.tobytes()


def one_sample(page: TiffPage) -> Colour:
    """Give the meaning of pages whose samples are planes of their own: each is read as it is stored."""
    return Colour((0,), default_names(1), np.dtype(page.dtype))


def colour_of(page: TiffPage, path: Path, *, as_index: bool, imagej: bool = False) -> Colour:
    """Read what the samples of a page become.

    Parameters
    ----------
    as_index : leave a palette and alpha to the caller, as masks need
    imagej : whether ImageJ wrote the file; it keeps look-up tables, also the inverting one, beside values that they
        do not change

    Raises
    ------
    InputError
        Colours that are neither grey nor RGB, a damaged palette, or white as the smallest value of a float type.
    """
    photometric, samples, dtype = int(page.photometric), page.samplesperpixel, np.dtype(page.dtype)
    if photometric in _COLOURS or (photometric == _YCBCR and int(page.compression) not in _JPEG_COMPRESSIONS):
        raise InputError(
            f"its colours are {_COLOURS.get(photometric, 'YCbCr')}", where=str(path), cure="save it as grey or RGB"
        )
    if (
        int(page.compression) == _APERIO_YCBCR
    ):  # nothing in the data tells decoders, which give them as if they were RGB
        raise InputError("its colours are YCbCr in JPEG 2000", where=str(path), cure="export it with JPEG or as RGB")
    if imagej and photometric in LUT_PHOTOMETRICS:
        kept = _without_alpha(page, 0)
        notes = ("ImageJ's look-up table is for display and was not applied",)
        return Colour(kept, default_names(len(kept)), dtype, is_display=True, notes=notes)
    if photometric == _PALETTE:
        return _indexed(page, path) if as_index else _palette(page, path)
    is_colour = photometric in {_RGB, _YCBCR} and samples >= 3
    kept = _without_alpha(page, 4 if is_colour and 338 not in page.tags else 0)
    names = RGB_NAMES + tuple(str(i) for i in range(3, len(kept))) if is_colour else default_names(len(kept))
    white = None
    if photometric == _MIN_IS_WHITE and not _is_tifffile_bool(page):
        white = _white(page, path)
    alpha = sorted(set(range(samples)) - set(kept))
    if as_index and len(alpha) == 1:
        return Colour((*kept, *alpha), (*names, "alpha"), dtype, white=white, has_alpha=True)
    return Colour(kept, names, dtype, white=white, notes=("alpha channel left out",) if alpha else ())


def _without_alpha(page: TiffPage, implied: int) -> tuple[int, ...]:
    """Give the samples that are not alpha; without a tag that says so, sample `implied` of as many is alpha."""
    extra = page.extrasamples or ()
    base = page.samplesperpixel - len(extra)
    alpha = {base + i for i, kind in enumerate(extra) if kind in {1, 2}}
    if implied and page.samplesperpixel == implied:
        alpha.add(implied - 1)
    return tuple(i for i in range(page.samplesperpixel) if i not in alpha or page.samplesperpixel == 1)


def _is_tifffile_bool(page: TiffPage) -> bool:
    """Whether tifffile wrote a bool array: it marks such pictures as white-is-0 and means True by a set bit."""
    return page.bitspersample == 1 and str(page.software).startswith("tifffile")


def _white(page: TiffPage, path: Path) -> int:
    if np.dtype(page.dtype).kind not in "bu" or not isinstance(page.bitspersample, int):
        raise InputError(
            f"white is stored as the smallest value of {page.dtype}, which has no largest one",
            where=str(path),
            cure="save it with black as the smallest value",
        )
    return (1 << page.bitspersample) - 1


def _palette(page: TiffPage, path: Path) -> Colour:
    table, is_8_bit = _colour_map(page, path)
    table = (table >> 8).astype(np.uint8) if is_8_bit else table
    return Colour((0, 1, 2), RGB_NAMES, table.dtype, palette=table, notes=("palette applied",))


def _indexed(page: TiffPage, path: Path) -> Colour:
    """Keep the indices, with 8-bit colours beside them."""
    table, _ = _colour_map(page, path)
    opaque = np.full((1, table.shape[1]), 255)
    colours = table if table.max(initial=0) <= 255 else table >> 8  # some writers fill the lower byte only
    entries = np.concatenate([colours, opaque]).T.astype(np.uint16)
    dtype = np.dtype(np.uint8 if np.dtype(page.dtype).itemsize == 1 else page.dtype)
    return Colour((0,), default_names(1), dtype, entries=entries)


def _colour_map(page: TiffPage, path: Path) -> tuple[NDArray[np.uint16], bool]:
    """Give the palette, shape (3, entries), and whether it holds 8-bit colours."""
    table = page.colormap
    if table is None or table.ndim != 2 or page.samplesperpixel != 1 or np.dtype(page.dtype).kind not in "bu":
        raise InputError("its palette is missing or damaged", where=str(path), cure="save it as grey or RGB")
    is_8_bit = bool(((table % 257) == 0).all() or ((table & 0xFF) == 0).all())
    return table.astype(np.uint16), is_8_bit
