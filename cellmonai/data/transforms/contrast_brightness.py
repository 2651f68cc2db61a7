"""Contrast about the mean, brightness as a factor, and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.data.transforms.crop_transform import CropTransformd

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RandContrastBrightnessd(CropTransformd):
    """Multiply the image, stretch it about its mean, and add normal noise, in this order.

    Unlike MONAI's RandScaleIntensity the contrast keeps the mean, and unlike its RandGaussianNoise the noise is always
    of the same strength.

    Parameters
    ----------
    prob : probability that a crop is changed
    brightness : the image is multiplied by 1 plus or minus up to this
    contrast : distances from the mean over all channels are multiplied by 1 plus or minus up to this
    noise_sd : standard deviation of the noise, in units of the normalised image
    clip : whether the image is cut to 0 to 1 after each of the three
    """

    def __init__(self, *, prob: float, brightness: float, contrast: float, noise_sd: float, clip: bool) -> None:
        super().__init__(prob=prob)
        self.brightness, self.contrast, self.noise_sd, self.clip = brightness, contrast, noise_sd, clip

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Change the image."""
        brightness, contrast = (1 + self.R.uniform(-size, size) for size in (self.brightness, self.contrast))
        image = self._cut(crop["image"] * np.float32(brightness))
        mean = image.mean(dtype=np.float64).astype(np.float32)
        image = self._cut((image - mean) * np.float32(contrast) + mean)
        if self.noise_sd:
            image = self._cut(image + self.R.normal(0.0, self.noise_sd, image.shape).astype(np.float32))
        return {"image": image}

    def _cut(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(image, 0.0, 1.0) if self.clip else image
