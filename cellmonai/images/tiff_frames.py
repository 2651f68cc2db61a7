"""The parts of a TIFF's layout: frames (stored pages), and which of them are planes, channels and resolutions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.core.units import PixelSize


@dataclass(frozen=True, slots=True)
class Frame:
    """One stored page: the number of its directory, and how many pages of raw data lie between that and it."""

    directory: int
    skip: int = 0


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


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """Frames in the order of the file, which run through axes of known lengths, the last one fastest."""

    lead: str
    sizes: tuple[int, ...]
    frames: list[Frame]
    unit: str | None = None
    z_step_um: float | None = None
