"""Turn a crop upside down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.data.transforms.crop_transform import CropTransformd

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RandRotate180d(CropTransformd):
    """Turn a crop by 180 degrees, pixel for pixel.

    Parameters
    ----------
    prob : probability that a crop is turned
    """

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Turn everything."""
        return {key: array[:, ::-1, ::-1] for key, array in crop.items()}
