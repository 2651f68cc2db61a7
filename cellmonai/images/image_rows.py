"""One plane of an open image, all its channels, row by row: what intensities and pictures of large images need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.images.source import ImageSource


class ImageRows:
    """The channels of one plane, as rows (C, bottom - top, X).

    Parameters
    ----------
    source : open as long as the rows are used
    plane : index into `source.planes`
    """

    def __init__(self, source: ImageSource, plane: int) -> None:
        source.keep_rows_only()
        self._source, self._plane = source, plane

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns."""
        return self._source.shape

    def require_unchanged(self) -> None:
        """Refuse what was read when the image was written to meanwhile; see `ImageSource.require_unchanged`."""
        self._source.require_unchanged()

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open, of every channel."""
        return self._source.read((top, 0, bottom, self.shape[2]), plane=self._plane)
