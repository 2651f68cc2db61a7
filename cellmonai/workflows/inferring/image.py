"""One plane from pixels to files: read, scale, predict, threshold, write."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.channels import is_grey_rgb, strongest_channel
from cellmonai.images.write import write_maps, write_mask, write_png
from cellmonai.instances.find import foreground
from cellmonai.workflows.inferring.pictures import Scene, draw
from cellmonai.workflows.inferring.resolution import open_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.inference.plan import Plan
    from cellmonai.inference.predictor import Predictor
    from cellmonai.workflows.inferring.jobs import ImageJob, WantedChannels
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings


@dataclass(frozen=True, slots=True)
class ImageDone:
    """One finished plane.

    Of its windows some were `skipped` as background and some `repeated` from an equal flat one; `resumed_blocks` were
    done by a run before, and `damaged_blocks` too, but had to be done again. `shown` says by kind of picture what it
    shows, `seams` what came of running windows again, `scaling` how its intensities were scaled
    (`images.normalise.Scaling`); `begun_window` are the (Y, X) in px of windows that a run before began with, where
    others would have been taken now.
    """

    job: ImageJob
    windows: int
    seconds: float
    foreground_px: int
    sha256: str
    outputs: tuple[str, ...]
    shown: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    skipped: int = 0
    repeated: int = 0
    resumed_blocks: int = 0
    damaged_blocks: int = 0
    seams: Mapping[str, Any] | None = None
    scaling: Mapping[str, Any] | None = None
    begun_window: tuple[int, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the entry of `--json`."""
        job = self.job
        return {
            "image": str(job.path),
            "plane": job.plane,
            "mask": job.mask,
            "maps": job.maps if job.maps in self.outputs else None,
            "shape": list(job.shape[1:]),
            "windows": self.windows,
            "skipped_windows": self.skipped,
            "repeated_windows": self.repeated,
            "seconds": round(self.seconds, 3),
            "mpx_per_second": round(job.pixels / 1e6 / max(self.seconds, 1e-6), 4),
            "resumed_blocks": self.resumed_blocks,
            "damaged_blocks": self.damaged_blocks,
            "seams": None if self.seams is None else dict(self.seams),
            "foreground_share": round(self.foreground_px / job.pixels, 6),
        }

    def as_record(self) -> dict[str, Any]:
        """Give the entry of the run record, which `count` reads."""
        size = self.job.pixel_size_um
        return {
            **self.as_json(),
            "status": "done",
            "pixel_size_um": list(size) if size else None,
            "channels": list(self.job.channels),
            "notes": list(self.job.notes),
            "sha256": self.sha256,
            "scaling": None if self.scaling is None else dict(self.scaling),
            **({"pictures": dict(self.shown)} if self.shown else {}),
        }


def held_bytes(job: ImageJob, settings: InferSettings) -> int:
    """Give what is held beside normalised image and maps: stored pixels, a copy while they are scaled, pictures."""
    stored = len(job.channels) * job.itemsize + 4 * job.shape[0]
    attention = 6 if "attention" in settings.pictures else 0  # maps of 4 bytes at full size, half of it, a quarter, ...
    return job.pixels * (stored + (4 if settings.pictures else 0) + attention)


def infer_image(
    job: ImageJob,
    plan: Plan,
    predictor: Predictor,
    model: ChosenModel,
    settings: InferSettings,
    after_window: Callable[[float], None],
) -> ImageDone:
    """Do one plane and write its files; the mask comes last.

    Raises
    ------
    InputError
        Its pixels cannot be read, or are colour where the model takes grey.
    MemoryBudgetError
        It needs more memory than there is.
    OutputError
        A file cannot be written.
    """
    started = time.monotonic()
    pixels, digest = read_pixels(job, model.wants, settings)
    seen = inverted(pixels) if settings.invert else pixels
    scaling = model.card.normalisation.scaling_for(seen)
    scaled = scaling.apply(seen)
    del seen
    if not settings.pictures:
        del pixels
    maps = predictor.predict(scaled, plan=plan, after_window=after_window)
    if not settings.pictures:
        del scaled
    probability = maps[model.card.outputs.index("foreground")]
    mask = foreground(probability, model.point.threshold)
    folder, size, overwrite = settings.output, job.pixel_size_um, settings.overwrite
    names, kind = model.card.outputs, settings.maps_dtype
    write_maps(folder / job.maps, maps, names=names, pixel_size_um=size, dtype=kind, overwrite=overwrite)
    pictures = job.pictures(settings.pictures)
    shown: dict[str, Mapping[str, Any]] = {}
    for kind_of_picture, name in zip(settings.pictures, pictures, strict=True):
        scene = Scene(plan, pixels, scaled, maps, mask, after_window)
        drawn, facts = draw(kind_of_picture, scene, predictor, model.card, settings)
        write_png(folder / name, drawn, overwrite=overwrite)
        shown |= {kind_of_picture: facts} if facts else {}
    write_mask(folder / job.mask, mask, pixel_size_um=size, overwrite=overwrite)
    seconds, found = time.monotonic() - started, int(np.count_nonzero(mask))
    files = (job.mask, job.maps, *pictures)
    return ImageDone(job, plan.windows, seconds, found, digest, files, shown, scaling=scaling.as_json())


def inverted(pixels: NDArray[Any]) -> NDArray[Any]:
    """Swap bright and dark, in the same range: of the type for whole numbers, of the image for others."""
    if pixels.dtype.kind == "f":
        flipped: NDArray[Any] = pixels.max() + pixels.min() - pixels
    else:  # the largest number minus the value; for signed ones -1 minus the value
        flipped = np.invert(pixels)
    return flipped


def read_pixels(job: ImageJob, wanted: WantedChannels, settings: InferSettings) -> tuple[NDArray[Any], str]:
    """Read the channels of a plane, (C, Y, X) in the stored type, and the file's digest.

    Raises
    ------
    InputError
        They cannot be read, or are colour where one channel is wanted.
    MemoryBudgetError
        They are over the budget.
    """
    with open_job(job, settings) as source:
        pixels = source.read(channels=job.channels, plane=job.index)
        if job.grey:
            pixels = _grey(pixels, job.path, source.channels, wanted)
        return pixels, source.fingerprint


def _grey(pixels: NDArray[Any], path: Path, names: tuple[str, ...], wanted: WantedChannels) -> NDArray[Any]:
    if not is_grey_rgb(pixels):
        raise InputError(
            f"it has 3 different channels ({', '.join(names)}) and {wanted.sentence}",
            where=str(path),
            cure=f"choose one, as --channel {names[strongest_channel(pixels)]}, which varies most",
        )
    return pixels[:1]
