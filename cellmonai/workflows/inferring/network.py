"""Cells found by a trained network, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from cellmonai.core.errors import UsageError
from cellmonai.inference.int8_difference import Int8Difference
from cellmonai.workflows.inferring.blockwise import BlockByBlock
from cellmonai.workflows.inferring.failures import amount
from cellmonai.workflows.inferring.int8 import refuse_beside_int8
from cellmonai.workflows.inferring.model import choose_model, pixel_size_differs
from cellmonai.workflows.inferring.pictures import require_maps_for_pictures
from cellmonai.workflows.inferring.settings import EXPLANATIONS
from cellmonai.workflows.inferring.whole import WholeImages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.models.file import ModelCard
    from cellmonai.workflows.inferring.image import ImageDone
    from cellmonai.workflows.inferring.jobs import ImageJob, Survey, WantedChannels
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings


class Way(Protocol):
    """How a network goes over images; torch, where it is needed, is imported by `prepare`."""

    def prepare(self, seen: Survey, reporter: Reporter) -> list[ImageJob]:
        """Give the jobs that fit in memory; the others go to the failures of `seen`."""
        ...

    def find(self, job: ImageJob, advance: Callable[[float], None]) -> ImageDone:
        """Do one plane and write its files."""
        ...

    @property
    def planes_at_once(self) -> int:
        """How many planes may be done side by side."""
        ...

    def close(self) -> None:
        """Let go of what was begun outside this process."""
        ...

    def facts(self) -> dict[str, Any]:
        """Give device, engine, precision, stitch and threads."""
        ...


class NetworkFinder:
    """A model, and how it runs; torch is imported when images are prepared, after all that can be refused before.

    Raises
    ------
    InputError
        There is no model, or it cannot be read.
    """

    method = None
    empty_reasons = (
        "another channel than the model was trained on (--channel); another magnification; dark cells where it knows "
        "bright ones (--invert)"
    )

    def __init__(self, settings: InferSettings) -> None:
        self._settings = settings
        self._chosen = choose_model(settings.model, threshold=settings.threshold)
        require_maps_for_pictures(self._chosen.card, settings)
        blockwise = _is_blockwise(self._chosen.card, settings)
        refuse_beside_int8(settings, blockwise=blockwise)
        if (settings.tta != "none" or settings.mc_dropout) and not blockwise:
            raise UsageError(
                "views and passes are averaged only where windows equal the whole image",
                where="--tta" if settings.tta != "none" else "--mc-dropout",
                cure="leave it out, or --stitch and pictures of explanations",
            )
        if settings.engine == "openvino" and (not blockwise or settings.mc_dropout):
            raise UsageError(
                "OpenVINO runs windows that equal the whole image, without explanations and dropout",
                where="--engine openvino",
                cure="leave it out, or --stitch, --mc-dropout and pictures of explanations",
            )
        if settings.skip_background and not blockwise:
            raise UsageError(
                "windows can be left out only where they equal the whole image",
                where="--skip-background",
                cure="leave it out, or --stitch and pictures of explanations",
            )
        if (settings.workers is not None or settings.scheduler is not None) and not blockwise:
            raise UsageError(
                "workers do windows that equal the whole image, without explanations",
                where="--workers" if settings.workers is not None else "--scheduler",
                cure="leave it out, or --stitch and pictures of explanations",
            )
        self._way: Way = (BlockByBlock if blockwise else WholeImages)(self._chosen, settings)

    @property
    def sentence(self) -> str:
        """Which model, and why it was taken."""
        return f"model: {self._chosen.path} ({self._chosen.reason}); network: {self._chosen.card.network}"

    @property
    def wants(self) -> WantedChannels:
        """The channels that the model takes."""
        return self._chosen.wants

    @property
    def model(self) -> Path:
        """The file of the model."""
        return self._chosen.path

    def prepare(self, seen: Survey, reporter: Reporter) -> list[ImageJob]:
        """Load the network, plan every image before the first is done, and say what it will take.

        Raises
        ------
        UsageError
            An option that the network or the machine cannot honour.
        MemoryBudgetError
            Every image needs more memory than there is.
        """
        return self._way.prepare(seen, reporter)

    def find(self, job: ImageJob, advance: Callable[[float], None]) -> ImageDone:
        """Do one plane and write its files."""
        return self._way.find(job, advance)

    @property
    def planes_at_once(self) -> int:
        """How many planes may be done side by side."""
        return self._way.planes_at_once

    def close(self) -> None:
        """Let go of workers."""
        self._way.close()

    def warn(self, done: Sequence[ImageDone], reporter: Reporter) -> None:
        """Warn of images with other pixels than the model was trained on, seams, blocks done again, and int8."""
        if (said := self._way.facts().get("calibration")) and (difference := Int8Difference(**said)).is_large:
            reporter.warn("int8", f"{difference.sentence}; leave --precision out to count as the model was trained")
        for image in done:
            if image.damaged_blocks:
                what = f"{amount(image.damaged_blocks, 'block')} of an earlier run had been damaged and were done again"
                reporter.warn("damaged_blocks", what, str(image.job.path))
            if image.seams and not image.seams["holds"]:
                reporter.warn("seams", _seams(image.seams), str(image.job.path))
            if pixel_size_differs(self._chosen.card, image.job.pixel_size_um):
                reporter.warn("pixel_size", _pixel_sizes(image.job, self._chosen), str(image.job.path))

    def facts(self) -> dict[str, Any]:
        """Give device, engine, precision, stitch and threads."""
        return self._way.facts()

    def as_record(self) -> dict[str, Any]:
        """Give the operating point and the model."""
        return {"operating_point": self._chosen.point.as_json(), "model": self._chosen.as_json()}


def _is_blockwise(card: ModelCard, settings: InferSettings) -> bool:
    """Tell whether planes are done block by block: windows that equal the whole image, and no explanations."""
    exact = card.tile_exact and settings.stitch in ("auto", "exact")
    return exact and not set(settings.pictures) & set(EXPLANATIONS)


def _seams(found: Mapping[str, Any]) -> str:
    return (
        f"windows that were run again elsewhere differ by up to {found['largest_difference']:g} in probability, "
        f"{found['mask_px']} px of the mask and {found['objects']} objects, more than rounding explains; give a larger "
        "--window or --engine torch, and please report it"
    )


def _pixel_sizes(job: ImageJob, model: ChosenModel) -> str:
    here, trained = (f"{y:g} x {x:g} µm" for y, x in (job.pixel_size_um or (0, 0), model.card.pixel_size_um or (0, 0)))
    return (
        f"its pixels are {here} and the model was trained on {trained}; cells of another size in pixels may be missed "
        "or split, so scale the image or train on such images"
    )
