"""Elastic deformation by a smoothed random field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.data.transforms.crop_transform import SpatialTransformd
from cellmonai.data.transforms.displacement import gaussian_field, unfolded, uniform_noise_rms
from cellmonai.data.transforms.warp import pixel_places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.data.transforms.warp import Interpolation


class RandElasticd(SpatialTransformd):
    """Bend a crop by uniform noise smoothed with a Gaussian (Simard et al. 2003), without ever folding it.

    The scaling factor of the article, alpha, is chosen so that the displacement has the root mean square that is asked
    for: alpha = displacement · sigma / 0.163 along rows and along columns.

    Parameters
    ----------
    prob : probability that a crop is changed
    displacement_px : root mean square of the displacement along each axis over many crops, drawn [from, to]
    sigma_px : standard deviation of the smoothing, drawn [from, to]
    largest_gradient : bound on every derivative of the displacement, px per px, below 0.5; a steeper field is scaled
        down as a whole, and then moves less than asked for
    interpolation : of the image, "linear" or "cubic"

    References
    ----------
    Simard, Steinkraus and Platt 2003, Best practices for convolutional neural networks, section 2.
    """

    def __init__(
        self,
        *,
        prob: float,
        displacement_px: tuple[float, float],
        sigma_px: tuple[float, float],
        largest_gradient: float,
        interpolation: Interpolation,
    ) -> None:
        super().__init__(prob=prob)
        self.displacement_px, self.sigma_px = displacement_px, sigma_px
        self.largest_gradient, self.interpolation = largest_gradient, interpolation

    def draw_sources(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw from where each pixel is taken: (2, Y, X) in px."""
        displacement, sigma = self.R.uniform(*self.displacement_px), self.R.uniform(*self.sigma_px)
        field = gaussian_field(self.R, shape, sigma_px=sigma)
        field *= displacement / uniform_noise_rms(sigma)
        return pixel_places(shape) + unfolded(field, largest_gradient=self.largest_gradient)
