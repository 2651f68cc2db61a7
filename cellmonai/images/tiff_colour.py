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
    """What the stored samples become: which are kept, a palette, or the largest value that white is stored as 0."""

    kept: tuple[int, ...]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    palette: NDArray[Any] | None = None
    white: int | None = None
    notes: tuple[str, ...] = ()


def colour_of(page: TiffPage, path: Path, *, as_index: bool) -> Colour:
    """Read what the samples of a page become; with `as_index` a palette is left alone.

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
    orientation = page.tags.valueof(274, 1)
    notes = () if orientation == 1 else (f"orientation tag {orientation} not applied",)
    if photometric == _PALETTE and not as_index:
        return _palette(page, path, notes)
    if photometric in {_RGB, _YCBCR} and samples >= 3:
        kept = _without_alpha(page, 4 if 338 not in page.tags else 0)
        names = RGB_NAMES + tuple(str(i) for i in range(3, len(kept)))
        return Colour(kept, names, dtype, notes=notes + _alpha_note(page, kept))
    kept = _without_alpha(page, 0)
    white = _white(page, path) if photometric == _MIN_IS_WHITE and not _is_tifffile_bool(page) else None
    return Colour(kept, default_names(len(kept)), dtype, white=white, notes=notes + _alpha_note(page, kept))


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


def _palette(page: TiffPage, path: Path, notes: tuple[str, ...]) -> Colour:
    table = page.colormap
    if table is None or table.ndim != 2 or page.samplesperpixel != 1 or np.dtype(page.dtype).kind not in "bu":
        raise InputError("its palette is missing or damaged", where=str(path), cure="save it as grey or RGB")
    is_8_bit = bool(((table % 257) == 0).all() or ((table & 0xFF) == 0).all())
    table = (table >> 8).astype(np.uint8) if is_8_bit else table.astype(np.uint16)
    return Colour((0, 1, 2), RGB_NAMES, table.dtype, palette=table, notes=(*notes, "palette applied"))
