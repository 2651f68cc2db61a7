"""Walks over chains of corners: compiled in kernels/outlines.c, or in Python with the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.kernels.library import Kernels

Walk = tuple["NDArray[np.int64]", "NDArray[np.int64]"]


def walk_rings(following: NDArray[np.int64]) -> Walk:
    """Follow all rings of a permutation.

    Parameters
    ----------
    following : int64, shape (N,), which corner comes after each

    Returns
    -------
    the corners ring after ring, each ring from its least one on, rings by their least corners, int64, shape (N,); and
    where in that each ring starts, int64, shape (R,)
    """
    kernels = library()
    return walk_in_python(following) if kernels is None else walk_in_c(following, kernels)


def walk_in_python(following: NDArray[np.int64]) -> Walk:
    """As `walk_rings`; plain Python is quicker than NumPy at following a chain."""
    ahead_of = following.tolist()
    order: list[int] = []
    first: list[int] = []
    add = order.append
    for start, ahead in enumerate(ahead_of):
        if ahead < 0:  # walked over
            continue
        first.append(len(order))
        at = start
        while ahead >= 0:
            ahead_of[at] = -1
            add(at)
            at, ahead = ahead, ahead_of[ahead]
    return np.array(order, np.int64), np.array(first, np.int64)


def walk_in_c(following: NDArray[np.int64], kernels: Kernels) -> Walk:
    """As `walk_rings`, with the function of kernels/outlines.c."""
    used_up = np.array(following, np.int64, order="C")  # a copy
    order, first = np.empty_like(used_up), np.empty_like(used_up)
    rings = kernels("walk_rings", used_up.size, used_up, order, first)
    return order, first[:rings].copy()
