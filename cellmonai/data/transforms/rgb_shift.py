"""A tint: every colour channel brighter or darker by a number of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.data.transforms.crop_transform import CropTransformd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class RandRGBShiftd(CropTransformd):
    """Add a number to every colour channel, and cut to 0 to 1.

    A grey image takes `red`; channels after the third stay as they are.

    Parameters
    ----------
    prob : probability that a crop is changed
    red, green, blue : what is added, drawn [from, to], in units of the normalised image
    """

    def __init__(
        self, *, prob: float, red: tuple[float, float], green: tuple[float, float], blue: tuple[float, float]
    ) -> None:
        super().__init__(prob=prob)
        self.ranges = (red, green, blue)

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Shift the channels of the image."""
        return {"image": shift_channels(crop["image"], [self.R.uniform(*ends) for ends in self.ranges])}


def shift_channels(image: NDArray[np.float32], shifts: Sequence[float]) -> NDArray[np.float32]:
    """Add to each of the first channels of an image (C, Y, X) its shift, cut to 0 to 1; the others stay."""
    shifted = image.copy()
    for channel, shift in zip(shifted, shifts, strict=False):
        np.clip(channel + np.float32(shift), 0.0, 1.0, out=channel)
    return shifted
