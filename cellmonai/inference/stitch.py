"""From windows to one map in memory: exact cores, or MONAI's blending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.inference.activation import probabilities
from cellmonai.inference.canvas import Average
from cellmonai.inference.importance import importance_map
from cellmonai.inference.windows import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.inference.windows import Blending, Lattice
    from cellmonai.models.file import Activation

    Run = Callable[[NDArray[Any]], NDArray[Any]]
    """A window (1, C, h, w), contiguous, to its logits (1, K, h, w), both floating point."""
    Read = Callable[[Box], NDArray[Any]]
    """A box inside the image to its normalised pixels (C, h, w), floating point."""
    Write = Callable[[Box, NDArray[Any]], None]
    """Take the probabilities (K, h, w) of a box inside the image."""
    AfterWindow = Callable[[float], None]
    """Told after each window how many px of the image it settled; may raise to stop."""


def stitch_exact(
    run: Run,
    read: Read,
    write: Write,
    *,
    lattice: Lattice,
    activation: Activation = "sigmoid",
    after_window: AfterWindow,
) -> None:
    """Run every window and keep its core: equal to one pass over the whole padded image.

    Beyond the bottom and right of the image its last row and column are repeated, as `padded_image` does. `read` and
    `write` get every box once, in raster order, so the image and the map may be larger than memory.
    """
    for window in lattice.windows:
        pixels = read(window.read.clipped(lattice.shape))
        logits = run(repeated_edge(pixels, window.pad)[None])[0]
        core = window.core.clipped(lattice.shape)
        rows, columns = core.within(window.read).slices
        write(core, probabilities(logits[:, rows, columns], activation))
        after_window(core.shape[0] * core.shape[1])


def stitch_blended(
    run: Run,
    image: NDArray[np.float32],
    *,
    blending: Blending,
    mode: Literal["gaussian", "constant"],
    activation: Activation = "sigmoid",
    after_window: AfterWindow,
) -> NDArray[np.float32]:
    """Average overlapping windows as MONAI's sliding-window inferer does; gives probabilities (K, Y, X).

    Logits are averaged, with weights that fall towards the edge of a window (`gaussian`) or are equal (`constant`).
    The image, the maps and the sums of logits and weights are held in memory; `blended_streaming` needs less.
    """
    height, width = image.shape[-2:]
    canvas = Average(Box(0, 0, height, width), weights=importance_map(blending.side, mode), activation=activation)
    for box in blending.boxes:
        inside = box.clipped((height, width))
        pixels = image[(slice(None), *inside.slices)]
        canvas.add(box, run(repeated_edge(pixels, (box.row1 - inside.row1, box.col1 - inside.col1))[None])[0])
        after_window(height * width / blending.windows)
    maps = canvas.maps()
    assert maps is not None  # an image has at least one window
    return maps


def padded_image(image: NDArray[Any], padded: tuple[int, int]) -> NDArray[Any]:
    """Repeat the last row and column of an image (C, Y, X) until it has the shape `padded`: the fixed rule.

    Repeating continues cells and background as they are at the edge; zeros would be a dark frame that no training
    crop has, and mirroring fails where the image is smaller than the padding.
    """
    height, width = image.shape[-2:]
    return repeated_edge(image, (padded[0] - height, padded[1] - width))


def repeated_edge(image: NDArray[Any], pad: tuple[int, int]) -> NDArray[Any]:
    """Repeat the last row of an image (C, Y, X) `pad[0]` times and its last column `pad[1]` times."""
    if not any(pad):
        return np.ascontiguousarray(image)
    return np.pad(image, ((0, 0), (0, pad[0]), (0, pad[1])), mode="edge")
