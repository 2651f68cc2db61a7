"""Cells found by a classical method without training, each plane whole."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.core.files import remove_any
from cellmonai.core.units import readable_bytes
from cellmonai.images.budget import budget_of
from cellmonai.images.write import write_mask, write_png
from cellmonai.report.pictures import overlay
from cellmonai.workflows.inferring.failures import amount, nothing_worked
from cellmonai.workflows.inferring.image import ImageDone, inverted, read_pixels
from cellmonai.workflows.inferring.jobs import WantedChannels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.instances.classical.catalogue import ChosenMethod
    from cellmonai.workflows.inferring.jobs import ImageJob, Survey
    from cellmonai.workflows.inferring.settings import InferSettings

_SCALED_BYTES = 4 + 8  # the image in [0, 1], and what it takes to get there
_PICTURE_BYTES = 8


class ClassicalFinder:
    """A method of `instances.classical`; it takes one channel, writes masks and no maps, and needs no torch."""

    model = None
    empty_reasons = (
        "dark cells on a bright ground (--invert); another channel (--channel); values that do not fit (--set)"
    )

    def __init__(self, chosen: ChosenMethod, settings: InferSettings) -> None:
        self._chosen, self._settings = chosen, settings

    @property
    def sentence(self) -> str:
        """Which method, with its parameters."""
        return f"method: {self._chosen.name}, {self._chosen.sentence}; nothing was trained"

    @property
    def wants(self) -> WantedChannels:
        """The channels that it takes."""
        return WantedChannels(1, who=f"the method {self._chosen.name}")

    @property
    def method(self) -> dict[str, Any]:
        """Name, source, parameters and the version that ran them."""
        return {**self._chosen.as_json(), "version": version("cellmonai")}

    def prepare(self, seen: Survey, reporter: Reporter) -> list[ImageJob]:
        """Give the jobs that fit in memory, and say what they will take.

        Raises
        ------
        MemoryBudgetError
            Every image needs more memory than there is.
        """
        budget = budget_of(self._settings.memory).amount
        for job in seen.jobs:
            if self._bytes(job) > budget:
                seen.failures.setdefault(str(job.path), _too_large(job, self._bytes(job), budget))
        jobs = [job for job in seen.jobs if str(job.path) not in seen.failures]
        if not jobs:
            raise nothing_worked(seen.failures)
        reporter.note(
            f"{amount(len(jobs), 'image')}, {sum(job.pixels for job in jobs) / 1e6:.3g} Mpx, each whole; about "
            f"{readable_bytes(max(map(self._bytes, jobs)))} of memory beside the program itself"
        )
        return jobs

    def find(self, job: ImageJob, advance: Callable[[float], None]) -> ImageDone:
        """Do one plane and write its files; the mask comes last.

        Raises
        ------
        InputError
            Its pixels cannot be read, or are colour and no channel was chosen.
        OutputError
            A file cannot be written.
        """
        from cellmonai.instances.classical.steps import to_unit_range  # brings SciPy

        started = time.monotonic()
        settings = self._settings
        pixels, digest = read_pixels(job, self.wants, settings)
        mask = self._chosen.segment(to_unit_range((inverted(pixels) if settings.invert else pixels)[0]))
        advance(job.pixels)
        if settings.overwrite:
            remove_any(settings.output / job.maps)  # maps of a network would be taken for those of the new mask
        pictures = job.pictures(settings.pictures)
        for name in pictures:  # only overlays: there is no probability to show
            write_png(settings.output / name, overlay(pixels, mask), overwrite=settings.overwrite)
        size = job.pixel_size_um
        write_mask(settings.output / job.mask, mask, pixel_size_um=size, overwrite=settings.overwrite)
        seconds, found = time.monotonic() - started, int(np.count_nonzero(mask))
        return ImageDone(job, 1, seconds, found, digest, (job.mask, *pictures))

    planes_at_once = 1

    def close(self) -> None:
        """Let go of nothing."""

    def warn(self, done: Sequence[ImageDone], reporter: Reporter) -> None:
        """Warn of nothing: what is doubtful depends on the image alone."""

    def facts(self) -> dict[str, Any]:
        """Give device and engine; a method has neither precision nor stitch."""
        return {"device": "cpu", "engine": "classical", "precision": None, "stitch": None}

    def as_record(self) -> dict[str, Any]:
        """Give how `count` makes objects of the masks, and the method."""
        return {"operating_point": self._chosen.operating_point.as_json(), "model": None, "method": self.method}

    def _bytes(self, job: ImageJob) -> int:
        stored = len(job.channels) * job.itemsize * (2 if self._settings.invert else 1)
        pictures = _PICTURE_BYTES if self._settings.pictures else 0
        return job.pixels * (stored + max(_SCALED_BYTES, 4 + self._chosen.method.bytes_per_px) + pictures)


def _too_large(job: ImageJob, needed: int, budget: int) -> MemoryBudgetError:
    return MemoryBudgetError(
        f"an image of {job.shape[2]} x {job.shape[1]} px is done whole and needs {readable_bytes(needed)}, and the "
        f"memory budget is {readable_bytes(budget)}",
        where=str(job.path),
        cure="raise --memory, or cut the image",
    )
