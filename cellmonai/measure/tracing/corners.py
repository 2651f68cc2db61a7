"""Corners of object outlines on the pixel grid, found in a strip of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A corner is a pixel's: its lower right, lower left, upper right or upper left one, in the order in which the four
# pixels around a grid point are read; +4 where the outline turns inwards there. Walking has the object at its right
# hand, rows counted downwards. Below: does the horizontal edge reach right of the corner, and the vertical one down;
# and does the outline leave along the horizontal edge.
REACHES_RIGHT = np.array([False, True, False, True, True, False, True, False])
REACHES_DOWN = np.array([False, False, True, True, True, True, False, False])
LEAVES_SIDEWAYS = np.array([True, False, False, True, False, True, True, False])
# whether the object lies above, or left, of the edge: edges of one line and one side never overlap
OBJECT_ABOVE = np.array([True, True, False, False, True, True, False, False])
OBJECT_LEFT = np.array([True, False, True, False, True, False, True, False])


@dataclass(frozen=True, slots=True)
class Corners:
    """Corners of outlines, in any order.

    Parameters
    ----------
    owner : int64, shape (N,), which object a corner belongs to
    y, x : int64, shape (N,), grid lines: 0 is the upper or left edge of the image
    kind : uint8, shape (N,), 0 to 7, see above
    """

    owner: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    kind: NDArray[np.uint8]

    def take(self, which: NDArray[Any] | slice) -> Corners:
        """Give some of the corners, by index, mask or slice."""
        return Corners(self.owner[which], self.y[which], self.x[which], self.kind[which])


def joined(parts: list[Corners]) -> Corners:
    """Put corners together."""
    return Corners(
        np.concatenate([part.owner for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.kind for part in parts]),
    )


def corners_in(window: NDArray[Any], *, first_line: int) -> Corners:
    """Find the corners of all objects on the grid lines between the rows of a window.

    Parameters
    ----------
    window : whole numbers, shape (L + 1, X); L grid lines lie between its rows
    first_line : which grid line of the image is the one below the window's first row

    Returns
    -------
    corners with labels as owners

    Notes
    -----
    Of the four pixels around a grid point, one has a corner there when it differs from both its neighbours, also where
    it equals the pixel diagonally opposite, or when it equals both and differs from the opposite one.
    """
    padded = np.pad(window, ((0, 0), (1, 1)))
    level, upright = padded[:, 1:] == padded[:, :-1], padded[1:] == padded[:-1]
    straight = (level[1:] & level[:-1]) | (upright[:, 1:] & upright[:, :-1])
    line, x = np.divmod(np.flatnonzero(~straight), max(straight.shape[1], 1))
    a, b, c, d = (padded[line + down, x + right] for down in (0, 1) for right in (0, 1))
    found = []
    for kind, (own, beside, across, opposite) in enumerate([(a, b, c, d), (b, a, d, c), (c, d, a, b), (d, c, b, a)]):
        inwards = (own == beside) & (own == across) & (own != opposite)
        is_corner = ((own != beside) & (own != across)) | inwards
        here = np.flatnonzero(is_corner & (own != 0))
        kinds = (kind + 4 * inwards[here]).astype(np.uint8)
        found.append(Corners(own[here].astype(np.int64), line[here] + first_line, x[here], kinds))
    return joined(found)
