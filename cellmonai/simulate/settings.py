"""What a painted field looks like, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST_RADIUS_PX = 1.5
"""Below it a pixel grid no longer shows a cell's outline."""


@dataclass(frozen=True, slots=True)
class FieldSettings:
    """How a field of fluorescent nuclei is painted; lengths in pixels.

    Parameters
    ----------
    shape : rows and columns of the image
    cells : how many cells the field holds, exactly
    radius_px : smallest and largest radius of a circle of a cell's area; at least 1.5 px
    elongation : largest ratio of a cell's long to its short axis, from 1 to 3; each cell draws its own
    clustering : share in [0, 1] of the cells that touch another one; at 0 every cell keeps a gap of one pixel or more,
        so that the 8-connected components of the foreground are the cells
    overlap : largest depth, as a share of the distance of two centres, by which a touching cell covers its neighbour
    border : "cut" lets the image's edge cut cells (their centres are inside), "inside" keeps all cells whole
    brightness_spread : standard deviation of the logarithm of the cells' brightness
    texture : strength of chromatin grain and of dark nucleoli, 0 for smooth cells
    defocus_px : standard deviation of the blur of a cell in focus; about every third cell lies out of focus
    background : brightness of the empty field, as a share of a cell of mean brightness
    unevenness : strength in [0, 1] of uneven illumination and of clouds in the background
    debris : specks of dirt, much smaller and dimmer than cells, which are not in the label image
    noise : standard deviation of the photon noise at a cell of mean brightness, as a share of that brightness
    exposure : share of the full scale that a cell of mean brightness reaches
    bits : 8 gives uint8, 16 gives uint16

    Raises
    ------
    ValueError
        A value is out of its range.
    """

    shape: tuple[int, int] = (256, 256)
    cells: int = 40
    radius_px: tuple[float, float] = (7.0, 11.0)
    elongation: float = 1.6
    clustering: float = 0.4
    overlap: float = 0.12
    border: Literal["cut", "inside"] = "cut"
    brightness_spread: float = 0.25
    texture: float = 1.0
    defocus_px: float = 0.8
    background: float = 0.1
    unevenness: float = 0.5
    debris: int = 0
    noise: float = 0.05
    exposure: float = 0.5
    bits: Literal[8, 16] = 8

    def __post_init__(self) -> None:
        low, high = self.radius_px
        _require(min(self.shape) >= 1, "shape", self.shape, "two whole numbers >= 1")
        _require(self.cells >= 0, "cells", self.cells, "a whole number >= 0")
        _require(SMALLEST_RADIUS_PX <= low <= high, "radius_px", self.radius_px, "(low, high) with 1.5 <= low <= high")
        _require(1 <= self.elongation <= 3, "elongation", self.elongation, "a number in [1, 3]")
        for name in ("clustering", "overlap", "unevenness", "exposure"):
            value = getattr(self, name)
            _require(0 <= value <= 1, name, value, "a number in [0, 1]")
        for name in ("brightness_spread", "texture", "defocus_px", "background", "debris", "noise"):
            value = getattr(self, name)
            _require(value >= 0, name, value, "a number >= 0")
        _require(self.border in {"cut", "inside"}, "border", self.border, "'cut' or 'inside'")
        _require(self.bits in {8, 16}, "bits", self.bits, "8 or 16")


@dataclass(frozen=True, slots=True)
class Field:
    """A painted field and its truth.

    `image` is (Y, X) uint8 or uint16; `labels` is (Y, X) int32 with 0 for the background and the cells 1..count,
    numbered by their first pixel in raster order, each one 8-connected region.
    """

    image: NDArray[np.uint8] | NDArray[np.uint16]
    labels: NDArray[np.int32]
    count: int


def _require(fits: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not fits:
        raise ValueError(f"{name} is {value}, expected {expected}")
