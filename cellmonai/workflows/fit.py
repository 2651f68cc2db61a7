"""fit: a recipe and images in, a run folder with a model out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.files import refuse_existing, remove_orphans, sha256_of, write_text
from cellmonai.core.interrupts import StopWish, stop_wish, stopped
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent
from cellmonai.core.record import RunRecord, versions
from cellmonai.core.staging import Staging, is_half_placed, staged
from cellmonai.core.units import readable_seconds
from cellmonai.data.load import SampleLoader, median_diameter_px
from cellmonai.data.truth import TruthReader
from cellmonai.images.labels import ValueChoice
from cellmonai.images.normalise import Normalisation
from cellmonai.inference.devices import choose_device
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import tensors_of
from cellmonai.nets.catalogue import describe
from cellmonai.recipe.write import resolved_toml
from cellmonai.report.csv import write_csv
from cellmonai.report.curves import write_curves
from cellmonai.training.artefacts import artefact_factors
from cellmonai.training.course import history_columns
from cellmonai.training.train import Trained, activation_of, maps_of, train
from cellmonai.workflows.recipe import open_recipe
from cellmonai.workflows.recipe_data import find_selected, split_selected, tell_selected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.data.samples import Sample
    from cellmonai.data.splits import Split
    from cellmonai.images.layouts import Pair
    from cellmonai.recipe.load import LoadedRecipe
    from cellmonai.recipe.schema import Data, Recipe

_DECIMALS = {"seconds": 2, "learning_rate": 8, "train_loss": 6, "val_loss": 6, "val_f1_50": 6, "val_dice": 6}


@dataclass(frozen=True, slots=True)
class FitResult:
    """A finished run; `example` is an image to try the model on, `document` what `--json` prints."""

    run: Path
    model: Path
    example: Path
    epochs: int
    best_epoch: int
    operating_point: Mapping[str, Any]
    validation: Mapping[str, float | None]
    document: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Give the document of `cellmonai.fit/1`."""
        return dict(self.document)


