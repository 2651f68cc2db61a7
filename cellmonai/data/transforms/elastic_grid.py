"""Elastic deformation by a coarse grid of random displacements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

from cellmonai.data.transforms.crop_transform import SpatialTransformd
from cellmonai.data.transforms.displacement import unfolded
from cellmonai.data.transforms.warp import pixel_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.data.transforms.warp import Interpolation


class RandElasticGridd(SpatialTransformd):
    """Bend a crop by normal displacements of a few control points, interpolated bicubically (Ronneberger et al. 2015).

    The outermost control points are the corners of the crop.

    Parameters
    ----------
    prob : probability that a crop is changed
    control_points : along each side; 3 makes a grid of 3 x 3
    sd_px : standard deviation of the displacement of a control point along each axis
    largest_gradient : bound on every derivative of the displacement, px per px, below 0.5; a steeper field is scaled
        down as a whole
    interpolation : of the image, "linear" or "cubic"

    References
    ----------
    Ronneberger, Fischer and Brox 2015, U-Net, section 3.1: 3 x 3 grid, 10 px.
    """

    def __init__(
        self, *, prob: float, control_points: int, sd_px: float, largest_gradient: float, interpolation: Interpolation
    ) -> None:
        super().__init__(prob=prob)
        self.control_points, self.sd_px = control_points, sd_px
        self.largest_gradient, self.interpolation = largest_gradient, interpolation

    def draw_sources(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw from where each pixel is taken: (2, Y, X) in px."""
        points = self.R.normal(0.0, self.sd_px, (2, self.control_points, self.control_points)).astype(np.float32)
        field = interpolate(torch.from_numpy(points)[None], size=shape, mode="bicubic", align_corners=True)[0].numpy()
        return pixel_places(shape) + unfolded(field, largest_gradient=self.largest_gradient)
