"""Infer: find the images and the model, run it by windows, and write masks and probability maps."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import CellmonaiError, InputError
from cellmonai.core.files import refuse_existing, remove_orphans
from cellmonai.core.interrupts import StopWish, stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent, Stage, Warned
from cellmonai.core.record import RunRecord
from cellmonai.core.units import readable_bytes
from cellmonai.images.find import find_images
from cellmonai.workflows.inferring.image import ImageDone, held_bytes, infer_image
from cellmonai.workflows.inferring.jobs import IMAGE_FAILURES, ImageJob, Survey, survey
from cellmonai.workflows.inferring.model import ChosenModel, choose_model, pixel_size_differs
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellmonai.inference.plan import Plan
    from cellmonai.inference.predictor import Predictor

RECORD = "run.json"
_AGAIN = "run the same command again with --overwrite"


@dataclass(frozen=True, slots=True)
class InferResult:
    """What `infer` wrote: one entry per image and plane, and the reason for each image that failed.

    `engine` says how the network ran (device, engine, precision, stitch, threads); `peak_memory_bytes` is None where
    the system does not tell it.
    """

    inputs: tuple[str, ...]
    output: Path
    model: Path
    engine: Mapping[str, Any]
    images: tuple[ImageDone, ...]
    failures: Mapping[str, str]
    warnings: tuple[Warned, ...]
    seconds: float
    peak_memory_bytes: int | None

    def as_json(self) -> dict[str, Any]:
        """Give the document of `cellmonai.infer/1`."""
        files = [name for image in self.images for name in image.outputs]
        return {
            "schema": "cellmonai.infer/1",
            "version": version("cellmonai"),
            "command": "infer",
            "inputs": list(self.inputs),
            "outputs": [(self.output / name).as_posix() for name in [*files, RECORD]],
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "model": str(self.model),
            **{key: self.engine[key] for key in ("device", "engine", "precision", "stitch")},
            "images": [image.as_json() for image in self.images],
            "partial": bool(self.failures),
            "failures": [{"image": image, "reason": reason} for image, reason in self.failures.items()],
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def infer(
    images: Sequence[Path], *, settings: InferSettings | None = None, reporter: Reporter | None = None
) -> InferResult:
    """Run a model over images of any size that fit in memory; writes masks, probability maps and a run record.

    Parameters
    ----------
    images : files, folders and globs
    settings : the model, how to run it, and where results go
    reporter : told of decisions, progress and warnings

    Raises
    ------
    InputError
        No image, no model, or every image failed.
    UsageError
        An option that the network or the machine cannot honour.
    MemoryBudgetError
        Every image needs more memory than there is.
    OutputError, LockedError
        A result exists or cannot be written; another run writes there.
    InterruptedRunError
        Ctrl-C; finished images stay, the record is not written.
    """
    settings, reporter = settings or InferSettings(), reporter or Silent()
    record = RunRecord("infer", settings.as_json())
    paths = find_images(images)
    _refuse_output_among(paths, settings.output)
    model = choose_model(settings.model, threshold=settings.threshold)
    reporter.note(f"model: {model.path} ({model.reason}); network: {model.card.network}")
    seen = survey(paths, model.card, settings)
    if not seen.jobs:
        raise _nothing_worked(seen.failures)
    _refuse_outputs(seen.jobs, settings)
    predictor = _load(model, settings)
    plans = _plans(seen, predictor, settings, reporter)
    with folder_lock(settings.output) as is_held:
        if is_held:
            remove_orphans(settings.output)
        if settings.overwrite:  # an old record must not describe a folder that is being rewritten
            (settings.output / RECORD).unlink(missing_ok=True)
        done = _infer_all(plans, seen.failures, predictor, model, settings, reporter)
        if not done:
            raise _nothing_worked(seen.failures)
        _warn(done, seen.failures, model, reporter)
        result = InferResult(
            inputs=tuple(str(path) for path in images),
            output=settings.output,
            model=model.path,
            engine=predictor.facts(),
            images=tuple(done),
            failures={name: error.sentence for name, error in seen.failures.items()},
            warnings=tuple(reporter.warnings),
            seconds=record.seconds,
            peak_memory_bytes=peak_memory_bytes(),
        )
        _write_record(record, result, model, settings)
    return result


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
        device=settings.device,
        precision=settings.precision,
        window=settings.window or "auto",
        stitch=settings.stitch,
        memory=settings.memory,
        cut=settings.sliding_window,
    )


def _plans(
    seen: Survey, predictor: Predictor, settings: InferSettings, reporter: Reporter
) -> list[tuple[ImageJob, Plan]]:
    """Plan every image before the first is done, and say what it will take."""
    plans: list[tuple[ImageJob, Plan]] = []
    for job in seen.jobs:
        if str(job.path) not in seen.failures:
            try:
                plans.append((job, predictor.plan(job.shape, held_bytes=held_bytes(job, settings))))
            except IMAGE_FAILURES as error:
                seen.failures[str(job.path)] = type(error)(error.what, where=str(job.path), cure=error.cure)
    plans = [(job, plan) for job, plan in plans if str(job.path) not in seen.failures]
    if not plans:
        raise _nothing_worked(seen.failures)
    facts = predictor.facts()
    reporter.note(f"running on {facts['device']} ({facts['device_reason']}) in {facts['precision']}")
    windows = sum(plan.windows for _, plan in plans)
    largest = max((plan.largest for _, plan in plans), key=lambda sides: sides[0] * sides[1])
    needed = max(plan.image_bytes + plan.window_bytes for _, plan in plans)
    reporter.note(
        f"{_amount(len(plans), 'image')}, {sum(job.pixels for job, _ in plans) / 1e6:.3g} Mpx, in "
        f"{_amount(windows, 'window')} of up to {largest[1]} x {largest[0]} px ({facts['stitch']}); "
        f"about {readable_bytes(needed)} of memory beside the program itself"
    )
    if facts["stitch"] != "exact" and any(plan.windows > 1 for _, plan in plans):
        reporter.warn("blended", _blended(predictor, settings))
    return plans


def _blended(predictor: Predictor, settings: InferSettings) -> str:
    ending = "results near their seams depend on where windows lie, so cells there may be lost, doubled or invented"
    if predictor.rules.tile_exact:
        return f"windows are averaged ({settings.stitch}) though exact would equal the whole image; {ending}"
    return (
        "this network's result depends on everything its window holds (instance norm, squeeze-excite or the like); "
        f"windows are averaged, and {ending}, above all beside empty areas. A larger --window lowers it"
    )


def _infer_all(
    plans: Sequence[tuple[ImageJob, Plan]],
    failures: dict[str, CellmonaiError],
    predictor: Predictor,
    model: ChosenModel,
    settings: InferSettings,
    reporter: Reporter,
) -> list[ImageDone]:
    done: list[ImageDone] = []
    total = sum(job.pixels for job, _ in plans) / 1e6
    with stop_wish() as wish, reporter.stage("finding cells", total) as stage:
        pace = _Pace(stage, wish)
        for job, plan in plans:
            wish.check(_AGAIN)
            pace.begin(job)
            try:
                done.append(infer_image(job, plan, predictor, model, settings, pace.after_window))
            except IMAGE_FAILURES as error:
                failures[str(job.path)] = error
            pace.end()
        wish.check(_AGAIN)
    return [image for image in done if str(image.job.path) not in failures]


class _Pace:
    """Progress in Mpx with the rate so far, and the point after each window where stopping is safe."""

    def __init__(self, stage: Stage, wish: StopWish) -> None:
        self._stage, self._wish = stage, wish
        self._started = time.monotonic()
        self._all = 0.0
        self._left = 0.0
        self._name = ""

    def begin(self, job: ImageJob) -> None:
        self._name, self._left = job.stem, float(job.pixels)

    def after_window(self, px: float) -> None:
        self._wish.check(_AGAIN)
        self._move(min(px, self._left))

    def end(self) -> None:
        if self._left > 0:  # it failed; the bar goes on to the next image
            self._move(self._left)

    def _move(self, px: float) -> None:
        self._left -= px
        self._all += px
        rate = self._all / 1e6 / max(time.monotonic() - self._started, 1e-6)
        self._stage.advance(px / 1e6, note=f"{self._name}, {rate:.2f} Mpx/s")


def _warn(
    done: Sequence[ImageDone], failures: Mapping[str, CellmonaiError], model: ChosenModel, reporter: Reporter
) -> None:
    for name, error in failures.items():
        reporter.warn("failed", error.sentence.rstrip("."), None if name in error.where else name)
    for image in done:
        if pixel_size_differs(model.card, image.job.pixel_size_um):
            reporter.warn("pixel_size", _pixel_sizes(image.job, model), str(image.job.path))
    if not any(image.foreground_px for image in done):
        reporter.warn(
            "no_foreground",
            f"no cells in any of {_amount(len(done), 'image')}. Three likely reasons: another channel than the model "
            "was trained on (--channel); another magnification; dark cells where it knows bright ones (--invert)",
        )


def _pixel_sizes(job: ImageJob, model: ChosenModel) -> str:
    here, trained = (f"{y:g} x {x:g} µm" for y, x in (job.pixel_size_um or (0, 0), model.card.pixel_size_um or (0, 0)))
    return (
        f"its pixels are {here} and the model was trained on {trained}; cells of another size in pixels may be missed "
        "or split, so scale the image or train on such images"
    )


def _write_record(record: RunRecord, result: InferResult, model: ChosenModel, settings: InferSettings) -> None:
    record.facts = {
        "inputs": list(result.inputs),
        "operating_point": model.point.as_json(),
        "model": model.as_json(),
        **result.engine,
        "peak_memory_bytes": result.peak_memory_bytes,
    }
    record.images = [image.as_record() for image in result.images]
    record.images += [
        {"image": name, "plane": "", "status": "failed", "reason": why} for name, why in result.failures.items()
    ]
    record.write(settings.output / RECORD, list(result.warnings))


def _refuse_output_among(paths: Sequence[Path], output: Path) -> None:
    if output.resolve() in {path.resolve().parent for path in paths}:
        raise InputError(
            "the output folder holds the images, and masks would be taken for images next time",
            where=str(output),
            cure="choose another --output",
        )


def _refuse_outputs(jobs: Sequence[ImageJob], settings: InferSettings) -> None:
    """Refuse before any work what would be replaced at its end."""
    names = [name for job in jobs for name in (job.mask, job.maps, *job.pictures(settings.pictures))]
    refuse_existing((settings.output / name for name in (*names, RECORD)), overwrite=settings.overwrite)


def _nothing_worked(failures: Mapping[str, CellmonaiError]) -> CellmonaiError:
    """Give the error of a run in which every image failed; of one kind only, its own exit code says which."""
    errors = list(failures.values())
    if len(errors) == 1:
        return errors[0]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else InputError
    return kind(f"none of the {len(errors)} images could be done; the first: {errors[0].sentence.rstrip('.')}")


def peak_memory_bytes() -> int | None:
    """Give the largest memory that this process has held so far, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _amount(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
