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
    """Draw discs at random places: single cells, or clusters of cells that touch.

    Parameters
    ----------
    count : how many discs
    radius_px : smallest and largest radius
    cells_per_cluster : how many discs a cluster has at most; each touches the one before it
    seed : the same seed draws the same discs

    Notes
    -----
    Centres keep 0.8 of the sum of both radii apart, so that cells overlap a little but none hides another. Raises
    ValueError where the field is too small for that.
    """
    random = np.random.default_rng(seed)
    pitch = 2 * radius_px[1]
    near: dict[tuple[int, int], list[Disc]] = {}

    def place(disc: Disc) -> bool:
        """Note the disc unless it lies too close to another one or outside the field."""
        row, col = int(disc.row // pitch), int(disc.col // pitch)
        neighbours = [other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in near.get((row + i, col + j), [])]
        inside = 0 <= disc.row < shape[0] and 0 <= disc.col < shape[1]
        if not inside or any(_too_close(disc, other) for other in neighbours):
            return False
        near.setdefault((row, col), []).append(disc)
        return True

    discs: list[Disc] = []
    for _ in range(100 * count):
        disc = Disc(random.uniform(0, shape[0]), random.uniform(0, shape[1]), random.uniform(*radius_px))
        cluster = 0
        while len(discs) < count and cluster < cells_per_cluster and place(disc):
            discs.append(disc)
            cluster += 1
            radius, angle = random.uniform(*radius_px), random.uniform(0, 2 * np.pi)
            step = 0.9 * (disc.radius_px + radius)
            disc = Disc(disc.row + step * np.sin(angle), disc.col + step * np.cos(angle), radius)
        if len(discs) == count:
            return discs
    raise ValueError(f"no room for {count} discs of {radius_px} px in {shape}")


def _too_close(one: Disc, other: Disc) -> bool:
    apart = 0.8 * (one.radius_px + other.radius_px)
    return (one.row - other.row) ** 2 + (one.col - other.col) ** 2 < apart**2
