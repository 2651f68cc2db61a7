"""Opening an image at the resolution that is asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cellmonai.images.open import open_image
from cellmonai.images.rescale import at_resolution
from cellmonai.images.source import changed_while_read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cellmonai.images.source import ImageSource
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.settings import InferSettings


@contextmanager
def open_job(job: ImageJob, settings: InferSettings) -> Iterator[ImageSource]:
    """Open the image of a job, as `open_resolved`.

    Raises
    ------
    InputError
        As there, or the image is not the one that the job was made from.
    """
    with open_resolved(job.path, settings) as source:
        if source.shape[1:] != job.shape[1:] or source.planes[job.index : job.index + 1] != (job.plane,):
            raise changed_while_read(job.path)
        yield source


@contextmanager
def open_resolved(path: Path, settings: InferSettings) -> Iterator[ImageSource]:
    """Open an image, at `--level` or `--um-per-px` where one of them is given.

    Raises
    ------
    InputError
        It cannot be opened, or has no such level or no pixel size.
    """
    with open_image(path, memory=settings.memory) as source:
        yield at_resolution(source, level=settings.level, um_per_px=settings.um_per_px)
