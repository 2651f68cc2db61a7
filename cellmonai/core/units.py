"""Quantities with units as users type them: `2GiB`, `10px`, `25um2`."""

from __future__ import annotations

import re

from cellmonai.core.errors import UsageError

_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ²0-9]*)\s*")

PixelSize = tuple[float, float]
"""Micrometres per pixel, (y, x)."""


def parse_bytes(text: str) -> int:
    """Read an amount of memory: `2GiB`, `500MB`, `1.5G` (powers of two), `1000000`.

    Raises
    ------
    UsageError
        Not a positive amount, or an unknown unit.
    """
    match = _NUMBER.fullmatch(text)
    factor = _BYTES.get(match[2].upper()) if match else None
    if match is None or factor is None or float(match[1]) <= 0:
        raise UsageError(f"{text!r} is no amount of memory", cure="write it as 2GiB or 500MB")
    return int(float(match[1]) * factor)


def parse_area_px(text: str, pixel_size_um: PixelSize | None) -> float:
    """Read an area: `10` or `10px` in pixels, `25um2` in square micrometres, given in pixels.

    Raises
    ------
    UsageError
        Not an area, or micrometres where the pixel size is unknown.
    """
    match = _NUMBER.fullmatch(text)
    unit = match[2].lower().replace("µ", "u").replace("²", "2") if match else None
    if match is None or unit not in {"", "px", "px2", "um2"}:
        raise UsageError(f"{text!r} is no area", cure="write it as 10px or 25um2")
    if unit != "um2":
        return float(match[1])
    if pixel_size_um is None:
        raise UsageError(
            f"the area {text!r} is in micrometres and the pixel size is unknown", cure="write it in pixels, as 10px"
        )
    return float(match[1]) / (pixel_size_um[0] * pixel_size_um[1])


def readable_bytes(amount: float) -> str:
    """Write an amount of memory for people: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def readable_seconds(seconds: float) -> str:
    """Write a duration for people: `4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
