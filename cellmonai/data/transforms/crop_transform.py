"""What the project's own random transforms of crops have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform

from cellmonai.data.transforms.warp import warp_crop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellmonai.data.transforms.warp import Interpolation

KEYS = ("image", "target", "weight")


class CropTransformd(RandomizableTransform, MapTransform):  # type: ignore[misc] # MONAI's classes are untyped
    """A random change of a crop, a dictionary with `image`, `target` and perhaps `weight`, each (C, Y, X) float32.

    Arrays and tensors come out as they went in, of the same shape and float32; what is not changed is passed on as it
    is, and what went in is never written to, as it may be a view of a whole sample. All random numbers are drawn from
    `self.R`, which MONAI's `set_random_state` sets.

    Parameters
    ----------
    prob : probability that a crop is changed at all
    """

    def __init__(self, *, prob: float) -> None:
        MapTransform.__init__(self, KEYS, allow_missing_keys=True)
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Give the crop, changed or as it is."""
        self.randomize(None)
        if not self._do_transform:
            return dict(data)
        changed = self.change({key: _as_array(data[key]) for key in KEYS if key in data})
        return dict(data) | {key: _like(data[key], array) for key, array in changed.items()}

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Draw random numbers and give what they change, by key."""
        raise NotImplementedError


class SpatialTransformd(CropTransformd):
    """A random change of where pixels lie: the image is interpolated, target and weight take the nearest pixel.

    Outside the crop all are continued by reflection about the outermost pixels, so that they still agree there.
    """

    interpolation: Interpolation = "linear"

    def draw_sources(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw from where each pixel is taken: (2, Y, X), row and column in px of the crop as it was."""
        raise NotImplementedError

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Warp everything by the same sources."""
        height, width = crop["image"].shape[-2:]
        return warp_crop(crop, self.draw_sources((height, width)), interpolation=self.interpolation)


def _as_array(value: Any) -> NDArray[np.float32]:  # noqa: ANN401 - MONAI gives arrays, tensors or MetaTensors
    if isinstance(value, MetaTensor):
        value = value.as_tensor()
    array: NDArray[np.float32] = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return array.astype(np.float32, copy=False)


def _like(original: Any, array: NDArray[np.float32]) -> Any:  # noqa: ANN401 - as above
    array = np.ascontiguousarray(array, np.float32)
    return torch.from_numpy(array) if isinstance(original, torch.Tensor) else array
