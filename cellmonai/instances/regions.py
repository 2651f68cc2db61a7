"""What is summed up about a region while strips of rows go by: place, extent and moments, in whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.runs import find_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

(
    PEAK_HEIGHT,  # in heights.HEIGHT_PER_PX
    PEAK_PIXEL,  # raster index in the image, as all pixels
    EXIT_TO,  # pixel outside the strip that the root points to, or -1
    FIRST_PIXEL,
    IS_SEED,  # whether the peak is the greatest pixel of the seed window
    AREA,
    SUM_Y,  # sums over the pixels' rows and columns in the image, in arithmetic modulo 2⁶⁴: differences taken at the
    SUM_X,  # region's own corner are exact again as long as they fit themselves
    SUM_YY,
    SUM_XX,
    SUM_XY,
    TOP,  # half-open box
    LEFT,
    BOTTOM,
    RIGHT,
    COLUMNS,
) = range(16)
"""Columns of a table of regions, int64, shape (N, COLUMNS); the order is that of kernels/regions.h."""


def add_sums(ids: NDArray[np.int32], top: int, table: NDArray[np.int64]) -> None:
    """Fill the first pixel, sums and box of every region of a strip.

    Parameters
    ----------
    ids : int32, shape (rows, X), regions 1..N, 0 is background
    top : row of the image that the strip begins with
    table : int64, shape (N, COLUMNS); those columns are 0 before
    """
    runs = find_runs(ids)
    if not runs.row.size:
        return
    region = runs.value.astype(np.intp) - 1
    y, start, stop = runs.row + top, runs.start, runs.stop
    length = stop - start
    # sums of 0 .. length - 1 and of their squares; nothing that may have wrapped is divided
    steps = length * (length - 1) // 2
    step_squares = steps * (2 * length - 1) // 3
    sum_x = start * length + steps
    squares = start * start * length + 2 * start * steps + step_squares
    # the first run of a region in raster order; later ones are overwritten by going backwards
    table[region[::-1], FIRST_PIXEL] = (y * ids.shape[1] + start)[::-1]
    moments = (length, y * length, sum_x, y * y * length, squares, y * sum_x)
    for column, values in zip(range(AREA, SUM_XY + 1), moments, strict=True):
        np.add.at(table[:, column], region, values)
    for column, values, ufunc, before in (
        (TOP, y, np.minimum, np.iinfo(np.int64).max),
        (LEFT, start, np.minimum, np.iinfo(np.int64).max),
        (BOTTOM, y + 1, np.maximum, 0),
        (RIGHT, stop, np.maximum, 0),
    ):
        extreme = np.full(table.shape[0], before)
        ufunc.at(extreme, region, values)
        table[:, column] = extreme


def add_rows(table: NDArray[np.int64], to: NDArray[np.integer], rows: NDArray[np.int64]) -> None:
    """Add rows of parts into the rows of what they are parts of, in place.

    Parameters
    ----------
    table : int64, shape (N, COLUMNS); sums, box and first pixel become the union's, a peak stays its own
    to : integer, shape (M,), the row of `table` for each part
    rows : int64, shape (M, COLUMNS)
    """
    for column in range(AREA, SUM_XY + 1):
        np.add.at(table[:, column], to, rows[:, column])
    for column in (FIRST_PIXEL, TOP, LEFT):
        np.minimum.at(table[:, column], to, rows[:, column])
    for column in (BOTTOM, RIGHT):
        np.maximum.at(table[:, column], to, rows[:, column])
