"""The recipe: what `fit` is told, section by section; values are checked once, here, and never change after.

The descriptions are what `recipe schema` and `recipe check` print. A value that needs another stage to judge it (the
parameters of a network or loss, whether the data exist) is checked by the workflow.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cellmonai.recipe.augmentations import AUGMENTATIONS, DEFAULT_AUGMENT
from cellmonai.recipe.problems import problem

Scalar = str | int | float | bool
Location = Annotated[Path, Field(strict=False)]  # TOML has no path type, so text is taken
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Strict(BaseModel):
    """A section: unknown keys are errors, types are not bent, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Named(BaseModel):
    """Something chosen by name, with parameters of its own."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: Text

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that stand in the recipe, without the name."""
        return dict(self.model_extra or {})


class Split(Strict):
    """Shares of the groups; what is left over is the test share, which `fit` never sees."""

    train: float = Field(default=0.8, gt=0.0, le=1.0, description="share to learn from")
    validation: float = Field(
        default=0.2, gt=0.0, lt=1.0, description="share to choose the best epoch and the threshold on"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="another seed draws other groups")
    by: Text | None = Field(
        default=None,
        description="attribute that says what each image is for: train, validation or test; the shares then divide "
        "train alone, where no image is for validation",
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> Split:
        total = self.train + self.validation
        if total > 1.0 + 1e-9:
            raise problem("validation", f"train and validation make {total:g}", "lower one, they may make 1 at most")
        return self


class Data(Strict):
    """Which images and masks, and how they are split."""

    layout: Literal["pairs", "splits", "nnunet", "dsb2018", "bbbc005", "ctc"] | None = Field(
        default=None, description="how images and masks lie in their folders; found by looking when left out"
    )
    root: Location | None = Field(default=None, description="folder of the data; relative to the recipe")
    images: Location | None = Field(
        default=None, description="folder of the images, where not the usual one; relative to root"
    )
    masks: Location | None = Field(
        default=None, description="folder of the masks, where not the usual one; relative to root"
    )
    tables: tuple[Location, ...] = Field(
        default=(), strict=False, description="CSV tables with more attributes of the images; relative to root"
    )
    mask_kind: Literal["auto", "binary", "labels"] = Field(
        default="auto", description="what the masks are; auto looks at their values, once for all"
    )
    cell_values: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        default=(), strict=False, description="values that are cells in masks of classes; all others are background"
    )
    mask_threshold: float | None = Field(
        default=None, gt=0, description="grey masks are cut here: this value and all above are cells"
    )
    channels: tuple[str | Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="names or numbers (from 0) of channels; all when left out",
    )
    axes: str | None = Field(
        default=None, pattern="^[A-Z]+$", description="order of the axes, such as YXC, for files that do not say it"
    )
    pixel_size_um: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = Field(
        default=None, strict=False, description="pixel size in µm (y, x), for files that do not say it"
    )
    group_by: Text | None = Field(
        default=None,
        description="attribute whose images stay on one side of the split (field, slide, well, donor), "
        "or a regular expression with one group in ( ) applied to the name",
    )
    select: dict[str, Scalar | tuple[Scalar, ...]] = Field(
        default_factory=dict, description="attribute = wanted value, or a list of them; compared as text"
    )
    split: Split = Field(default_factory=Split, description="shares of train and validation")

    @model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, values: Any) -> Any:  # noqa: ANN401 - anything may stand in a file
        if isinstance(values, dict) and isinstance(values.get("select"), dict):
            select = {key: tuple(v) if isinstance(v, list) else v for key, v in values["select"].items()}
            return {**values, "select": select}
        return values

    @model_validator(mode="after")
    def _masks_are_read_in_one_way(self) -> Data:
        if self.cell_values and self.mask_threshold is not None:
            raise problem("mask_threshold", "it and cell_values exclude each other", "take one of them out")
        if self.mask_kind == "labels" and (self.cell_values or self.mask_threshold is not None):
            key = "cell_values" if self.cell_values else "mask_threshold"
            raise problem(key, "it makes binary masks, and mask_kind is 'labels'", "take one of them out")
        return self

    @model_validator(mode="after")
    def _pattern_has_one_group(self) -> Data:
        if self.group_by is not None and "(" in self.group_by:
            _require_one_group(self.group_by)
        return self


