"""Turn, slant and scale a crop, with an even grey or reflection outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.data.transforms.crop_transform import CropTransformd
from cellmonai.data.transforms.warp import map_places, pixel_places, warp_crop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.data.transforms.warp import Interpolation


class RandAffineSheard(CropTransformd):
    """Turn, slant and scale a crop about its middle, each axis by a factor and a sign of its own.

    The matrix is that of Keras' `apply_affine_transform`, rotation · shear · zoom, from the places of the result to the
    places they are taken from: a factor of 1.5 shows 1.5 times as much, and cells shrink.

    Parameters
    ----------
    prob : probability that a crop is changed
    rotate_deg : angle, degrees, drawn [from, to]
    shear_deg : greatest slant either way, degrees
    zoom : factor of each axis, drawn [from, to]
    flips : whether each axis is turned round with probability 0.5
    padding_mode : what comes in from outside; "constant" is a grey drawn for each crop, and 0 in target and weight
    fill : grey from outside, drawn [from, to], in units of the normalised image
    interpolation : of the image, "linear" or "cubic"
    """

    def __init__(
        self,
        *,
        prob: float,
        rotate_deg: tuple[float, float],
        shear_deg: float,
        zoom: tuple[float, float],
        flips: bool,
        padding_mode: Literal["constant", "reflection"],
        fill: tuple[float, float],
        interpolation: Interpolation,
    ) -> None:
        super().__init__(prob=prob)
        self.rotate_deg, self.shear_deg, self.zoom, self.flips = rotate_deg, shear_deg, zoom, flips
        self.padding_mode, self.fill, self.interpolation = padding_mode, fill, interpolation

    def draw_matrix(self) -> NDArray[np.float64]:
        """Draw the matrix (2, 2) from rows and columns of the result to those of the crop as it was."""
        angle = np.deg2rad(self.R.uniform(*self.rotate_deg))
        slant = np.deg2rad(self.R.uniform(-self.shear_deg, self.shear_deg))
        zoom = self.R.uniform(*self.zoom, 2) * (self.R.choice((-1.0, 1.0), 2) if self.flips else 1.0)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear = np.array([[1.0, -np.sin(slant)], [0.0, np.cos(slant)]])
        matrix: NDArray[np.float64] = rotation @ shear @ np.diag(zoom)
        return matrix

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Warp everything by one matrix."""
        height, width = crop["image"].shape[-2:]
        sources = map_places(pixel_places((height, width)), self.draw_matrix())
        fill = float(self.R.uniform(*self.fill)) if self.padding_mode == "constant" else None
        return warp_crop(crop, sources, interpolation=self.interpolation, fill=fill)
