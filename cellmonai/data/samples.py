"""Decoded, normalised images with their truth, read once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.core.units import readable_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def check_budget(shapes: Iterable[Sequence[int]], channels: int, budget_bytes: int) -> None:
    """Refuse a training set that does not fit in memory before any of it is decoded.

    Raises
    ------
    MemoryBudgetError
        The decoded images with their label images need more than `budget_bytes`.
    """
    needed = sum(int(np.prod(shape[-2:], dtype=np.int64)) * (4 * channels + 4) for shape in shapes)
    if needed > budget_bytes:
        raise MemoryBudgetError(
            f"the images need {readable_bytes(needed)} once decoded, {readable_bytes(budget_bytes)} are allowed",
            where="data",
            cure="train on crops of them, or on fewer with data.select",
        )
