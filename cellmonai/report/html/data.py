"""What the report of a count shows: the images with their pictures, and everything that explains the numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Warned
    from cellmonai.core.units import PixelSize
    from cellmonai.report.counts import ImageCount


@dataclass(frozen=True, slots=True)
class ReportImage:
    """One counted plane, as the report shows it.

    Parameters
    ----------
    row : what was counted
    areas_px : areas of its cells in px, shape (N,), for the histogram of sizes
    pixel_size_um : (y, x), or None where unknown; sizes are shown in µm² where every image knows it
    thumbnail : as `thumbnails.thumbnail` gives it, or None; at most `thumbnails.MOST_PICTURES` of them are shown
    picture_file : the overlay in full size, relative to the report, which the thumbnail links to
    """

    row: ImageCount
    areas_px: NDArray[Any] | None = None
    pixel_size_um: PixelSize | None = None
    thumbnail: NDArray[np.uint8] | None = None
    picture_file: str | None = None


@dataclass(frozen=True, slots=True)
class PlatePicture:
    """A plate as a heat map: uint8 RGB (h, w, 3), and what it shows."""

    caption: str
    picture: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything in the report of a count.

    Parameters
    ----------
    images : in the order of the tables
    parameters : what decided the counts, as in `counts.json`
    run_record : as in `run.json`
    warnings, failures : every warning; image -> why it could not be counted
    title : the heading
    groups : rows of the group tables as JSON values; rows with a `level` get a table per level
    plates : heat maps of plates
    audit : the result of an audit as JSON values, or None
    partial_reason : why the numbers describe a part of the inputs only, beyond `failures`; None where they do not
    interval_level : coverage of the intervals, as 0.95
    counts_file, run_file : where a reader finds all rows, and the whole run record
    """

    images: Sequence[ReportImage]
    parameters: Mapping[str, Any]
    run_record: Mapping[str, Any]
    warnings: Sequence[Warned] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    title: str = "Cell counts"
    groups: Sequence[Mapping[str, Any]] = ()
    plates: Sequence[PlatePicture] = ()
    audit: Mapping[str, Any] | None = None
    partial_reason: str | None = None
    interval_level: float | None = None
    counts_file: str = "counts.csv"
    run_file: str = "run.json"

    @property
    def rows(self) -> list[ImageCount]:
        """The counts of all images."""
        return [image.row for image in self.images]

    @property
    def total(self) -> int:
        """Cells in all images."""
        return sum(image.row.count for image in self.images)

    @property
    def removed(self) -> dict[str, int]:
        """How many objects each filter removed, over all images."""
        return _summed([row.removed for row in self.rows])

    @property
    def flags(self) -> dict[str, int]:
        """How many cells carry each flag, over all images."""
        return _summed([row.flags for row in self.rows])

    @property
    def in_um(self) -> bool:
        """Whether sizes can be given in µm²: every image knows its pixel size."""
        return bool(self.images) and all(image.pixel_size_um is not None for image in self.images)


def _summed(amounts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for part in amounts for name in part)
    return {name: sum(part.get(name, 0) for part in amounts) for name in names}
