"""Mean and sum of an image's values over each object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_ROWS_AT_A_TIME = 256


def intensity_columns(
    labels: NDArray[np.integer],
    present: NDArray[np.int64],
    area_px: NDArray[np.int64],
    image: NDArray[Any],
    channel_names: Sequence[str],
) -> dict[str, NDArray[np.float64]]:
    """Measure `intensity_mean_NAME` and `intensity_sum_NAME` for every channel.

    Parameters
    ----------
    labels : integer, shape (Y, X)
    present, area_px : int64, shape (N,), the labels that occur and their areas
    image : shape (C, Y, X), any real dtype
    channel_names : one per channel, or none for 0, 1, …

    Returns
    -------
    float64 columns, shape (N,); sums of whole-number images are exact up to 2⁵³

    Raises
    ------
    InputError
        The number of names is not the number of channels.
    """
    names = list(channel_names) or [str(channel) for channel in range(image.shape[0])]
    if len(names) != image.shape[0]:
        raise InputError(f"{len(names)} channel names ({', '.join(names)}) for an image of {image.shape[0]} channels")
    sums = np.zeros((image.shape[0], int(present.max(initial=0)) + 1))
    for top in range(0, labels.shape[0], _ROWS_AT_A_TIME):
        rows = slice(top, top + _ROWS_AT_A_TIME)
        inside = labels[rows] != 0
        owner = labels[rows][inside]
        for channel, total in zip(image, sums, strict=True):
            total += np.bincount(owner, weights=channel[rows][inside], minlength=total.size)
    columns = {}
    for name, total in zip(names, sums[:, present], strict=True):
        columns[f"intensity_mean_{name}"] = total / area_px
        columns[f"intensity_sum_{name}"] = total
    return columns