class Normalise(Strict):
    """How intensities are brought to about 0 to 1."""

    method: Literal["percentile", "range", "zscore", "none"] = Field(
        default="percentile",
        description="percentiles of each image, a fixed range, mean and deviation, or nothing",
    )
    low: float = Field(default=1.0, description="percentile, or intensity with method range, that becomes 0")
    high: float = Field(default=99.8, description="percentile, or intensity with method range, that becomes 1")
    clip: bool = Field(default=False, description="whether what is then below 0 or above 1 is cut off")
    scope: Literal["image"] = Field(default="image", description="what the percentiles are taken from")

    @model_validator(mode="after")
    def _bounds_fit(self) -> Normalise:
        given = self.model_fields_set & {"low", "high"}
        if self.method in ("zscore", "none"):
            if given:
                raise problem(min(given), f"method {self.method!r} has no {min(given)}", "take it out")
            if self.clip:
                raise problem("clip", f"method {self.method!r} does not aim at 0 to 1", "take clip out")
            return self
        if self.method == "range" and len(given) < 2:
            raise problem("method", "method 'range' needs low and high", "add both, such as low = 0 and high = 255")
        if self.low >= self.high:
            raise problem("low", f"low is {self.low:g}, not below high, which is {self.high:g}", "swap or change them")
        if self.method == "percentile" and not (self.low >= 0 and self.high <= 100):
            raise problem("low" if self.low < 0 else "high", "a percentile lies in 0 to 100", "use one in there")
        return self


class Artefacts(Strict):
    """Which crops of a grid are seen more often because a model finds cells there that are none."""

    model: Location = Field(description="a trained model; relative to the current folder")
    factor: int = Field(default=4, ge=2, le=1000, description="how many times such a crop is seen in an epoch")
    min_px: int = Field(default=100, ge=1, description="pixels of background that the model calls cell, at least")


class Sampling(Strict):
    """Which crops are cut for training."""

    method: Literal["random", "grid", "grid_2021"] = Field(
        default="random",
        description="crops drawn anew for every epoch, a lattice of even steps over each image, or the lattice of "
        "Morelli et al. 2021, whose later crops reach back by the overlap",
    )
    patch: int = Field(default=256, ge=32, le=4096, description="side of a training crop, px")
    overlap: int = Field(
        default=0, ge=0, le=4095, description="for grids: neighbouring crops share so many px at least"
    )
    per_image: int = Field(
        default=1, ge=1, le=1000, description="crops cut from each image per epoch; a grid takes all"
    )
    foreground_share: Share = Field(
        default=0.7, description="share of the crops that are centred on a cell, 0 to 1; not for grids"
    )
    min_foreground_px: int = Field(
        default=0, ge=0, description="for grids: crops with fewer pixels of cells are left out"
    )
    oversample: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=dict,
        description="image = how many times its crops are seen in an epoch; for grids also image:number of the crop",
    )
    artefacts: Artefacts | None = Field(default=None, description="crops that a model errs on are seen more often")

    @model_validator(mode="after")
    def _fits_its_method(self) -> Sampling:
        grid = self.method != "random"
        if grid and self.overlap >= self.patch:
            raise problem("overlap", f"overlap is {self.overlap}, not below patch, which is {self.patch}", "lower it")
        only = {"overlap": 0, "min_foreground_px": 0, "artefacts": None} if not grid else {"per_image": 1}
        for key, off in only.items():
            if getattr(self, key) != off:
                other = "random" if grid else "grid"
                raise problem(key, f"method {self.method!r} has no {key}", f"take it out or use method {other!r}")
        return self


