"""Opening an image at the resolution that is asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cellmonai.images.open import open_image
from cellmonai.images.rescale import at_resolution

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cellmonai.images.source import ImageSource
    from cellmonai.workflows.inferring.settings import InferSettings


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
