"""The parts of a TIFF's layout: frames (stored pages), and which of them are planes, channels and resolutions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellmonai.core.units import PixelSize


@dataclass(frozen=True, slots=True)
class Frame:
    """One stored page: the number of its directory, and how many pages of raw data lie between that and it.

    `sample` says which sample of the pixels is meant where each of them is a plane or channel of its own.
    """

    directory: int
    skip: int = 0
    sample: int | None = None


@dataclass(frozen=True, slots=True)
class FirstPage:
    """What the first page says of itself.

    Parameters
    ----------
    axes : YX, YXS or SYX
    shape : their lengths
    planes_behind : how many planes of its size lie as raw data from its first byte to the end of the file, at least 1
    is_array : whether tifffile stored an array of 3 or 4 planes as if they were the colours of one picture
    """

    axes: str
    shape: tuple[int, ...]
    planes_behind: int = 1
    is_array: bool = False

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return self.shape[self.axes.index("S")] if "S" in self.axes else 1


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """Frames by plane and channel.

    Parameters
    ----------
    lead : axes before those of a page, as "TZC", slowest first
    sizes : their lengths
    planes : for each plane the frames of its channels
    names : of the planes
    copies : directory of a page to those of its smaller copies, where the file keeps them in its main chain
    unit : of the resolution tags where the description gives it (ImageJ), else None
    z_step_um : from one depth to the next, None where the description does not say
    may_be_colours : whether the planes may be the colours of one picture, which the file does not tell
    """

    lead: str
    sizes: tuple[int, ...]
    planes: tuple[tuple[Frame, ...], ...]
    names: tuple[str, ...]
    copies: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    pixel_size_um: PixelSize | None = None
    unit: str | None = None
    notes: tuple[str, ...] = ()
    z_step_um: float | None = None
    may_be_colours: bool = False

    @property
    def by_sample(self) -> bool:
        """Whether the samples of a page are planes or channels of their own."""
        return self.planes[0][0].sample is not None


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """Frames in the order of the file, which run through axes of known lengths, the last one fastest."""

    lead: str
    sizes: tuple[int, ...]
    frames: list[Frame]
    unit: str | None = None
    z_step_um: float | None = None
    notes: tuple[str, ...] = ()
    may_be_colours: bool = False


def declared_frames(pages: list[int], count: int, path: Path, first: FirstPage) -> list[Frame]:
    """Give the frames of `count` declared planes: one directory each, or all behind the only directory.

    Raises
    ------
    InputError
        Another number of directories, or less raw data behind the only one.
    """
    if count == len(pages):
        return [Frame(i) for i in pages]
    held = first.planes_behind if len(pages) == 1 else len(pages)
    if len(pages) > 1 or count > held:
        raise InputError(
            f"its description declares {count} planes and it holds {held}: it is cut short, or was described before "
            "it was changed",
            where=str(path),
            cure="export the image again",
        )
    return [Frame(pages[0], skip) for skip in range(count)]
