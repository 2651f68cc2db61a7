"""Another source seen differently: turned, inverted, or with other values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cellmonai.images.source import ImageFacts, ImageSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.images.source import Region


class WrappedSource(ImageSource):
    """Another source with some facts changed; subclasses change its pixels.

    Parameters
    ----------
    source : stays open as long as this is used; closing this closes it
    changed : fields of `ImageFacts` that differ
    """

    def __init__(self, source: ImageSource, **changed: Any) -> None:  # noqa: ANN401 - each field has a type of its own
        super().__init__(source.path, replace(_facts_of(source), **changed), source.budget)
        self._source = source

    @property
    def fingerprint(self) -> str:
        """That of the source."""
        return self._source.fingerprint

    def require_unchanged(self) -> None:
        """As of the source."""
        self._source.require_unchanged()

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of a tile, strip or chunk of the source."""
        return self._source.block_shape(level)

    def keep_rows_only(self) -> None:
        """As of the source."""
        self._source.keep_rows_only()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        return self._source.read(box, channels=channels, level=level, plane=plane)


def _facts_of(source: ImageSource) -> ImageFacts:
    return ImageFacts(
        stored_axes=source.stored_axes,
        shape=source.shape,
        channels=source.channels,
        dtype=source.dtype,
        pixel_size_um=source.pixel_size_um,
        levels=source.levels,
        planes=source.planes,
        notes=source.notes,
        z_step_um=source.z_step_um,
        warnings=source.warnings,
        looks=source.looks,
        orientation=source.orientation,
    )
