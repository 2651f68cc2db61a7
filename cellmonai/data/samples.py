"""Decoded, normalised images with their truth, read once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.core.units import readable_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its truth, as training sees it.

    `image` is (C, Y, X) float32, normalised by numbers of the whole image; `labels` the label image (Y, X) int32;
    `count` the true number of cells. Nothing of `name` reaches the network.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    count: int


def sample_bytes(sample: Sample) -> int:
    """Give what a sample takes in memory in training: image, labels, target, foreground indices and maps."""
    return int(sample.image.nbytes + 3 * sample.labels.nbytes + 8 * np.count_nonzero(sample.labels))


def check_budget(needed: int, allowed: int) -> None:
    """Refuse a training set that does not fit in memory; both in bytes.

    Raises
    ------
    MemoryBudgetError
        More is needed than allowed.
    """
    if needed > allowed:
        raise MemoryBudgetError(
            f"the images read so far need {readable_bytes(needed)} of memory, {readable_bytes(allowed)} are allowed",
            where="data",
            cure="train on crops of them, or on fewer with data.select",
        )
