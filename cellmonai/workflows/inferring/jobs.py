"""What `infer` has to do, known from headers alone: one job per plane, with its channels and the names of its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError, MemoryBudgetError
from cellmonai.images.find import image_stem
from cellmonai.workflows.inferring.resolution import open_resolved
from cellmonai.workflows.output_names import distinct_names, require_short_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.units import PixelSize
    from cellmonai.images.source import ImageSource
    from cellmonai.workflows.inferring.settings import InferSettings

IMAGE_FAILURES = (InputError, MemoryBudgetError)
"""What one bad image may raise; the others are done all the same."""

_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."


@dataclass(frozen=True, slots=True)
class WantedChannels:
    """What is to be read of every image: how many channels, and their names where these are known.

    `who` takes them, in the words of an error: the model, or a method without training.
    """

    count: int
    names: tuple[str, ...] = ()
    who: str = "the model"

    @property
    def sentence(self) -> str:
        """Who takes how many of which, as `the model takes 1 (nuclei)`."""
        return f"{self.who} takes {self.count}" + (f" ({', '.join(self.names)})" if self.names else "")


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One plane of one image.

    `channels` are the indices that are read; `grey` says that they are the three of a colour picture, which can be
    taken for one only if they are equal. `stem` begins the names of all its files. `shape` is (C, Y, X) of what the
    model sees, `itemsize` the bytes of a stored value.
    """

    path: Path
    plane: str
    index: int
    stem: str
    shape: tuple[int, int, int]
    channels: tuple[int, ...]
    grey: bool
    itemsize: int
    pixel_size_um: PixelSize | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Pixels of the plane."""
        return self.shape[1] * self.shape[2]

    @property
    def mask(self) -> str:
        """Name of the mask."""
        return f"{self.stem}_mask.tif"

    @property
    def maps(self) -> str:
        """Name of the maps."""
        return f"{self.stem}_maps.zarr"

    def pictures(self, kinds: Sequence[str]) -> list[str]:
        """Names of the pictures of these kinds."""
        return [f"{self.stem}_{kind}.png" for kind in kinds]

    @property
    def work(self) -> str:
        """Name of the hidden folder in which it lies while it is in work."""
        return f".{self.stem}.work"

    def file_names(self, pictures: Sequence[str]) -> list[str]:
        """Names of everything that is written about it."""
        return [self.mask, self.maps, self.work, *self.pictures(pictures)]


@dataclass(frozen=True, slots=True)
class Survey:
    """The jobs, in the order of the images, and the failures by image."""

    jobs: tuple[ImageJob, ...]
    failures: dict[str, CellmonaiError]


def survey(
    paths: Sequence[Path], wanted: WantedChannels, settings: InferSettings, *, mine: Sequence[Path] | None = None
) -> Survey:
    """Open every image once and decide what is read of it and what its files are called.

    Parameters
    ----------
    paths : of all images, whose names must differ
    mine : those of them that are done here; None is all
    """
    jobs: list[ImageJob] = []
    failures: dict[str, CellmonaiError] = {}
    for path in paths if mine is None else mine:
        try:
            with open_resolved(path, settings) as source:
                jobs.extend(_jobs_of(source, wanted, settings))
        except IMAGE_FAILURES as error:
            failures[str(path)] = error
    names = dict(zip(paths, distinct_names(paths, [image_stem(path) for path in paths]), strict=True))
    named = [replace(job, stem="_".join(filter(None, (names[job.path], job.stem)))) for job in jobs]
    _refuse_equal_stems(named)
    for job in named:
        try:
            require_short_names(job.file_names(settings.pictures), settings.output, of=job.path)
        except InputError as error:
            failures.setdefault(str(job.path), error)
    return Survey(tuple(job for job in named if str(job.path) not in failures), failures)


def _jobs_of(source: ImageSource, wanted: WantedChannels, settings: InferSettings) -> list[ImageJob]:
    channels = _channels(source, wanted, settings.channels)
    chosen = _planes(source, settings.planes)
    return [
        ImageJob(
            path=source.path,
            plane=plane,
            index=index,
            stem="".join(letter if letter in _SAFE else "-" for letter in plane),
            shape=(wanted.count, *source.shape[1:]),
            channels=channels,
            grey=len(channels) != wanted.count,
            itemsize=source.dtype.itemsize,
            pixel_size_um=source.pixel_size_um,
            notes=tuple(source.notes),
            warnings=source.warnings,
        )
        for index, plane in enumerate(source.planes)
        if index in chosen
    ]


def _planes(source: ImageSource, named: Sequence[str]) -> set[int]:
    """Give the indices of the planes that are named; of all where none is."""
    chosen = set(range(len(source.planes))) if not named else set()
    for word in named:
        found = {index for index, plane in enumerate(source.planes) if fnmatchcase(plane.casefold(), word.casefold())}
        if not found and word.isdecimal() and int(word) < len(source.planes):
            found = {int(word)}
        if not found:
            several = len(source.planes) > 1
            what = f"its planes are {_shortened(source.planes)}" if several else "it has a single one"
            raise InputError(
                f"it has no plane {word!r}, {what}",
                where=str(source.path),
                cure=f"give one of these names, a pattern as {source.planes[0][:2]}*, or a number from 0"
                if several
                else "leave --plane out",
            )
        chosen |= found
    return chosen


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])}, …, {names[-1]} ({len(names)} in all)"


def _channels(source: ImageSource, wanted: WantedChannels, named: Sequence[str]) -> tuple[int, ...]:
    if named:
        chosen = tuple(_index(word, source) for word in named)
        if len(chosen) != wanted.count:
            raise InputError(
                f"--channel names {len(chosen)} of its channels and {wanted.who} takes {wanted.count}",
                where=str(source.path),
                cure=f"give --channel {wanted.count} times" if wanted.count > 1 else "give --channel once",
            )
        return chosen
    count = source.shape[0]
    # by name where the names say something: numbers only say where a channel lies in files with as many channels
    says = not any(name.isdecimal() for name in wanted.names)
    if wanted.names and (says or count == wanted.count) and set(wanted.names) <= set(source.channels):
        return tuple(source.channels.index(name) for name in wanted.names)
    # three channels may be grey stored as colour, which only the pixels tell
    if count == wanted.count or (count == 3 and wanted.count == 1):
        return tuple(range(count))
    raise InputError(
        f"it has {count} channels ({', '.join(source.channels)}) and {wanted.sentence}",
        where=str(source.path),
        cure="choose them with --channel" if count > wanted.count else "give images with all of them",
    )


def _index(word: str, source: ImageSource) -> int:
    if word in source.channels:
        return source.channels.index(word)
    folded = [name.casefold() for name in source.channels]
    if folded.count(word.casefold()) == 1:
        return folded.index(word.casefold())
    if word.isdecimal() and int(word) < len(source.channels):
        return int(word)
    raise InputError(
        f"it has no channel {word!r}, its channels are {', '.join(source.channels)}",
        where=str(source.path),
        cure=f"give one of these names or a number from 0 to {len(source.channels) - 1}",
    )


def _refuse_equal_stems(jobs: Sequence[ImageJob]) -> None:
    seen: dict[str, ImageJob] = {}
    for job in jobs:
        other = seen.setdefault(job.stem.casefold(), job)
        if other is not job:
            raise InputError(
                f"it and {other.path} would both write {job.mask}", where=str(job.path), cure="do them one at a time"
            )
