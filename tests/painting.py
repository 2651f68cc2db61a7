"""Painted cells: label images whose truth is known by construction and seen in the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Disc:
    """A round cell; the centre may lie between pixels or outside the image."""

    row: float
    col: float
    radius_px: float


def paint(discs: Iterable[Disc], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Paint discs as labels 1, 2, … in the given order; where two overlap, the later one lies on top.

    A pixel belongs to a disc when its centre is at most `radius_px` away from the disc's.
    """
    labels = np.zeros(shape, np.int32)
    for label, disc in enumerate(discs, start=1):
        top, left = max(0, int(disc.row - disc.radius_px)), max(0, int(disc.col - disc.radius_px))
        bottom, right = int(disc.row + disc.radius_px) + 2, int(disc.col + disc.radius_px) + 2
        window = labels[top : max(bottom, 0), left : max(right, 0)]
        row, column = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        window[(row - disc.row) ** 2 + (column - disc.col) ** 2 <= disc.radius_px**2] = label
    return labels


def scattered_discs(
    count: int, shape: tuple[int, int], *, radius_px: tuple[float, float], cells_per_cluster: int = 1, seed: int = 0
) -> list[Disc]:
    """Draw discs at random: clusters of cells that touch, or single cells; they may overlap.

    Parameters
    ----------
    count : how many discs
    radius_px : smallest and largest radius
    cells_per_cluster : how many discs share a cluster, lined up on random walks of about one diameter
    seed : the same seed draws the same discs
    """
    random = np.random.default_rng(seed)
    discs: list[Disc] = []
    while len(discs) < count:
        row, col = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        for _ in range(min(cells_per_cluster, count - len(discs))):
            radius = random.uniform(*radius_px)
            discs.append(Disc(row, col, radius))
            angle = random.uniform(0, 2 * np.pi)
            row, col = row + 1.8 * radius * np.sin(angle), col + 1.8 * radius * np.cos(angle)
    return discs
