"""The elastic deformation of a published training script, with its faults: for reproduction only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from cellmonai.data.transforms.crop_transform import CropTransformd
from cellmonai.data.transforms.warp import pixel_places, warp

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RandElasticSeed000d(CropTransformd):
    """Bend a crop by the sum, not the mean, of k x k random displacements, which destroys the picture.

    With the published constants (20 px, sigma 3, so k = 9) displacements have a standard deviation of 180 px. Offsets
    are taken in units of the side and not of the side less one pixel, the image is reflected at its edge, and target
    and weight are 0 outside: all as published. `RandElastic` is the same idea without these faults.

    Parameters
    ----------
    prob : probability that a crop is changed
    noise_sd_px : standard deviation of the noise before the filter
    sigma : k is int(3 · sigma), and one more where that is even
    """

    def __init__(self, *, prob: float, noise_sd_px: float, sigma: float) -> None:
        super().__init__(prob=prob)
        self.noise_sd_px = noise_sd_px
        self.kernel_px = int(3 * sigma) | 1

    def draw_displacement(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw the displacement along rows and columns, (2, Y, X) in px."""
        noise = self.R.normal(0.0, self.noise_sd_px, (2, *shape)).astype(np.float32)
        means = uniform_filter(noise, (0, self.kernel_px, self.kernel_px), mode="constant")  # zeros outside are counted
        sides = np.asarray(shape, np.float32)[:, None, None]
        # an offset of 2 / side is (side - 1) / side px where -1 and 1 are the middles of the outermost pixels
        return np.asarray(means * self.kernel_px**2 * (sides - 1) / sides, np.float32)

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Warp the image with reflection, target and weight with zeros outside."""
        height, width = crop["image"].shape[-2:]
        sources = pixel_places((height, width)) + self.draw_displacement((height, width))
        return {
            key: warp(array, sources, interpolation="linear")
            if key == "image"
            else warp(array, sources, interpolation="nearest", fill=0.0)
            for key, array in crop.items()
        }
