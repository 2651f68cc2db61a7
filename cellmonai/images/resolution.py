"""Pixel sizes from headers: micrometres where a file says so, None where it says what a screen or printer says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellmonai.core.units import PixelSize

_MICROMETRES = {
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "centimeter": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "å": 1e-4,
    "angstrom": 1e-4,
    "pm": 1e-6,
    "inch": 25400.0,
    "in": 25400.0,
}

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
    """
    text = unit.strip().lower().replace("\\u00b5", "u").replace("\u00b5", "u").replace("\u03bc", "u")
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
