"""Masks and label images as rows: read strip by strip with the checks of `images.labels`, however large the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.images.cached_rows import CachedRows
from cellmonai.images.labels import AS_STORED, read_mask_strip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.images.labels import ValueChoice
    from cellmonai.images.rows import Rows
    from cellmonai.images.source import ImageSource


def mask_rows(source: ImageSource, plane: int = 0, choice: ValueChoice = AS_STORED) -> Rows:
    """Give one plane of an open mask as rows; nothing is read before they are asked for.

    Parameters
    ----------
    source : from `images.labels.open_mask`; it stays open as long as the rows are used
    plane : index into `source.planes`
    choice : values that the user named as foreground

    Returns
    -------
    rows of bool where the file stores single bits or values were chosen, else of an integer type, always the same one

    Notes
    -----
    Formats that cannot be read in parts (PNG, npz) are decoded whole at the first request, within the memory budget.
    Asking for rows raises InputError where a strip holds what is no label: a colour, a fraction, a negative value, a
    value above 2^31 - 1.
    """
    source.keep_rows_only()

    def make(top: int, bottom: int) -> NDArray[Any]:
        return read_mask_strip(source, plane, top, bottom, choice)

    return CachedRows((source.shape[1], source.shape[2]), make)
