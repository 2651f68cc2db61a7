"""From pairs of files to samples in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.interrupts import StopWish
from cellmonai.core.text import did_you_mean
from cellmonai.data.samples import Sample, check_budget, sample_bytes
from cellmonai.data.truth import TruthReader
from cellmonai.images.budget import available_memory
from cellmonai.images.channels import is_grey_rgb, strongest_channel, to_channels
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.core.progress import Stage
    from cellmonai.core.units import PixelSize
    from cellmonai.images.layouts import Pair
    from cellmonai.images.normalise import Normalisation
    from cellmonai.images.source import ImageSource


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What the images of a training set have in common: the input of the network.

    `pixel_size_um` is (y, x), None when unknown or not the same in all images.
    """

    channels: tuple[str, ...]
    pixel_size_um: PixelSize | None


class SampleLoader:
    """Reads pairs as samples; the first image read decides how many channels all must have.

    Parameters
    ----------
    normalisation : how intensities are scaled, per image
    channels : names or numbers of the channels to take; all when None, where grey stored as colour is one
    axes : order of the axes for files that do not say it
    pixel_size_um : (y, x) for files that do not say it
    truth : reads the masks; its kind is decided by the first of them where nobody decided before
    wish : Ctrl-C, met between two files
    """

    def __init__(
        self,
        normalisation: Normalisation,
        *,
        channels: Sequence[str | int] | None = None,
        axes: str | None = None,
        pixel_size_um: PixelSize | None = None,
        truth: TruthReader | None = None,
        wish: StopWish | None = None,
    ) -> None:
        self.normalisation, self.channels, self.axes = normalisation, channels, axes
        self.known_pixel_size = pixel_size_um
        self.names: tuple[str, ...] = ()
        self.pixel_sizes: set[PixelSize | None] = set()
        self.truth = truth or TruthReader()
        self.held_bytes = 0
        self.wish = wish or StopWish()

    def load(self, pairs: Sequence[Pair], stage: Stage) -> list[Sample]:
        """Read all pairs; `stage` moves by one for each.

        Raises
        ------
        InputError
            An image or mask cannot be read, or does not fit the others.
        MemoryBudgetError
            They would take more than half of the memory that is free.
        """
        samples: list[Sample] = []
        allowed = self.held_bytes + available_memory() // 2
        for pair in pairs:
            self.wish.check("nothing was written")
            samples.append(self.read(pair))
            self.held_bytes += sample_bytes(samples[-1])
            check_budget(self.held_bytes, allowed)
            stage.advance()
        return samples

    def read(self, pair: Pair) -> Sample:
        """Read one pair."""
        with open_image(pair.image, axes=self.axes) as source:
            if len(source.planes) > 1:
                raise InputError(
                    f"holds {len(source.planes)} planes, training takes images of one",
                    where=str(pair.image),
                    cure="save the planes as files of their own",
                )
            image = self._channels_of(source)
            self.pixel_sizes.add(source.pixel_size_um or self.known_pixel_size)
        labels = self.truth.read(pair)
        scaled = self.normalisation.scaling_for(image).apply(image)
        count = int(labels.max(initial=0)) if pair.count is None else pair.count
        return Sample(pair.name, scaled, labels, count)

    def facts(self) -> InputFacts:
        """Give what the images read so far have in common."""
        sizes = self.pixel_sizes
        return InputFacts(self.names, next(iter(sizes)) if len(sizes) == 1 else None)

    def _channels_of(self, source: ImageSource) -> NDArray[Any]:
        if self.channels is not None:
            indices = [channel_index(channel, source) for channel in self.channels]
            self.names = self.names or tuple(source.channels[i] for i in indices)
            return source.read(channels=indices)
        image = source.read()
        if not self.names:
            self.names = ("grey",) if is_grey_rgb(image) else source.channels
        try:
            return to_channels(image, len(self.names))
        except InputError as error:
            name = source.channels[strongest_channel(image)]
            cure = f"name the channels to use in data.channels, as {name!r}, or leave such images out with data.select"
            raise InputError(error.what, where=str(source.path), cure=cure) from error


def channel_index(channel: str | int, source: ImageSource) -> int:
    """Give the index of a channel by name or number.

    Raises
    ------
    InputError
        The image has no such channel.
    """
    names = source.channels
    if isinstance(channel, int) and 0 <= channel < len(names):
        return channel
    if isinstance(channel, str) and channel in names:
        return names.index(channel)
    if isinstance(channel, str) and channel.isdecimal() and int(channel) < len(names):
        return int(channel)
    raise InputError(f"has no channel {channel!r}", where=str(source.path), cure=did_you_mean(str(channel), names))


def median_diameter_px(samples: Sequence[Sample]) -> float | None:
    """Give the median diameter of the circles that have the objects' areas, in px; None without objects."""
    areas = [np.bincount(sample.labels.ravel())[1:] for sample in samples]
    joined = np.concatenate(areas) if areas else np.zeros(0)
    joined = joined[joined > 0]
    return float(2.0 * np.sqrt(np.median(joined) / np.pi)) if len(joined) else None
