"""The pixels of one plane as the network will see them, box by box, however large the plane is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError
from cellmonai.images.channels import is_grey_rgb, strongest_channel
from cellmonai.images.inverted import InvertedSource
from cellmonai.images.statistics import scaling_of
from cellmonai.workflows.inferring.resolution import open_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.images.normalise import Normalisation, Scaling
    from cellmonai.images.source import ImageSource
    from cellmonai.inference.windows import Box
    from cellmonai.workflows.inferring.jobs import ImageJob, WantedChannels
    from cellmonai.workflows.inferring.settings import InferSettings


class PlaneReader:
    """One plane of an open image.

    Parameters
    ----------
    source : open as long as the reader is used
    job : which channels of which plane
    wanted : who takes them, for errors
    """

    def __init__(self, source: ImageSource, job: ImageJob, wanted: WantedChannels) -> None:
        self.source, self._job, self._wanted = source, job, wanted

    def scaling(self, normalisation: Normalisation) -> Scaling:
        """Find how intensities are scaled, from all pixels of the plane, a band at a time."""
        channels = self._job.channels[:1] if self._job.grey else self._job.channels
        return scaling_of(self.source, normalisation, channels=channels, plane=self._job.index)

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box of the plane, (C, h, w) in the stored type.

        Raises
        ------
        InputError
            The pixels cannot be read, or are colour where one channel is wanted.
        """
        region = (box.row0, box.col0, box.row1, box.col1)
        pixels = self.source.read(region, channels=self._job.channels, plane=self._job.index)
        return self._grey(pixels) if self._job.grey else pixels

    def scaled(self, box: Box, scaling: Scaling) -> NDArray[np.float32]:
        """Read a box as the network sees it, float32 (C, h, w)."""
        return scaling.apply(self.read(box))

    def _grey(self, pixels: NDArray[Any]) -> NDArray[Any]:
        if not is_grey_rgb(pixels):
            names = self.source.channels
            raise InputError(
                f"it has 3 different channels ({', '.join(names)}) and {self._wanted.sentence}",
                where=str(self._job.path),
                cure=f"choose one, as --channel {names[strongest_channel(pixels)]}, which varies most",
            )
        return pixels[:1]


@contextmanager
def open_plane(job: ImageJob, wanted: WantedChannels, settings: InferSettings) -> Iterator[PlaneReader]:
    """Open the image of a job and give its plane, inverted where that is asked for."""
    with open_job(job, settings) as source:
        yield PlaneReader(InvertedSource(source) if settings.invert else source, job, wanted)
