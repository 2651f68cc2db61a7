"""A method by its name, on an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.instances.classical.canny import canny
from cellmonai.instances.classical.cut import cut_apart
from cellmonai.instances.classical.kmeans import kmeans
from cellmonai.instances.classical.local_threshold import local_threshold
from cellmonai.instances.classical.mean_shift import mean_shift
from cellmonai.instances.classical.otsu import otsu
from cellmonai.instances.classical.region_growing import region_growing
from cellmonai.instances.classical.watershed import watershed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

MASKS: Mapping[str, Callable[..., NDArray[np.bool_]]] = {
    "otsu": otsu,
    "local_threshold": local_threshold,
    "canny": canny,
    "kmeans": kmeans,
    "mean_shift": mean_shift,
}
OBJECTS: Mapping[str, Callable[..., NDArray[np.int32]]] = {"watershed": watershed, "region_growing": region_growing}


def mask_of(name: str, image: NDArray[np.float32], parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Run a method.

    Parameters
    ----------
    name : one of `catalogue.METHODS`
    image : float32, shape (Y, X), in [0, 1]
    parameters : all of its row, checked

    Returns
    -------
    bool, shape (Y, X); where the method gives objects, its regions are these, with a line of 1 px between neighbours
    """
    if image.ndim != 2:
        raise ValueError(f"image has the shape {image.shape}, expected (Y, X)")
    if name in OBJECTS:
        return cut_apart(OBJECTS[name](image, **parameters))
    return MASKS[name](image, **parameters)
