"""What `infer` is told: one frozen value, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from cellmonai.core.errors import UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.images.maps import MapsType
from cellmonai.workflows.inferring.useless import refuse_useless

if TYPE_CHECKING:
    from collections.abc import Mapping

StitchChoice = Literal["auto", "exact", "gaussian", "constant", "minimum"]
PrecisionChoice = Literal["auto", "f32", "bf16", "f16", "int8"]
EngineChoice = Literal["auto", "torch", "openvino"]
TtaChoice = Literal["none", "flips", "d4"]
EXPLANATIONS = ("attention", "uncertainty", "saliency")
"""Pictures of why a network gave what it gave."""

PICTURES = ("overlay", "heatmap", *EXPLANATIONS)


@dataclass(frozen=True, slots=True)
class InferSettings:
    """How images are done and where results go.

    Parameters
    ----------
    model : a model file or a run folder; None is the newest finished run under `runs/`
    output : folder of the results
    sliding_window : cut images into windows even where one would do
    window : longest side of a window in px; None is what the memory allows
    stitch, device, precision : see `inference.predictor.Predictor`; `int8`, with OpenVINO only, see `int8.py`
    engine : what runs the network; `auto` is OpenVINO on a CPU, else torch
    memory : budget in bytes; None is half of what is available
    threshold : foreground probability from which a pixel is foreground; None is the model's operating point
    tta : run every window in 4 (`flips`) or 8 (`d4`) views and average them; one more map tells how far they disagree
    mc_dropout : run every window so many times with dropout at work, likewise; 0 is off
    planes : which times, depths and series of an image to do, by name (as `t0_z03`), pattern (`*z03`) or number from 0;
        empty is all
    level, um_per_px : a resolution of the image, by its index among those stored or by its pixel size; None is the full
    channels : names or numbers of the channels to take, in the order of the model's input; empty is all
    invert : swap bright and dark, for dark cells on a bright ground and a model of bright ones
    pictures : `overlay`, `heatmap`; of networks `attention` (maps of attention gates), `uncertainty` (where the model
        predicts it), `saliency` (what the probability of one pixel hangs on)
    at : the pixel (x, y) that `saliency` explains; None is the most probable one
    maps_dtype : `float16`, or `uint8` in steps of 1/255
    skip_background : leave out windows without structure, see `background.is_background`; where windows overlap those
        that are left out take no part
    recursive : take the images in folders inside folders too
    overwrite : replace outputs that exist
    workers : processes of this machine that share the work; None is this process alone
    scheduler : address of a Dask scheduler whose workers do it, as `tcp://10.0.0.1:8786`
    shard : (number, of): do only this part of the images, counted from 1
    method : a method without training instead of a model, by its name in `instances.classical.catalogue`
    parameters : values of the method's parameters; the others take their defaults

    Raises
    ------
    UsageError
        A value outside its range, or an option that another one makes useless.
    """

    model: Path | None = None
    output: Path = Path("masks")
    sliding_window: bool = False
    window: int | None = None
    stitch: StitchChoice = "auto"
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    engine: EngineChoice = "auto"
    tta: TtaChoice = "none"
    mc_dropout: int = 0
    memory: int | None = None
    threshold: float | None = None
    channels: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    level: int | None = None
    um_per_px: float | None = None
    invert: bool = False
    pictures: tuple[str, ...] = ()
    at: tuple[int, int] | None = None
    maps_dtype: MapsType = "float16"
    skip_background: bool = False
    recursive: bool = False
    overwrite: bool = False
    workers: int | None = None
    scheduler: str | None = None
    shard: tuple[int, int] | None = None
    method: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word in self.pictures:
            if word not in PICTURES:
                raise UsageError(f"unknown picture {word!r}", where="--pictures", cure=did_you_mean(word, PICTURES))
        for name, value, choices in (
            ("--stitch", self.stitch, get_args(StitchChoice)),
            ("--precision", self.precision, get_args(PrecisionChoice)),
            ("--engine", self.engine, get_args(EngineChoice)),
            ("--tta", self.tta, get_args(TtaChoice)),
            ("--maps-dtype", self.maps_dtype, get_args(MapsType)),
        ):
            if value not in choices:
                raise UsageError(f"{value!r} is not known", where=name, cure=did_you_mean(value, choices))
        self._check_at()
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise UsageError(f"{self.threshold} is no probability", where="--threshold", cure="give a number in [0, 1]")
        if self.window is not None and self.window < 1:
            raise UsageError(f"{self.window} px is no size", where="--window", cure="give a side in px, as 1024")
        self._check_resolution()
        if self.mc_dropout and (self.mc_dropout < 2 or self.tta != "none"):
            alone = self.tta == "none"
            what = f"{self.mc_dropout} passes have no spread" if alone else "passes and views exclude each other"
            raise UsageError(what, where="--mc-dropout", cure="give 2 or more, as 20, without --tta")
        self._check_machines()
        refuse_useless(self)

    def _check_resolution(self) -> None:
        if self.level is not None and self.um_per_px is not None:
            raise UsageError("both name a resolution", where="--level and --um-per-px", cure="give one of them")
        if self.level is not None and self.level < 0:
            raise UsageError(f"{self.level} is no level", where="--level", cure="0 is the full size")
        if self.um_per_px is not None and not 0 < self.um_per_px < 1e6:
            raise UsageError(f"{self.um_per_px} is no pixel size", where="--um-per-px", cure="give µm, as 0.5")

    def _check_machines(self) -> None:
        if self.workers is not None and self.scheduler is not None:
            raise UsageError("both say who works", where="--workers and --scheduler", cure="give one of them")
        if self.workers is not None and not 1 <= self.workers <= 1024:
            raise UsageError(f"{self.workers} is no number of processes", where="--workers", cure="give 1 or more")
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1] <= 100_000:
            raise UsageError(
                f"{self.shard[0]}/{self.shard[1]} is no part", where="--shard", cure="give NUMBER/OF from 1, as 3/16"
            )

    def _check_at(self) -> None:
        if self.at is not None and "saliency" not in self.pictures:
            raise UsageError("is for --pictures saliency", where="--at", cure="add --pictures saliency or leave it out")
        if self.at is not None and min(self.at) < 0:
            raise UsageError(f"{self.at} is no pixel", where="--at", cure="give X,Y from 0, as --at 120,80")

    def as_json(self) -> dict[str, Any]:
        """Give the form that the run record holds."""
        return {
            "model": None if self.model is None else str(self.model),
            "output": str(self.output),
            "sliding_window": self.sliding_window,
            "window": self.window or "auto",
            "stitch": self.stitch,
            "device": self.device,
            "precision": self.precision,
            "engine": self.engine,
            "tta": self.tta,
            "mc_dropout": self.mc_dropout,
            "planes": list(self.planes),
            "level": self.level,
            "um_per_px": self.um_per_px,
            "memory": self.memory,
            "threshold": self.threshold,
            "channels": list(self.channels),
            "invert": self.invert,
            "pictures": list(self.pictures),
            "at": None if self.at is None else list(self.at),
            "maps_dtype": self.maps_dtype,
            "skip_background": self.skip_background,
            "recursive": self.recursive,
            "workers": self.workers,
            "scheduler": self.scheduler,
            "shard": None if self.shard is None else list(self.shard),
            "method": self.method,
            "set": dict(self.parameters),
        }


def parse_pixel(text: str) -> tuple[int, int]:
    """Read a pixel typed as `X,Y`, column and row from 0.

    Raises
    ------
    UsageError
        It is something else.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise UsageError(f"{text!r} is no pixel", where="--at", cure="give X,Y in px, as --at 120,80")
    return int(words[0]), int(words[1])


def parse_shard(text: str) -> tuple[int, int]:
    """Read a part of the images typed as `NUMBER/OF`.

    Raises
    ------
    UsageError
        It is something else.
    """
    words = [word.strip() for word in text.split("/")]
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise UsageError(f"{text!r} is no part", where="--shard", cure="give NUMBER/OF from 1, as 3/16")
    return int(words[0]), int(words[1])
