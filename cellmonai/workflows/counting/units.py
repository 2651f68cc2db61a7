"""Lengths and pixel sizes as users type them: `7px`, `3um`, `0.65`, `0.65,0.325`."""

from __future__ import annotations

import re
from math import isfinite, sqrt
from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError

if TYPE_CHECKING:
    from cellmonai.core.units import PixelSize

_LENGTH = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(px|um|µm|μm)?\s*", re.IGNORECASE)


def parse_length_px(text: str, pixel_size_um: PixelSize | None) -> float:
    """Read a length: `7` or `7px` in pixels, `3um` in micrometres, given in pixels.

    Pixels that are not square count with the side of the square of equal area.

    Raises
    ------
    UsageError
        Not a length above 0, or micrometres where the pixel size is unknown.
    """
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no length", cure="write it as 7px or 3um")
    if not float(match[1]) > 0:
        raise UsageError(f"the length {text!r} is 0", cure="give a length above 0, as 7px")
    if (match[2] or "px").lower() == "px":
        return float(match[1])
    if pixel_size_um is None:
        raise UsageError(
            f"the length {text!r} is in micrometres and the pixel size is unknown", cure="write it in pixels, as 7px"
        )
    return float(match[1]) / sqrt(pixel_size_um[0] * pixel_size_um[1])


def parse_pixel_size(text: str) -> PixelSize:
    """Read micrometres per pixel: `0.65` for square pixels, `0.65,0.325` as x (width), then y (height); given (y, x).

    x comes first as in every table and in the metadata of files.

    Raises
    ------
    UsageError
        Not one or two positive numbers.
    """
    words = text.replace("x", ",").split(",")
    try:
        sides = [float(word) for word in words]
    except ValueError:
        sides = []
    if not 1 <= len(sides) <= 2 or not all(side > 0 and isfinite(side) for side in sides):
        raise UsageError(
            f"the pixel size is {text!r}", where="--pixel-size", cure="give micrometres, as 0.65 or as x,y 0.65,0.325"
        )
    return sides[-1], sides[0]
