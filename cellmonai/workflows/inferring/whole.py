"""Images held in memory, for pictures that explain a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.units import readable_bytes
from cellmonai.workflows.inferring.failures import amount, nothing_worked
from cellmonai.workflows.inferring.image import ImageDone, held_bytes, infer_image
from cellmonai.workflows.inferring.jobs import IMAGE_FAILURES, ImageJob, Survey
from cellmonai.workflows.inferring.pictures import require_network_for_pictures, require_room_for_pictures
from cellmonai.workflows.inferring.seam_words import blended_warning

if TYPE_CHECKING:
    from collections.abc import Callable

    from cellmonai.core.progress import Reporter
    from cellmonai.inference.plan import Plan
    from cellmonai.inference.predictor import Predictor
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings


class WholeImages:
    """A network over images that fit in memory; torch is imported by `prepare`."""

    def __init__(self, model: ChosenModel, settings: InferSettings) -> None:
        self._chosen, self._settings = model, settings
        self._predictor: Predictor | None = None
        self._plans: dict[ImageJob, Plan] = {}

    def prepare(self, seen: Survey, reporter: Reporter) -> list[ImageJob]:
        """Load the network, plan every image before the first is done, and say what it will take.

        Raises
        ------
        UsageError
            An option that the network or the machine cannot honour.
        MemoryBudgetError
            Every image needs more memory than there is.
        """
        self._predictor = predictor = _load(self._chosen, self._settings)
        require_network_for_pictures(predictor, self._settings)
        for job in seen.jobs:
            if str(job.path) not in seen.failures:
                try:
                    plan = predictor.plan(job.shape, held_bytes=held_bytes(job, self._settings))
                    require_room_for_pictures(predictor, plan, job, self._settings)
                    self._plans[job] = plan
                except IMAGE_FAILURES as error:
                    seen.failures[str(job.path)] = type(error)(error.what, where=str(job.path), cure=error.cure)
        self._plans = {job: plan for job, plan in self._plans.items() if str(job.path) not in seen.failures}
        if not self._plans:
            raise nothing_worked(seen.failures)
        self._tell(predictor, reporter)
        return list(self._plans)

    def find(self, job: ImageJob, advance: Callable[[float], None]) -> ImageDone:
        """Do one plane and write its files."""
        assert self._predictor is not None
        return infer_image(job, self._plans[job], self._predictor, self._chosen, self._settings, advance)

    planes_at_once = 1

    def close(self) -> None:
        """Let go of nothing."""

    def facts(self) -> dict[str, Any]:
        """Give device, engine, precision, stitch and threads."""
        assert self._predictor is not None
        return self._predictor.facts()

    def _tell(self, predictor: Predictor, reporter: Reporter) -> None:
        plans, facts = self._plans, predictor.facts()
        reporter.note(f"running on {facts['device']} ({facts['device_reason']}) in {facts['precision']}")
        windows = sum(plan.windows for plan in plans.values())
        largest = max((plan.largest for plan in plans.values()), key=lambda sides: sides[0] * sides[1])
        needed = max(plan.image_bytes + plan.window_bytes for plan in plans.values())
        reporter.note(
            f"{amount(len(plans), 'image')}, {sum(job.pixels for job in plans) / 1e6:.3g} Mpx, in "
            f"{amount(windows, 'window')} of up to {largest[1]} x {largest[0]} px ({facts['stitch']}); "
            f"about {readable_bytes(needed)} of memory beside the program itself"
        )
        if facts["stitch"] != "exact" and any(plan.windows > 1 for plan in plans.values()):
            exact = predictor.rules.tile_exact
            reporter.warn("blended", blended_warning(predictor.stitch, tile_exact=exact))


def _load(model: ChosenModel, settings: InferSettings) -> Predictor:
    # torch takes seconds to import, and every error above comes without it
    from cellmonai.inference.devices import choose_device, choose_precision
    from cellmonai.inference.predictor import Predictor
    from cellmonai.models.load import load_model

    choose_precision(settings.precision, choose_device(settings.device))
    card = model.card
    return Predictor(
        load_model(model.path).net,
        radius_px=card.radius_px,
        divisor=card.divisor,
        tile_exact=card.tile_exact,
        activation=card.activation,
        device=settings.device,
        precision=settings.precision,
        window=settings.window or "auto",
        stitch=settings.stitch,
        memory=settings.memory,
        cut=settings.sliding_window,
    )
