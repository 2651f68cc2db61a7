"""Pixel sizes from headers: micrometres where a file says so, None where it says what a screen or printer says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellmonai.core.units import PixelSize

_MICROMETRES = {
    "km": 1e9,
    "kilometer": 1e9,
    "m": 1e6,
    "meter": 1e6,
    "dm": 1e5,
    "decimeter": 1e5,
    "cm": 1e4,
    "centimeter": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "um": 1.0,
    "u": 1.0,
    "mu": 1.0,
    "mum": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "\u00e5": 1e-4,
    "angstrom": 1e-4,
    "\u00e5ngstr\u00f6m": 1e-4,
    "pm": 1e-6,
    "picometer": 1e-6,
    "inch": 25400.0,
    "inche": 25400.0,
    "in": 25400.0,
    '"': 25400.0,
    "thou": 25.4,
    "mil": 25.4,
}
"""By the unit in small letters, American spelling and singular, with u for the sign of micro."""

_SPELLINGS = (
    ("\\u00b5", "u"),  # ImageJ writes the escape of Java
    ("\\u03bc", "u"),
    ("\u00e2\u00b5", "u"),  # UTF-8 read as Latin-1
    ("\u00c2\u00b5", "u"),
    ("\u00b5", "u"),
    ("\u03bc", "u"),
    ("\u212b", "\u00e5"),
    ("metre", "meter"),
    ("micro-", "micro"),
    ("micro m", "microm"),
)
_LONG = 3

SCANNER_DPI = 4800
"""Desktop scanners and printers end here; a microscope's pixels are finer."""

COARSEST_UM = 25.4e3 / 1200
"""In centimetres and metres, where no screen default is written, coarser than this is a converted dpi."""


def micrometres(value: float, unit: str) -> float | None:
    """Give a length in micrometres, or None for an unknown unit or a value that is no length.

    Examples
    --------
    >>> micrometres(650, "nm")
    0.65
    >>> micrometres(0.65, "Micrometres")
    0.65
    """
    text = unit.strip(" \t\0.()[]").lower()
    for spelling, plain in _SPELLINGS:
        text = text.replace(spelling, plain)
    if len(text) > _LONG:
        text = text.removesuffix("s")
    factor = _MICROMETRES.get(text)
    size = value * factor if factor is not None else math.nan
    return size if math.isfinite(size) and size > 0 else None


def length_um(text: str | None, unit: str) -> float | None:
    """Give a length that a header writes as text in micrometres, as `micrometres`."""
    try:
        return micrometres(float(text or ""), unit)
    except ValueError:
        return None


def both(y: float | None, x: float | None) -> PixelSize | None:
    """Give (y, x) when both are known."""
    return (y, x) if y is not None and x is not None else None


def from_resolution(y: float, x: float, unit: str) -> PixelSize | None:
    """Give the pixel size of steps of `y` and `x` in "inch", "cm" or "m", or None where they are a dpi default."""
    coarsest = 25.4e3 / SCANNER_DPI if unit == "inch" else COARSEST_UM
    size = both(micrometres(y, unit), micrometres(x, unit))
    if size is None or max(size) >= coarsest or min(size) < 1e-5:
        return None
    return size
