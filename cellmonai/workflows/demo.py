"""Demo: paint fields whose counts are known, then do what a user does: fit, infer, count and evaluate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.devices import require_device_name
from cellmonai.core.errors import OutputError, UsageError
from cellmonai.core.files import atomic_file, write_text
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent, Stage, Warned
from cellmonai.images.write import write_labels
from cellmonai.simulate import Field, draw_settings, paint_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.workflows.count import CountResult
    from cellmonai.workflows.evaluating.result import EvaluateResult
    from cellmonai.workflows.fit import FitResult
    from cellmonai.workflows.infer import InferResult

UM_PER_PX = 0.65  # of a 10x objective on a common camera; nuclei are then 9 to 15 micrometres wide
FIELD_SHAPE, LARGE_SHAPE = (256, 256), (1024, 1024)
TRAIN_FIELDS, TEST_FIELDS = 24, 7
LARGE_NAME = "large_field"
_EPOCHS_PER_MINUTE = 40  # what two slow cores can do; faster machines are done before the time is up
_SIGNATURE = "# Written by `cellmonai demo`"


@dataclass(frozen=True, slots=True)
class DemoImage:
    """One test image: how many cells were painted, how many were counted, and F1 at IoU 0.5 (None without cells)."""

    image: str
    true_count: int
    predicted_count: int
    f1_50: float | None

    def as_json(self) -> dict[str, Any]:
        """Give the entry of this image."""
        return {
            "image": self.image,
            "true_count": self.true_count,
            "predicted_count": self.predicted_count,
            "f1_50": self.f1_50,
        }


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A finished demo: its folder, what the commands found, and the painted truth beside it.

    `summary` is the one of `evaluate`; `overlays` are pictures of the test images with the cells' outlines.
    """

    folder: Path
    recipe: Path
    model: Path
    images: tuple[DemoImage, ...]
    summary: Mapping[str, Any]
    overlays: tuple[Path, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[str, Any]
    warnings: tuple[Warned, ...]
    seconds: float

    @property
    def true_total(self) -> int:
        """Cells painted in all test images."""
        return sum(image.true_count for image in self.images)

    @property
    def predicted_total(self) -> int:
        """Cells counted in all test images."""
        return sum(image.predicted_count for image in self.images)

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--json` prints."""
        return {
            "schema": "cellmonai.demo/1",
            "version": version("cellmonai"),
            "command": "demo",
            "inputs": [],
            "outputs": list(self.outputs),
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "parameters": dict(self.parameters),
            "folder": str(self.folder),
            "model": str(self.model),
            "images": [image.as_json() for image in self.images],
            "true_total": self.true_total,
            "predicted_total": self.predicted_total,
            "summary": dict(self.summary),
        }


def demo(
    folder: Path = Path("cellmonai-demo"),
    *,
    seed: int = 0,
    minutes: float = 0.5,
    device: str = "auto",
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> DemoResult:
    """Show every command on painted cells, without any data.

    Parameters
    ----------
    folder : gets `train/`, `test/` (each with `images/` and `masks/`), `recipe.toml`, and the outputs of the commands:
        `run/`, `masks/`, `counts/`, `evaluation/`
    seed : another seed paints other fields and trains another network
    minutes : time for training; the rest takes about half a minute on two slow cores
    device : where the network runs, as in `fit`
    overwrite : replace the files of an older demo

    Raises
    ------
    UsageError
        A seed or time out of range.
    OutputError, LockedError
        The folder exists, holds something else, or cannot be written.
    InterruptedRunError
        Ctrl-C.
    """
    reporter = reporter or Silent()
    started = time.monotonic()
    require_device_name(device)
    if not 0 <= seed < 2**32:
        raise UsageError(f"the seed is {seed}", where="--seed", cure="give a whole number from 0 to 4294967295")
    if not 0 < minutes < float("inf"):
        raise UsageError(f"{minutes:g} minutes", where="--minutes", cure="give a number above 0, as 0.5")
    _refuse_folder(folder, overwrite=overwrite)
    with folder_lock(folder):
        recipe = folder / "recipe.toml"  # first of all files, since it says whose folder this is
        write_text(recipe, _recipe_text(seed, minutes), overwrite=overwrite)
        _paint(folder, seed, reporter, overwrite=overwrite)
        fitted, inferred, counted, evaluated = _run_commands(
            folder, recipe, device=device, overwrite=overwrite, reporter=reporter
        )
    return DemoResult(
        folder=folder,
        recipe=recipe,
        model=fitted.model,
        images=_images(evaluated),
        summary=evaluated.summary,
        overlays=tuple(Path(name) for name in counted.outputs if name.endswith("_overlay.png")),
        outputs=_outputs(folder, recipe, fitted, inferred, counted, evaluated),
        parameters={"folder": str(folder), "seed": seed, "minutes": minutes, "device": device},
        warnings=tuple(reporter.warnings),
        seconds=time.monotonic() - started,
    )


def _run_commands(
    folder: Path, recipe: Path, *, device: str, overwrite: bool, reporter: Reporter
) -> tuple[FitResult, InferResult, CountResult, EvaluateResult]:
    """Do what the four commands do, with the same functions."""
    step = _Steps(reporter)
    step.begin(2, "fit: train a small network on the painted fields (loading PyTorch and MONAI first)")
    # PyTorch and MONAI take many seconds to import: the painted fields are there and announced by then
    from cellmonai.workflows.count import count
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.evaluate import evaluate
    from cellmonai.workflows.evaluating.result import EvaluateSettings
    from cellmonai.workflows.fit import fit
    from cellmonai.workflows.infer import infer
    from cellmonai.workflows.inferring.settings import InferSettings

    inside = _Inside(reporter)
    fitted = fit(recipe, output=folder / "run", device=device, overwrite=overwrite, reporter=inside)
    step.begin(3, "infer: find the cells of the test images")
    inferring = InferSettings(model=fitted.model, output=folder / "masks", device=device, overwrite=overwrite)
    inferred = infer([folder / "test" / "images"], settings=inferring, reporter=inside)
    step.begin(4, "count: split what touches, count and measure")
    counting = CountSettings(output=folder / "counts", overwrite=overwrite)
    counted = count([folder / "masks"], settings=counting, reporter=inside)
    step.begin(5, "evaluate: compare with what was painted")
    evaluating = EvaluateSettings(output=folder / "evaluation", overwrite=overwrite)
    evaluated = evaluate(folder / "counts", folder / "test" / "masks", settings=evaluating, reporter=inside)
    return fitted, inferred, counted, evaluated


def _refuse_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse to write among what is not ours, and over an older demo unless told to."""
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise OutputError("is not a folder", where=str(folder), cure="name another folder")
        return
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return
    if not overwrite:
        raise OutputError("the folder exists already", where=str(folder), cure="name another one or add --overwrite")
    recipe = folder / "recipe.toml"
    if not recipe.is_file() or not recipe.read_bytes().startswith(_SIGNATURE.encode()):
        raise OutputError("holds files that are not of cellmonai demo", where=str(folder), cure="name another folder")


def _paint(folder: Path, seed: int, reporter: Reporter, *, overwrite: bool) -> None:
    """Paint the fields into `train` and `test`."""
    total = TRAIN_FIELDS + TEST_FIELDS + 1
    fields = [(folder / "train", f"field_{i + 1:02d}", FIELD_SHAPE) for i in range(TRAIN_FIELDS)]
    fields += [(folder / "test", f"field_{TRAIN_FIELDS + i + 1:02d}", FIELD_SHAPE) for i in range(TEST_FIELDS)]
    fields += [(folder / "test", LARGE_NAME, LARGE_SHAPE)]
    _Steps(reporter).begin(1, f"paint: {total} fields of cells, {TRAIN_FIELDS} to train on and the rest to test")
    cells = 0
    with stop_wish() as wish, reporter.stage("painting", total) as stage:
        for number, (place, name, shape) in enumerate(fields):
            wish.check("run the same command again with --overwrite")
            draw, paint = np.random.SeedSequence([seed, number]).spawn(2)
            settings = draw_settings(shape, np.random.default_rng(draw))
            field = paint_field(settings, int(paint.generate_state(1)[0]))
            _write_field(place, name, field, overwrite=overwrite)
            cells += field.count
            stage.advance(note=name)
    reporter.note(f"    {cells:,} cells painted, every one of them known")


def _write_field(folder: Path, name: str, field: Field, *, overwrite: bool) -> None:
    """Write the image as ImageJ does, and its label image, under the same name."""
    from tifffile import imwrite

    per_um = 1 / UM_PER_PX
    with atomic_file(folder / "images" / f"{name}.tif", overwrite=overwrite) as temporary:
        metadata = {"axes": "YX", "unit": "um"}
        imwrite(temporary, field.image, imagej=True, resolution=(per_um, per_um), metadata=metadata)
    pixel_size_um = (UM_PER_PX, UM_PER_PX)
    write_labels(folder / "masks" / f"{name}.tif", field.labels, pixel_size_um=pixel_size_um, overwrite=overwrite)


def _recipe_text(seed: int, minutes: float) -> str:
    epochs = max(1, round(_EPOCHS_PER_MINUTE * minutes))
    return f"""\
{_SIGNATURE}: a small, quick recipe for painted cells.
# What is left out has a default; `cellmonai recipe check recipe.toml` prints them all.
# For your own images, `cellmonai recipe init FOLDER` writes a recipe that fits them.

[data]
layout = "pairs"        # images/ and masks/ with equal names
root = "train"          # relative to this file; --set data.root=FOLDER takes another one
split = {{ train = 0.8, validation = 0.2, seed = {seed} }}

[sampling]
patch = 128             # side of a training crop in px; cells are about 18 px wide
per_image = 4           # crops per image and epoch

[[augment]]             # random changes of a crop, in this order; more of them for real images
name = "RandFlip"
spatial_axis = 0

[[augment]]
name = "RandFlip"
spatial_axis = 1

[[augment]]
name = "RandRotate90"

[[augment]]
name = "RandScaleIntensity"

[network]
name = "basic_unet"     # a U-Net
width = 8               # feature maps of its first level; 16 to 32 for real images

[loss]
name = "dice_focal"

[training]
epochs = {epochs}
max_minutes = {minutes:g}       # ends training earlier on a slow machine; give real images 5 to 15
batch_size = 4
learning_rate = 0.005
schedule = "cosine"     # steps get smaller towards the end
workers = 0             # these crops are cut quickly enough without processes of their own
validate_every = {max(1, epochs // 4)}
seed = {seed}

[instances]
min_area_px = 30        # smaller objects are dirt; cells have about 270 px
"""


def _images(evaluated: EvaluateResult) -> tuple[DemoImage, ...]:
    return tuple(
        DemoImage(row.image, int(row.scores.true_count), row.scores.predicted_count, row.scores.at_50.f1)
        for row in evaluated.images
    )


def _outputs(folder: Path, recipe: Path, *results: Any) -> tuple[str, ...]:  # noqa: ANN401 - results of commands
    painted = [folder / place / kind for place in ("train", "test") for kind in ("images", "masks")]
    own = [path.as_posix() for path in (*painted, recipe)]
    return (*own, *(name for result in results for name in result.as_json()["outputs"]))


@dataclass(frozen=True)
class _Steps:
    """One line at the start of each step."""

    reporter: Reporter

    def begin(self, number: int, text: str) -> None:
        self.reporter.note(f"{number}/5 {text}")


@dataclass(frozen=True)
class _Inside:
    """A Reporter for what happens within a step: its lines are indented."""

    outer: Reporter

    @property
    def warnings(self) -> list[Warned]:
        return self.outer.warnings

    def note(self, text: str) -> None:
        self.outer.note(f"    {text}")

    def warn(self, code: str, message: str, image: str | None = None) -> None:
        self.outer.warn(code, message, image)

    def stage(self, title: str, total: float) -> Stage:
        return self.outer.stage(title, total)
