"""Union of sets of numbers, vectorised: what connected components and basins that cross strips are found with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def follow_to_roots(pointer: NDArray[np.intp]) -> NDArray[np.intp]:
    """Follow pointers until they point to themselves.

    Parameters
    ----------
    pointer : intp, shape (N,), values in 0..N-1, without circles longer than one

    Returns
    -------
    intp, shape (N,), the end of each path; every round doubles the length of path that is done
    """
    while True:
        farther = pointer[pointer]
        if np.array_equal(farther, pointer):
            return pointer
        pointer = farther


def unite_pairs(count: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    """Unite the numbers 0..count-1 along pairs and give the smallest number of each one's set.

    Parameters
    ----------
    count : how many numbers there are
    first, second : intp, shape (E,), pairs to unite

    Notes
    -----
    Each round hangs the larger root of every pair below the smaller one and shortens all paths, so the pairs that still
    join two sets die out in about log2(count) rounds.
    """
    root = np.arange(count)
    while first.size:
        low, high = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(root, high, low)
        root = follow_to_roots(root)
        first, second = root[first], root[second]
        apart = first != second
        first, second = first[apart], second[apart]
    return root


def find_root(root: list[int], member: int) -> int:
    """Give the root of a member's set, halving the path on the way."""
    while root[member] != member:
        root[member] = root[root[member]]
        member = root[member]
    return member
