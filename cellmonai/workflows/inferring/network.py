"""Cells found by a trained network, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from cellmonai.core.errors import UsageError
from cellmonai.inference.int8_difference import Int8Difference
from cellmonai.models.file import WITHOUT_DIGEST
from cellmonai.workflows.inferring.blended import BlendedByBlock
from cellmonai.workflows.inferring.blockwise import BlockByBlock
from cellmonai.workflows.inferring.failures import amount
from cellmonai.workflows.inferring.int8 import refuse_beside_int8
from cellmonai.workflows.inferring.model import choose_model, pixel_size_differs
from cellmonai.workflows.inferring.pictures import require_maps_for_pictures
from cellmonai.workflows.inferring.seam_words import begun_window_warning, seams_note, seams_warning
from cellmonai.workflows.inferring.settings import EXPLANATIONS
from cellmonai.workflows.inferring.whole import WholeImages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
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
        _refuse_beside_explanations(settings)
        refuse_beside_int8(settings, tile_exact=self._chosen.card.tile_exact, explains=_explains(settings))
        if settings.mc_dropout and settings.stitch == "minimum":
            raise UsageError(
                "tiles of the minimum stitch begin anywhere, and patterns of dropout only at steps of the network",
                where="--mc-dropout",
                cure="leave it out, or give another --stitch",
            )
        if settings.engine == "openvino" and settings.mc_dropout:
            raise UsageError(
                "OpenVINO runs networks without dropout", where="--engine openvino", cure="leave it or --mc-dropout out"
            )
        self._way = _way(self._chosen, settings)

    @property
    def sentence(self) -> str:
        """Which model, and why it was taken."""
        unchecked = "" if self._chosen.has_digest else f"; {WITHOUT_DIGEST}"
        return f"model: {self._chosen.path} ({self._chosen.reason}); network: {self._chosen.card.network}{unchecked}"

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
        """Warn of images with other pixels than the model was trained on, seams, what a run before left, and int8."""
        if (said := self._way.facts().get("calibration")) and (difference := Int8Difference(**said)).is_large:
            reporter.warn("int8", f"{difference.sentence}; leave --precision out to count as the model was trained")
        if note := seams_note([image.seams for image in done if image.seams], stitch=self.facts()["stitch"]):
            reporter.note(note)
        for image in done:
            if image.damaged_blocks:
                what = f"{amount(image.damaged_blocks, 'block')} of an earlier run had been damaged and were done again"
                reporter.warn("damaged_blocks", what, str(image.job.path))
            if image.begun_window is not None:
                reporter.warn("window", begun_window_warning(image.begun_window), str(image.job.path))
            if image.seams and not image.seams["holds"]:
                exact = self._chosen.card.tile_exact
                what = seams_warning(image.seams, stitch=self.facts()["stitch"], tile_exact=exact)
                reporter.warn("seams", what, str(image.job.path))
            if pixel_size_differs(self._chosen.card, image.job.pixel_size_um):
                reporter.warn("pixel_size", _pixel_sizes(image.job, self._chosen), str(image.job.path))

    def facts(self) -> dict[str, Any]:
        """Give device, engine, precision, stitch and threads."""
        return self._way.facts()

    def as_record(self) -> dict[str, Any]:
        """Give the operating point and the model."""
        return {"operating_point": self._chosen.point.as_json(), "model": self._chosen.as_json()}


def _way(model: ChosenModel, settings: InferSettings) -> Way:
    """Choose how planes are done: block by block, exact or blended, or in memory where they are to be explained."""
    if _explains(settings):
        return WholeImages(model, settings)
    exact = model.card.tile_exact and settings.stitch in ("auto", "exact")
    return (BlockByBlock if exact else BlendedByBlock)(model, settings)


def _explains(settings: InferSettings) -> bool:
    return bool(set(settings.pictures) & set(EXPLANATIONS))


def _refuse_beside_explanations(settings: InferSettings) -> None:
    """Refuse what is done block by block beside pictures that torch draws of an image in memory.

    Raises
    ------
    UsageError
        There are both.
    """
    options = {
        "--tta": settings.tta != "none",
        "--mc-dropout": bool(settings.mc_dropout),
        "--engine openvino": settings.engine == "openvino",
        "--skip-background": settings.skip_background,
        "--workers": settings.workers is not None,
        "--scheduler": settings.scheduler is not None,
    }
    if not _explains(settings):
        return
    for option, is_set in options.items():
        if is_set:
            raise UsageError(
                "explanations are drawn in this process, of a single pass of torch over an image in memory",
                where=option,
                cure=f"leave it out, or {' and '.join(kind for kind in settings.pictures if kind in EXPLANATIONS)}",
            )


def _pixel_sizes(job: ImageJob, model: ChosenModel) -> str:
    here, trained = (f"{y:g} x {x:g} µm" for y, x in (job.pixel_size_um or (0, 0), model.card.pixel_size_um or (0, 0)))
    return (
        f"its pixels are {here} and the model was trained on {trained}; cells of another size in pixels may be missed "
        "or split, so scale the image or train on such images"
    )
