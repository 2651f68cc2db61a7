"""Which windows a model is calibrated on: a few of each of a few images, most of them with something in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from cellmonai.inference.stitch import repeated_edge
from cellmonai.inference.windows import Box, padded_shape
from cellmonai.workflows.inferring.background import is_background
from cellmonai.workflows.inferring.failures import nothing_worked
from cellmonai.workflows.inferring.jobs import IMAGE_FAILURES
from cellmonai.workflows.inferring.plane_reader import open_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.errors import CellmonaiError
    from cellmonai.images.normalise import Scaling
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.plane_reader import PlaneReader
    from cellmonai.workflows.inferring.settings import InferSettings

Value = TypeVar("Value")

WINDOWS = 32
"""How many are chosen, where the images hold as many."""

_PLANES = 4  # each is read as a whole to scale it; small ones may be more, to come to as many windows
_LOOKED_AT = 8  # windows that are looked at for each that is taken
_BACKGROUND_SHARE = 8  # one in so many shows background


def choose_windows(
    jobs: Sequence[ImageJob], model: ChosenModel, settings: InferSettings, *, side: int
) -> tuple[list[NDArray[np.float32]], int]:
    """Read windows that are spread evenly over images; the same ones every time.

    Parameters
    ----------
    jobs : planes of any size, at least one
    model, settings : how they are read and scaled, as for inference
    side : of a window, px; it is rounded down to a multiple of the divisor, and is no longer than the padded image

    Returns
    -------
    Windows, float32 (1, C, h, w), as the network sees them; and the number of planes that they are from.

    Raises
    ------
    InputError
        None of the planes that were tried can be read.
    """
    divisor = model.card.divisor
    side = max(side // divisor, 2) * divisor
    chosen = _planes(jobs, side, divisor)
    windows: list[NDArray[np.float32]] = []
    failures: dict[str, CellmonaiError] = {}
    planes = 0
    for at, job in enumerate(chosen):
        wanted = math.ceil((WINDOWS - len(windows)) / (len(chosen) - at))  # what others lacked comes on top
        try:
            with open_plane(job, model.wants, settings) as plane:
                scaling = plane.scaling(model.card.normalisation)
                found = [window[None] for window in _windows(plane, scaling, job, wanted, side, divisor)]
        except IMAGE_FAILURES as error:  # told when it is its turn
            failures[str(job.path)] = error
            continue
        windows += found
        planes += bool(found)
    if not windows:
        raise nothing_worked(failures)
    return windows, planes


def _planes(jobs: Sequence[ImageJob], side: int, divisor: int) -> list[ImageJob]:
    typical = spread(jobs, WINDOWS)
    held = sum(len(boxes_over(job.shape[1:], side, divisor, most=WINDOWS)) for job in typical)
    return spread(jobs, max(_PLANES, math.ceil(WINDOWS * len(typical) / held)))


def _windows(
    plane: PlaneReader, scaling: Scaling, job: ImageJob, wanted: int, side: int, divisor: int
) -> list[NDArray[np.float32]]:
    boxes = boxes_over(job.shape[1:], side, divisor, most=_LOOKED_AT * wanted)
    if len(boxes) > wanted:
        flat = [box for box in boxes if is_background(plane.scaled(box.clipped(job.shape[1:]), scaling))]
        rest = [box for box in boxes if box not in set(flat)]
        flat = spread(flat, max(wanted // _BACKGROUND_SHARE, wanted - len(rest)))
        boxes = flat + spread(rest, wanted - len(flat))
    return [_read(plane, scaling, box, job.shape[1:]) for box in boxes]


def _read(plane: PlaneReader, scaling: Scaling, box: Box, shape: tuple[int, int]) -> NDArray[np.float32]:
    inside = box.clipped(shape)
    pixels = plane.scaled(inside, scaling)
    padded: NDArray[np.float32] = repeated_edge(pixels, (box.row1 - inside.row1, box.col1 - inside.col1))
    return padded


def boxes_over(shape: tuple[int, int], side: int, divisor: int, *, most: int) -> list[Box]:
    """Lay at most so many squares evenly over an image, in raster order; neighbours overlap rather than leave a rest.

    Parameters
    ----------
    shape : rows and columns of the image, px
    side : of a square, a multiple of the divisor; along a shorter side of the padded image the boxes are as long as it
    most : boxes at most, at least 1
    """
    padded = padded_shape(shape, divisor)
    sides = [min(side, length) for length in padded]
    rows, columns = (-(-length // taken) for length, taken in zip(padded, sides, strict=True))
    if rows * columns > most:
        rows = min(rows, max(round(math.sqrt(most * rows / columns)), 1), most)
        columns = min(columns, most // rows)
        rows = min(-(-padded[0] // sides[0]), most // columns)
    starts = [
        _starts(length - taken, count, divisor)
        for length, taken, count in zip(padded, sides, (rows, columns), strict=True)
    ]
    return [Box(row, col, row + sides[0], col + sides[1]) for row in starts[0] for col in starts[1]]


def _starts(last: int, count: int, divisor: int) -> list[int]:
    """Give so many starts from 0 to the last one that leaves room, all multiples of the divisor; one in the middle."""
    if count == 1:
        return [last // 2 // divisor * divisor]
    return [round(last * at / (count - 1)) // divisor * divisor for at in range(count)]


def spread(values: Sequence[Value], most: int) -> list[Value]:
    """Take at most so many values, evenly spread over a sequence and in its order."""
    count = min(max(most, 0), len(values))
    return [values[(2 * at + 1) * len(values) // (2 * count)] for at in range(count)]
