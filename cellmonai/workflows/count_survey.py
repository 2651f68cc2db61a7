"""What is learnt from the masks before any is counted: planes, pixel sizes, and whether they are binary or labels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.core.errors import CellmonaiError, InputError, MemoryBudgetError
from cellmonai.images.labels import MaskImage, read_masks
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.core.units import PixelSize
    from cellmonai.workflows.count_inputs import MaskInput

Kind = Literal["binary", "labels"]

READ_FAILURES = (InputError, MemoryBudgetError)
"""What one bad file may raise; the others are counted all the same."""

_MOST_KEPT_BYTES = 256 * 2**20  # masks up to this sum, or the memory budget, are not read a second time


@dataclass(frozen=True, slots=True)
class PlaneJob:
    """One plane of one mask to count.

    `stem` begins the names of its outputs; `image_plane` is the plane of the image, None where no image is known.
    """

    mask: MaskInput
    index: int
    plane: str
    stem: str
    shape: tuple[int, int]
    pixel_size_um: PixelSize | None
    image_plane: int | None


@dataclass
class MaskReader:
    """Reads masks, and keeps the first ones in memory, as each is needed twice: to learn the kind, and to count."""

    memory: int | None = None
    _kept: dict[Path, list[MaskImage]] = field(default_factory=dict)
    _kept_bytes: int = 0

    def read(self, path: Path) -> list[MaskImage]:
        """Give every plane of a mask."""
        if path in self._kept:
            return self._kept[path]
        planes = read_masks(path, memory=self.memory)
        size = sum(plane.array.nbytes for plane in planes)
        if self._kept_bytes + size <= min(_MOST_KEPT_BYTES, self.memory or _MOST_KEPT_BYTES):
            self._kept[path] = planes
            self._kept_bytes += size
        return planes


@dataclass
class Survey:
    """What the first look at all masks gave."""

    jobs: list[PlaneJob] = field(default_factory=list)
    failures: dict[str, CellmonaiError] = field(default_factory=dict)
    label_like: list[str] = field(default_factory=list)


def survey(
    masks: Sequence[MaskInput], reader: MaskReader, reporter: Reporter, *, pixel_size_um: PixelSize | None
) -> Survey:
    """Read every mask once.

    Parameters
    ----------
    masks : what is to be counted
    reader : reads, and may keep what it read
    reporter : told of images that do not fit their mask
    pixel_size_um : as the user gave it; else the mask's own, the record's or the image's
    """
    seen = Survey()
    for mask in masks:
        try:
            planes = reader.read(mask.path)
            image_planes, image_pixel_size = _image_facts(mask, planes, reporter)
        except READ_FAILURES as error:
            seen.failures[mask.name] = error
            continue
        if any(has_many_values(plane.array) for plane in planes):
            seen.label_like.append(mask.name)
        for index, plane in enumerate(planes):
            size = pixel_size_um or plane.pixel_size_um or mask.pixel_size_um or image_pixel_size
            name = plane.plane or mask.image_plane  # `infer` writes a file per plane, and records which
            stem = _stem(mask, plane.plane)
            seen.jobs.append(PlaneJob(mask, index, name, stem, plane.array.shape, size, image_planes[index]))
    seen.jobs = _with_distinct_stems(seen.jobs)
    return seen


def has_many_values(array: NDArray[Any]) -> bool:
    """Tell whether more than two values occur, as only in a label image."""
    if array.dtype == bool:
        return False
    low, high = array.min(), array.max()
    return bool(((array != low) & (array != high)).any())


def _image_facts(
    mask: MaskInput, planes: Sequence[MaskImage], reporter: Reporter
) -> tuple[list[int | None], PixelSize | None]:
    """Give the plane of the image for each plane of the mask, and the image's pixel size."""
    nothing: tuple[list[int | None], PixelSize | None] = ([None] * len(planes), None)
    if mask.image is None:
        return nothing
    try:
        with open_image(mask.image) as image:
            return _matching_planes(mask, planes, image.shape[1:], image.planes), image.pixel_size_um
    except READ_FAILURES as error:
        if mask.image_is_given:
            raise
        reporter.warn("image_unused", f"its image cannot be used: {error.sentence}", mask.name)
        return nothing


def _matching_planes(
    mask: MaskInput, planes: Sequence[MaskImage], shape: tuple[int, ...], image_planes: Sequence[str]
) -> list[int | None]:
    for plane in planes:
        if plane.array.shape != shape:
            raise InputError(
                f"the mask is {_size(plane.array.shape)} px and the image {_size(shape)} px",
                where=str(mask.image),
                cure="give the image that the mask was made from",
            )
    if mask.image_plane in image_planes and len(planes) == 1:
        return [image_planes.index(mask.image_plane)]
    if len(planes) != len(image_planes):
        raise InputError(
            f"the mask has {len(planes)} planes and the image {len(image_planes)}",
            where=str(mask.image),
            cure="give the image that the mask was made from",
        )
    return list(range(len(planes)))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _stem(mask: MaskInput, plane: str) -> str:
    """Give the start of output names; names of planes come from headers and may hold anything, as `../`."""
    tidy = re.sub(r"[^\w.+-]+", "-", plane).strip(".-")
    return f"{mask.name}_{tidy}" if tidy else mask.name


def _with_distinct_stems(jobs: list[PlaneJob]) -> list[PlaneJob]:
    counts = Counter(job.stem.casefold() for job in jobs)
    return [
        replace(job, stem=f"{job.stem}_plane{job.index}") if counts[job.stem.casefold()] > 1 else job for job in jobs
    ]
