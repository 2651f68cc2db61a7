"""Blur by the mean over a square, as an image out of focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from cellmonai.data.transforms.crop_transform import CropTransformd

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RandBoxBlurd(CropTransformd):
    """Replace every pixel of the image by the mean over a square of odd side around it.

    Parameters
    ----------
    prob : probability that a crop is changed
    kernel_px : side of the square, [from, to]; each odd number is as likely, an even end counts as the odd one below
    """

    def __init__(self, *, prob: float, kernel_px: tuple[float, float]) -> None:
        super().__init__(prob=prob)
        self.kernel_px = kernel_px

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Blur the image."""
        return {"image": box_blur(crop["image"], draw_odd(self.R, self.kernel_px))}


def draw_odd(random: np.random.RandomState, ends: tuple[float, float]) -> int:
    """Draw an odd number between two ends, each as likely."""
    low, high = (int((end - 1) // 2) for end in ends)
    return 2 * int(random.randint(low, high + 1)) + 1


def box_blur(image: NDArray[np.float32], kernel_px: int) -> NDArray[np.float32]:
    """Give the mean over a square of `kernel_px`, the image (C, Y, X) reflected about its outermost pixels."""
    return np.asarray(uniform_filter(image, (0, kernel_px, kernel_px), mode="mirror"), np.float32)
