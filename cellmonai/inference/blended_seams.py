"""How much averaged windows depend on where they lie: a few are run again with their middle where others met."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cellmonai.inference.activation import probabilities
from cellmonai.inference.seam_proof import SeamProof, compared, spread_out
from cellmonai.inference.stitch import repeated_edge
from cellmonai.inference.windows import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.inference.blended_blocks import Grid
    from cellmonai.inference.seam_proof import Again, Written

AVERAGING_LEAVES = 0.05
"""The largest difference of a probability that averaging should leave where windows meet."""

_MIDDLE_PX = 128


def measure_seams(
    grid: Grid,
    written: Written,
    again: Again,
    *,
    foreground_map: int,
    threshold: float,
    is_background: Callable[[NDArray[np.float32]], bool] | None = None,
) -> SeamProof:
    """Compare what was written where windows meet with what windows give that have their middle there.

    Such windows are those of a grid that is shifted by half a step: what is worst placed in one is best placed in the
    other. Equal results mean that nothing hangs on the grid; the bound is what averaging should leave, no rounding.

    Parameters
    ----------
    is_background : tells of a window's pixels that it was to be left out, so that it says nothing; None uses all
    """

    def found() -> Iterator[tuple[Box, NDArray[Any]]]:
        for window, core in windows_between(grid, again.divisor):
            inside = window.clipped(grid.shape)
            pixels = again.read(inside)
            if is_background is not None and is_background(pixels):
                continue
            pixels = repeated_edge(pixels, (window.row1 - inside.row1, window.col1 - inside.col1))
            logits = again.run(pixels[None], (window.row0, window.col0))[0]
            yield core, probabilities(logits[(slice(None), *core.within(window).slices)], again.activation)

    return compared(found(), written, bound=AVERAGING_LEAVES, foreground_map=foreground_map, threshold=threshold)


def windows_between(grid: Grid, divisor: int) -> list[tuple[Box, Box]]:
    """Give up to three windows that lie between those of a grid, each with the box in its middle where others meet.

    Windows begin at multiples of the divisor. There are none where the image is a single window.
    """
    if grid.windows == 1:
        return []
    rows, columns = (
        _along(starts, side, length, divisor)
        for starts, side, length in zip(grid.starts, grid.side, grid.shape, strict=True)
    )
    places = spread_out([(row, column) for row in rows for column in columns])
    return [
        (Box(row[0], col[0], row[0] + grid.side[0], col[0] + grid.side[1]), Box(row[1], col[1], row[2], col[2]))
        for row, col in places
    ]


def _along(starts: tuple[int, ...], side: int, length: int, divisor: int) -> list[tuple[int, int, int]]:
    """Give the first px of windows along one side of an image, and begin and end of the boxes in their middle.

    A box holds all that two windows share: averages are worst where one of them ends, and may be good between.
    """
    pairs = list(pairwise(starts))
    # the last window ends where the image does and may lie almost upon the one before, without anything between them
    apart = [(before, after) for before, after in pairs if after - before >= side // 2] or pairs
    places = [((before + side + after) // 2, before + side - after) for before, after in apart]
    if not places:  # this side is not cut: its middle will do
        places = [(min(side, length) // 2, _MIDDLE_PX)]
    found = []
    for middle, common in sorted({places[0], places[len(places) // 2], places[-1]}):
        first = min(max(middle - side // 2, 0) // divisor * divisor, starts[-1])
        half = max(min(common, side // 2) // 2, 1)
        found.append((first, max(middle - half, 0), min(middle + half, length, first + side)))
    return [(first, begin, end) for first, begin, end in found if begin < end]