class Augmentation(Named):
    """One random change of a training crop."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:  # noqa: ANN401 - anything may stand in a file
        """Check the parameters against the table, and write out the defaults."""
        if not isinstance(values, dict) or not isinstance(values.get("name"), str):
            return values
        name, given = values["name"], {key: value for key, value in values.items() if key != "name"}
        row = AUGMENTATIONS.get(name)
        if row is None:
            raise problem("name", f"unknown augmentation {name!r}", word=name, words=AUGMENTATIONS)
        for key, value in given.items():
            if key not in row:
                raise problem(key, f"{name} has no parameter {key!r}", word=key, words=row)
            try:
                row[key].check(value)
            except ValueError as error:
                raise problem(key, f"{error}, found {value!r}") from error
        full = {key: parameter.check(given.get(key, parameter.default)) for key, parameter in row.items()}
        if name == "RandZoom" and full["min_zoom"] > full["max_zoom"]:
            raise problem("min_zoom", "min_zoom is above max_zoom", "swap or change them")
        return {"name": name, **full}


class Target(Strict):
    """What the network learns to predict."""

    kind: Literal["foreground", "foreground+border", "foreground+distance", "foreground+centre"] = Field(
        default="foreground", description="maps: being inside a cell, and one that tells touching cells apart"
    )
    weight_map: Literal["none", "crowding", "crowding_morelli2021", "border", "border_everywhere"] = Field(
        default="none", description="what makes some pixels dearer than others: the ground between crowded cells"
    )


class Network(Named):
    """The network; its parameters are those of its row in the catalogue."""

    name: Text = Field(default="basic_unet", description="name in the catalogue")


class LossPart(Named):
    """One part of a sum of losses; its other parameters are those of its row in the catalogue."""

    weight: float = Field(default=1.0, gt=0.0, le=1e6, description="what its value is multiplied by")


COMBO = "combo"
"""Name of a loss that is a weighted sum of others."""


class Loss(Named):
    """The loss; its parameters are those of its row in the catalogue."""

    name: Text = Field(default="dice_focal", description="name of the loss, or combo for a sum of parts")
    parts: tuple[LossPart, ...] = Field(default=(), strict=False, description="for combo: the losses that are summed")

    @model_validator(mode="before")
    @classmethod
    def _parts_make_a_sum(cls, values: Any) -> Any:  # noqa: ANN401 - anything may stand in a file
        if isinstance(values, dict) and values.get("parts") and "name" not in values:
            return {"name": COMBO, **values}
        return values

    @model_validator(mode="after")
    def _parts_fit_the_name(self) -> Loss:
        if (self.name == COMBO) != bool(self.parts):
            if self.parts:
                raise problem("parts", f"loss {self.name!r} has no parts", f"leave name out or make it {COMBO!r}")
            raise problem("parts", "combo sums parts and none is given", 'add parts = [{ name = "dice" }, …]')
        return self

    @property
    def summed(self) -> tuple[tuple[str, float, dict[str, Any]], ...]:
        """Name, weight and parameters of every loss that is summed; one of weight 1 where it is no sum."""
        if self.parts:
            return tuple((part.name, part.weight, part.parameters) for part in self.parts)
        return ((self.name, 1.0, self.parameters),)


class Phase(Strict):
    """A stretch of training with its own crops and augmentations; phases follow one another."""

    epochs: int = Field(ge=1, le=1_000_000, description="passes over the crops of this phase")
    min_foreground_px: int | None = Field(
        default=None, ge=0, description="for grids: in place of sampling.min_foreground_px"
    )
    augment: bool | Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=True, description="all augmentations, none, or the names of those that are used"
    )


class Training(Strict):
    """How long and how fast."""

    epochs: int = Field(default=50, ge=1, le=1_000_000, description="passes over the training images at most")
    batch_size: int = Field(default=8, ge=1, le=4096, description="crops per step")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(default="adamw", description="rule that changes the weights")
    learning_rate: float = Field(default=1e-3, gt=0.0, le=10.0, description="size of the first steps")
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0, description="pull of the weights towards 0")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        default="cosine",
        description="learning rate: falls to nothing by the end, falls where validation gains nothing, or stays",
    )
    plateau_factor: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="for plateau: what the rate falls to each time"
    )
    plateau_patience: int = Field(
        default=5, ge=0, description="for plateau: validations without a gain that are waited"
    )
    early_stopping: int = Field(
        default=0, ge=0, description="stop after so many validations without a gain; 0 is never"
    )
    precision: Literal["auto", "f32", "bf16"] = Field(
        default="auto", description="auto is bf16 on a GPU that has it, else f32"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="another seed gives other weights, crops and augmentations"
    )
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=1024)] = Field(
        default="auto", description="processes that prepare crops; results do not depend on it"
    )
    max_minutes: float | None = Field(default=None, gt=0.0, description="stop after this time; no limit when left out")
    monitor: Literal["val_f1_50", "val_dice", "val_count_mae", "val_loss"] = Field(
        default="val_f1_50", description="what the best epoch is best at, on the validation images"
    )
    validate_every: int = Field(default=1, ge=1, description="epochs from one validation to the next")
    phases: tuple[Phase, ...] = Field(
        default=(), strict=False, description="stretches of training one after the other; their epochs add up"
    )

    @model_validator(mode="before")
    @classmethod
    def _phases_make_the_epochs(cls, values: Any) -> Any:  # noqa: ANN401 - anything may stand in a file
        if isinstance(values, dict) and isinstance(values.get("phases"), (list, tuple)) and "epochs" not in values:
            each = [phase.get("epochs") if isinstance(phase, dict) else None for phase in values["phases"]]
            if each and all(type(epochs) is int for epochs in each):
                return {**values, "epochs": sum(each)}
        return values

    @model_validator(mode="after")
    def _phases_fill_the_epochs(self) -> Training:
        total = sum(phase.epochs for phase in self.phases)
        if self.phases and total != self.epochs:
            raise problem("epochs", f"epochs is {self.epochs} and the phases have {total}", "leave epochs out")
        return self

    @model_validator(mode="after")
    def _validates_at_all(self) -> Training:
        if self.validate_every > self.epochs:
            what = f"validate_every is {self.validate_every}, more than the {self.epochs} epochs"
            raise problem("validate_every", what, "lower it, the best epoch is chosen by validation")
        return self


class Inference(Strict):
    """How whole validation images are predicted; `infer` has options of its own."""

    window: Literal["auto"] | Annotated[int, Field(ge=32, le=16384)] = Field(
        default="auto", description="side of a window, px; auto fits it to the memory"
    )
    stitch: Literal["auto", "exact", "gaussian", "constant", "minimum"] = Field(
        default="auto", description="how windows are joined; auto is exact where the network allows it"
    )


def _fill_holes_word(value: object) -> object:
    """Turn true and false, which recipes said before, into the words of today; all else stays."""
    words = {"true": "all", "false": "none"}  # as --set gives them, where a word is expected
    return words.get(str(value).lower(), value)


class Instances(Strict):
    """How the predicted map becomes cells; stored in the model as its operating point."""

    threshold: Literal["auto"] | Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        default="auto", description="probability from which a pixel is cell; auto chooses it on the validation images"
    )
    split: Literal["auto", "learned", "markers", "none"] = Field(
        default="auto", description="how touching cells are split; none takes connected regions"
    )
    min_distance_px: int = Field(
        default=5, ge=1, le=100, description="for markers: a peak is the greatest pixel within so many rows and columns"
    )
    min_area_px: float = Field(default=10.0, ge=0.0, description="smaller objects are removed, px²")
    max_area_px: float | None = Field(
        default=None, gt=0.0, description="larger objects are removed, px²; none when left out"
    )
    opening: int = Field(
        default=0, ge=0, le=100, description="radius in px of a disc that removes spurs and specks; 0 is off"
    )
    closing: int = Field(default=0, ge=0, le=100, description="radius in px of a disc that closes cracks; 0 is off")
    fill_holes: Annotated[Literal["small", "all", "none"], BeforeValidator(_fill_holes_word)] = Field(
        default="small",
        description="which holes are filled: small, those of single cells and no gap between cells; all; or none",
    )
    border: Literal["keep", "exclude", "frame"] = Field(
        default="keep", description="cells cut by the image edge: keep, exclude, or only those on top or left (frame)"
    )

    @model_validator(mode="after")
    def _areas_fit(self) -> Instances:
        if self.max_area_px is not None and self.max_area_px < self.min_area_px:
            what = f"max_area_px is {self.max_area_px:g}, below min_area_px, which is {self.min_area_px:g}"
            raise problem("max_area_px", what, "raise it or lower min_area_px")
        return self


def _default_augment() -> tuple[Augmentation, ...]:
    return tuple(Augmentation.model_validate(row) for row in DEFAULT_AUGMENT)


class Recipe(Strict):
    """A whole recipe; only the folder of the data must be given."""

    data: Data = Field(description="which images and masks, and how they are split")
    normalise: Normalise = Field(default_factory=Normalise, description="how intensities are brought to about 0 to 1")
    sampling: Sampling = Field(default_factory=Sampling, description="which crops are cut for training")
    augment: tuple[Augmentation, ...] = Field(
        default_factory=_default_augment, strict=False, description="random changes of a crop, in order; [] is none"
    )
    target: Target = Field(default_factory=Target, description="what the network learns to predict")
    network: Network = Field(default_factory=Network, description="the network and its parameters")
    loss: Loss = Field(default_factory=Loss, description="the loss and its parameters")
    training: Training = Field(default_factory=Training, description="how long and how fast")
    inference: Inference = Field(default_factory=Inference, description="how whole validation images are predicted")
    instances: Instances = Field(default_factory=Instances, description="how the predicted map becomes cells")

    @model_validator(mode="after")
    def _phases_fit_the_rest(self) -> Recipe:
        names = [step.name for step in self.augment]
        for index, phase in enumerate(self.training.phases):
            place = f"training.phases.{index}"
            for name in phase.augment if isinstance(phase.augment, tuple) else ():
                if name not in names:
                    what = f"{place} uses {name!r}, which no [[augment]] names"
                    raise problem("training", what, word=name, words=names)
            if phase.min_foreground_px is not None and self.sampling.method == "random":
                what = f"{place}.min_foreground_px chooses from crops of a grid and sampling.method is 'random'"
                raise problem("training", what, "take it out, or set sampling.method to 'grid'")
        return self


def _require_one_group(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise problem("group_by", f"{pattern!r} is no regular expression ({error})", "correct it") from error
    if groups != 1:
        raise problem("group_by", f"{pattern!r} has {groups} groups in ( )", "leave one, as in '(C\\d+_s\\d+)'")