def fit(
    recipe: Path,
    *,
    output: Path | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> FitResult:
    """Train the model that a recipe describes.

    Parameters
    ----------
    recipe : TOML file
    output : the run folder; `runs/NAME` by default, with the recipe's name and the time
    overrides : `section.key=value`, as `--set` takes them
    device : `auto`, `cpu`, `cuda`, `cuda:1` or `mps`

    Raises
    ------
    RecipeError, InputError, OutputError, LockedError, DivergedError, MemoryBudgetError
        See `core.errors`; nothing is written then.
    InterruptedRunError
        Ctrl-C; the best epoch so far is kept as the model of the run.
    """
    reporter = reporter or Silent()
    loaded = open_recipe(recipe, overrides)
    chosen = choose_device(device)
    run = output or Path("runs") / f"{recipe.stem}-{datetime.now():%Y%m%d-%H%M%S}"
    refuse = partial(refuse_existing, [run / name for name in _OUTPUTS], overwrite=overwrite)
    if not is_half_placed(run):
        refuse()
    record = RunRecord("fit", {"recipe": str(recipe), "overrides": list(overrides), "device": device})
    selected = find_selected(loaded)
    tell_selected(loaded, selected, reporter)
    split = split_selected(loaded, selected.pairs)
    _note_split(split, loaded.recipe.data, reporter)
    what = {"command": "fit", "recipe": loaded.digest, "device": chosen.name}
    with folder_lock(run) as is_held, stop_wish() as wish, staged(run, what, refuse=refuse) as (staging, facts):
        if is_held:
            remove_orphans(run)
        if facts is not None:  # killed as it ended: everything was written, and only got its names
            staging.place(_OUTPUTS, facts=facts)
            return _result(run, facts)
        loader = SampleLoader(
            _normalisation(loaded.recipe),
            channels=loaded.recipe.data.channels,
            axes=loaded.recipe.data.axes,
            pixel_size_um=loaded.recipe.data.pixel_size_um,
            truth=_truth_reader(loaded.recipe.data),
            wish=wish,
        )
        loader.truth.decide_kind([*split.train, *split.validation], lambda: wish.check("nothing was written"))
        with reporter.stage("reading images", len(split.train) + len(split.validation)) as stage:
            train_samples = loader.load(split.train, stage)
            validation_samples = loader.load(split.validation, stage)
        masks = str(split.train[0].masks[0].parent)
        loader.truth.refuse_without_cells((sample.labels for sample in train_samples), masks)
        _note_input(loader, train_samples, reporter)
        wish.check("nothing was written")
        reporter.note(f"training {loaded.recipe.network.name} on {chosen.name} ({chosen.reason})")
        factors = artefact_factors(
            loaded.recipe,
            train_samples,
            normalisation=loader.normalisation,
            device=chosen.name,
            reporter=reporter,
        )
        with loaded.located():
            trained = train(
                loaded.recipe,
                train_samples,
                validation_samples,
                device=chosen.name,
                reporter=reporter,
                wish=wish,
                factors=factors,
            )
        example = (split.test or split.validation)[0]
        card = _card(loaded, loader, trained, [*train_samples, *validation_samples])
        record.facts = _facts(loaded, trained, split, chosen.name)
        return _write(
            staging, loaded.recipe, card, trained, record, example=example.image, wish=wish, reporter=reporter
        )


_OUTPUTS = ("recipe.toml", "history.csv", "curves.png", "model.safetensors", "run.json")


def _normalisation(recipe: Recipe) -> Normalisation:
    wanted = recipe.normalise
    return Normalisation(wanted.method, wanted.low, wanted.high, wanted.clip)


def _truth_reader(data: Data) -> TruthReader:
    return TruthReader(data.mask_kind, ValueChoice(data.cell_values, data.mask_threshold))


def _note_split(split: Split, data: Data, reporter: Reporter) -> None:
    by = f", as the attribute {data.split.by!r} says" if data.split.by else ""
    by += f", kept together by {data.group_by}" if data.group_by else ""
    unseen = f", {len(split.test)} left unseen for testing" if split.test else ""
    reporter.note(f"{len(split.train)} images to train on, {len(split.validation)} to validate{unseen}{by}")


def _note_input(loader: SampleLoader, samples: Sequence[Sample], reporter: Reporter) -> None:
    facts = loader.facts()
    size = f"{facts.pixel_size_um[0]:g} x {facts.pixel_size_um[1]:g} µm" if facts.pixel_size_um else "unknown"
    if len(loader.pixel_sizes) > 1:
        size = "not the same in all images"
        reporter.warn("pixel_sizes", "the images have different pixel sizes, so the same cells differ in size there")
    cells = sum(sample.count for sample in samples)
    reporter.note(f"channels: {', '.join(facts.channels)}; pixel size: {size}; {cells:,} cells to learn from")
    loader.truth.tell(reporter)
    if loader.truth.kind == "binary":
        reporter.note("the masks are binary: touching cells in them are told apart by splitting, as in counting")
    if cells == 0:
        reporter.warn("no_cells", "the training masks hold no cells at all")


def _card(loaded: LoadedRecipe, loader: SampleLoader, trained: Trained, samples: Sequence[Sample]) -> ModelCard:
    recipe, facts = loaded.recipe, loader.facts()
    network = describe(recipe.network.name, recipe.network.parameters)
    return ModelCard(
        network=recipe.network.name,
        parameters=recipe.network.parameters,
        channels=len(facts.channels),
        channel_names=facts.channels,
        normalisation=loader.normalisation,
        operating_point=trained.operating_point.as_json(),
        radius_px=network.radius_px,
        divisor=network.divisor,
        tile_exact=network.tile_exact,
        pixel_size_um=facts.pixel_size_um,
        object_diameter_px=median_diameter_px(samples),
        outputs=maps_of(recipe),
        activation=activation_of(recipe),
        recipe_digest=loaded.digest,
        data_fingerprint=_fingerprint(samples),
        versions=versions(),
    )


def _fingerprint(samples: Sequence[Sample]) -> str:
    """Digest what was learnt from, pixels and labels, whatever the files were called."""
    digest = hashlib.sha256()
    for one in sorted(hashlib.sha256(s.image.tobytes() + s.labels.tobytes()).digest() for s in samples):
        digest.update(one)
    return digest.hexdigest()


def _facts(loaded: LoadedRecipe, trained: Trained, split: Split, device: str) -> dict[str, Any]:
    return {
        "status": "interrupted" if trained.stopped_by == "interrupt" else "done",
        "stopped_by": trained.stopped_by,
        "recipe_digest": loaded.digest,
        "device": device,
        "epochs": len(trained.history),
        "best": _best(loaded.recipe, trained),
        "operating_point": trained.operating_point.as_json(),
        "validation": _validation(trained),
        "split": {name: [pair.name for pair in _pairs(split, name)] for name in ("train", "validation", "test")},
    }


def _pairs(split: Split, name: str) -> tuple[Pair, ...]:
    pairs: tuple[Pair, ...] = getattr(split, name)
    return pairs


def _best(recipe: Recipe, trained: Trained) -> dict[str, Any]:
    return {"epoch": trained.best_epoch, "metric": recipe.training.monitor, "value": trained.best_value}


def _validation(trained: Trained) -> dict[str, float | None]:
    scores = trained.scores
    return {"f1_50": scores.val_f1_50, "count_mae": scores.val_count_mae, "dice": scores.val_dice}


def _write(
    staging: Staging,
    recipe: Recipe,
    card: ModelCard,
    trained: Trained,
    record: RunRecord,
    *,
    example: Path,
    wish: StopWish,
    reporter: Reporter,
) -> FitResult:
    """Write everything, then give it its names; the record comes last and makes the run a finished one."""
    folder, run = staging.folder, staging.output
    columns = history_columns(trained.history)
    write_text(folder / "recipe.toml", resolved_toml(recipe), overwrite=True)
    write_csv(folder / "history.csv", columns, decimals=_DECIMALS, overwrite=True)
    monitor = recipe.training.monitor
    write_curves(folder / "curves.png", columns, monitor=monitor, best_epoch=trained.best_epoch, overwrite=True)
    model = folder / "model.safetensors"
    write_model(model, card, tensors_of(trained.net), overwrite=True)
    record.facts |= {"model_sha256": sha256_of(model), "data_fingerprint": card.data_fingerprint}
    record.write(folder / "run.json", reporter.warnings)
    reporter.note(
        f"threshold {trained.operating_point.threshold:g}; "
        f"stopped by {trained.stopped_by} after {readable_seconds(record.seconds)}"
    )
    document = {
        "schema": "cellmonai.fit/1",
        "version": version("cellmonai"),
        "command": "fit",
        "inputs": [record.parameters["recipe"]],
        "outputs": [str(run / name) for name in _OUTPUTS],
        "warnings": [warning.as_json() for warning in reporter.warnings],
        "seconds": round(record.seconds, 3),
        "run": str(run),
        "model": str(run / model.name),
        "epochs": len(trained.history),
        "best": _best(recipe, trained),
        "operating_point": trained.operating_point.as_json(),
        "validation": _validation(trained),
        "calibration": None,
        "images_per_second": round(trained.crops_per_second, 3),
    }
    facts = {
        "document": document,
        "example": str(example),
        "stopped_by": trained.stopped_by,
        "terminated": wish.terminated,
    }
    staging.place(_OUTPUTS, facts=facts)
    return _result(run, facts)


def _result(run: Path, facts: Mapping[str, Any]) -> FitResult:
    """Give what a run came to whose results have their names.

    Raises
    ------
    InterruptedRunError
        It was stopped, and the model is that of the best epoch so far.
    """
    document, model = facts["document"], run / "model.safetensors"
    best_epoch = int(document["best"]["epoch"])
    if facts["stopped_by"] == "interrupt":
        cure = f"the best epoch so far, {best_epoch}, is kept in {model}"
        raise stopped(terminated=bool(facts["terminated"]), cure=cure)
    return FitResult(
        run=run,
        model=model,
        example=Path(facts["example"]),
        epochs=int(document["epochs"]),
        best_epoch=best_epoch,
        operating_point=document["operating_point"],
        validation=document["validation"],
        document=document,
    )
