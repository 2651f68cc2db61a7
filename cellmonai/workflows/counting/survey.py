"""What is learnt from the masks before any is counted: planes, pixel sizes, and which values they hold."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError, MemoryBudgetError
from cellmonai.images.find import image_stem
from cellmonai.images.open import open_image
from cellmonai.images.orientation import mask_lies
from cellmonai.instances.mask_kind import MaskLook, look_at_mask
from cellmonai.workflows.in_order import Heard, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from cellmonai.core.interrupts import StopWish
    from cellmonai.core.progress import Reporter
    from cellmonai.core.units import PixelSize
    from cellmonai.images.mask_values import MaskValues
    from cellmonai.images.source import ImageSource
    from cellmonai.workflows.counting.inputs import MaskInput
    from cellmonai.workflows.counting.masks import MaskReader, OpenMask

READ_FAILURES = (InputError, MemoryBudgetError)
"""What one bad file may raise; the others are counted all the same."""

STOPPED = "run the same command again, which continues"


@dataclass(frozen=True, slots=True)
class PlaneJob:
    """One plane of one mask to count.

    Parameters
    ----------
    index : of the plane in its file
    plane : its name, "" when there is only one
    stem : begins the names of its outputs
    shape : (Y, X)
    dtype : of its values
    look : what its values mean
    rank : which one it is of all planes, from 0
    z_step_um : from one depth to the next, None where neither the mask nor its image says
    image_plane, channels : the plane of the image and the names of its channels; None and () where no image is known
    image_as_stored : whether the mask lies as the image is stored, and not as its orientation tag shows it
    """

    mask: MaskInput
    index: int
    plane: str
    stem: str
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    look: MaskLook
    pixel_size_um: PixelSize | None
    image_plane: int | None
    channels: tuple[str, ...] = ()
    image_as_stored: bool = False
    rank: int = 0
    z_step_um: float | None = None

    @property
    def values(self) -> MaskValues:
        """Which values it holds."""
        return self.look.values

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return self.shape[0] * self.shape[1]


@dataclass
class Survey:
    """What the first look at all masks gave; `notes` are what reading chose or left out, each with the masks' names."""

    jobs: list[PlaneJob] = field(default_factory=list)
    failures: dict[str, CellmonaiError] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Image:
    """What the image of a mask tells: its plane for each plane of the mask, its channels and pixel size."""

    planes: Sequence[int | None]
    channels: tuple[str, ...] = ()
    pixel_size_um: PixelSize | None = None
    as_stored: bool = False
    z_step_um: float | None = None


@dataclass(frozen=True, slots=True)
class _Looked:
    """One mask after the first look."""

    mask: MaskInput
    jobs: list[PlaneJob]
    failure: CellmonaiError | None
    said: Heard
    notes: tuple[str, ...] = ()


def survey(
    masks: Sequence[MaskInput],
    reader: MaskReader,
    reporter: Reporter,
    wish: StopWish,
    *,
    pixel_size_um: PixelSize | None,
    threads: int = 1,
) -> Survey:
    """Read every mask once.

    Parameters
    ----------
    masks : what is to be counted
    reader : reads, and may keep what it read
    reporter : told of images that do not fit their mask
    wish : asked between masks whether to stop
    pixel_size_um : as the user gave it; else the mask's own, the record's or the image's
    threads : how many masks are read at a time
    """
    seen = Survey()

    def look(mask: MaskInput) -> _Looked:
        said = Heard()
        try:
            with reader.open(mask.path) as opened:
                quiet = tuple(note for note in opened.notes if note not in opened.warnings)
                return _Looked(mask, _jobs(mask, opened, said, pixel_size_um), None, said, quiet)
        except READ_FAILURES as error:
            return _Looked(mask, [], error, said)

    for looked in in_order(look, masks, threads=threads):
        wish.check(STOPPED)
        looked.said.repeat_to(reporter)
        seen.jobs += looked.jobs
        for note in looked.notes:
            seen.notes.setdefault(note, []).append(looked.mask.name)
        if looked.failure is not None:
            seen.failures[looked.mask.name] = looked.failure
    for note, names in seen.notes.items():
        reporter.note(f"{names[0]}{f' and {len(names) - 1:,} more' if len(names) > 1 else ''}: {note}")
    seen.jobs = [replace(job, rank=rank) for rank, job in enumerate(_with_distinct_stems(seen.jobs))]
    return seen


def _jobs(mask: MaskInput, opened: OpenMask, said: Heard, pixel_size_um: PixelSize | None) -> list[PlaneJob]:
    for sentence in opened.warnings:
        said.warn("missing_chunks", sentence, mask.name)
    image = _image_of(mask, opened, said)
    jobs = []
    for index, (plane, rows) in enumerate(zip(opened.planes, opened.rows, strict=True)):
        jobs.append(
            PlaneJob(
                mask=mask,
                index=index,
                plane=plane or mask.image_plane,  # `infer` writes a file per plane, and records which
                stem=_stem(mask, plane),
                shape=opened.shape,
                dtype=rows.rows(0, 1).dtype,
                look=look_at_mask(rows, stem=image_stem(mask.path)),
                pixel_size_um=pixel_size_um or opened.pixel_size_um or mask.pixel_size_um or image.pixel_size_um,
                image_plane=image.planes[index],
                channels=image.channels,
                image_as_stored=image.as_stored,
                z_step_um=opened.z_step_um or image.z_step_um,
            )
        )
    return jobs


def _image_of(mask: MaskInput, opened: OpenMask, said: Heard) -> _Image:
    nothing = _Image([None] * len(opened.planes))
    if mask.image is None:
        return nothing
    try:
        with open_image(mask.image) as image:
            for sentence in image.warnings:
                said.warn("missing_chunks", f"of its image, {sentence}", mask.name)
            if not _lies_as_stored(image, mask, opened, said):
                return _as_image(_matching_planes(mask, opened, image), image)
        with open_image(mask.image, as_stored=True) as image:
            return replace(_as_image(_matching_planes(mask, opened, image), image), as_stored=True)
    except READ_FAILURES as error:
        if mask.image_is_given:
            raise
        said.warn("image_unused", f"its image cannot be used: {error.sentence}", mask.name)
        return nothing


def _lies_as_stored(image: ImageSource, mask: MaskInput, opened: OpenMask, said: Heard) -> bool:
    """Tell whether a mask lies as its image is stored; masks of `infer` lie as it is shown."""
    lies = mask_lies(image.orientation, image.shape[1:], opened.shape, mask_orientation=opened.orientation)
    if lies == "unsure" and mask.image_is_given:
        what = "its image has an orientation tag and the mask has none; both were taken as they are shown"
        said.warn("orientation_unsure", what, mask.name)
    return lies == "stored"


def _as_image(planes: Sequence[int | None], source: ImageSource) -> _Image:
    return _Image(planes, source.channels, source.pixel_size_um, z_step_um=source.z_step_um)


def _matching_planes(mask: MaskInput, opened: OpenMask, image: ImageSource) -> list[int | None]:
    shape, image_planes = image.shape[1:], image.planes
    cure = "give the image that the mask was made from"
    if opened.shape != shape:
        what = f"the mask is {_size(opened.shape)} px and the image {_size(shape)} px"
        raise InputError(what, where=str(mask.image), cure=cure)
    if mask.image_plane in image_planes and len(opened.planes) == 1:
        return [image_planes.index(mask.image_plane)]
    if len(opened.planes) != len(image_planes):
        what = f"the mask has {len(opened.planes)} planes and the image {len(image_planes)}"
        raise InputError(what, where=str(mask.image), cure=cure)
    return list(range(len(opened.planes)))


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
