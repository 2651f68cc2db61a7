"""Area and Feret diameters of the convex hulls of a whole image, some thousand objects at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.shapes.hull import pixel_hulls
from cellmonai.measure.shapes.hull_lengths import feret_diameters, rings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.measure.shapes.hull import HullBuilder

_OBJECTS_AT_A_TIME = 1 << 13  # corners are small, all that is made of them is not


@dataclass(frozen=True, slots=True)
class HullMeasures:
    """What is measured of the convex hulls of N objects, with lengths for each of S pixel sizes.

    Parameters
    ----------
    area : int64, shape (N,), px: pixels whose centres lie in or on the hull
    feret_max, feret_min : float64, shape (S, N), in the unit of the pixel size
    """

    area: NDArray[np.int64]
    feret_max: NDArray[np.float64]
    feret_min: NDArray[np.float64]


def measure_hulls(corners: HullBuilder, labels: NDArray[np.intp], pixel_sizes: Sequence[PixelSize]) -> HullMeasures:
    """Measure the convex hulls of the objects with these labels, shape (N,), in this order."""
    count = int(labels.max(initial=0)) + 1
    area = np.zeros(count, np.int64)
    feret = np.zeros((2, len(pixel_sizes), count))
    for first in range(0, count, _OBJECTS_AT_A_TIME):
        present, hulls = corners.hulls(first, first + _OBJECTS_AT_A_TIME)
        area[present], filled = pixel_hulls(hulls)
        ring = rings(filled)
        for which, pixel_size in enumerate(pixel_sizes):
            feret[:, which, present] = feret_diameters(ring, pixel_size)
    return HullMeasures(area[labels], feret[0][:, labels], feret[1][:, labels])
