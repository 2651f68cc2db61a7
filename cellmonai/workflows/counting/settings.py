"""What the user asked of `count`, and how it combines with the operating point of the model and the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.core.units import parse_area_px
from cellmonai.images.labels import ValueChoice
from cellmonai.instances.settings import Border, FillHoles, InstanceSettings, Split
from cellmonai.kernels.library import kernel_name
from cellmonai.measure.intervals.conformal import LEVELS
from cellmonai.workflows.counting.units import parse_length_px
from cellmonai.workflows.counting.useless import FIXED_BY_PRESET, refuse_useless
from cellmonai.workflows.in_order import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.units import PixelSize
    from cellmonai.instances.mask_kind import AskedKind, Kind
    from cellmonai.workflows.counting.inputs import MaskInput

Pictures = Literal["none", "overlay"]
Save = Literal["geojson", "rois", "parquet"]

_ONLY_FOR_MASKS = ("threshold", "split", "min_distance", "opening", "closing", "fill_holes", "preset")
_MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class CountSettings:
    """What to count, how, and where results go; None leaves a choice to the operating point or the default.

    Parameters
    ----------
    output : folder of the results
    images : folder with the images of the masks, for pictures and intensities
    kind : read inputs as binary masks or label images; `auto` decides once for all of them
    cell_values, mask_threshold : values of the masks that are cells, or from which on they are, as in `ValueChoice`
    per_plane : count each plane of a label stack by itself, also where ids run through its planes
    threshold : cut the probability maps that `infer` left again, in [0, 1]
    split, opening, closing, fill_holes, border : as in `InstanceSettings`
    min_distance : least distance of two markers as typed, `7px` or `3um`; for `split` markers only
    preset : separate cells as a reference system did, by its name in `instances.presets`
    min_area, max_area : areas as typed, `10px` or `25um2`
    pixel_size_um : (y, x), instead of what the files say
    pictures : `overlay` draws outlines and needs every image; None draws where the image is known
    save : further files to write: outlines as GeoJSON or ImageJ ROIs for each image, cells as one Parquet table
    report : write `report.html`
    name_pattern, sheet, group_by : plate, well, treatment from names or a table, and by which of them to sum
    audit : draw so many tiles or fields to count by hand; None draws none
    audit_unit, audit_tile, audit_strata, audit_bound, audit_seed : as in `auditing.draw.AuditSettings`, the tile in px
    recursive : count the masks in folders inside folders too
    allow_partial : count what a run of `infer` left that never finished
    level : coverage of intervals, 0.8, 0.9 or 0.95
    memory : bytes that the run may take for one mask; half of what is free when None
    threads : how many files are counted at a time; every core when None
    overwrite : replace outputs that exist

    Raises
    ------
    UsageError
        An option that is out of range, or that another option makes useless.
    """

    output: Path = Path("counts")
    images: Path | None = None
    kind: AskedKind = "auto"
    cell_values: tuple[int, ...] = ()
    mask_threshold: float | None = None
    per_plane: bool = False
    threshold: float | None = None
    split: Split | None = None
    opening: int | None = None
    closing: int | None = None
    fill_holes: FillHoles | None = None
    min_area: str | None = None
    max_area: str | None = None
    border: Border | None = None
    min_distance: str | None = None
    preset: str | None = None
    pixel_size_um: PixelSize | None = None
    pictures: Pictures | None = None
    save: tuple[Save, ...] = ()
    report: bool = True
    name_pattern: str | None = None
    sheet: Path | None = None
    group_by: tuple[str, ...] = ()
    audit: int | None = None
    audit_unit: Literal["tiles", "fields"] = "tiles"
    audit_tile: int | None = None
    audit_strata: int = 1
    audit_bound: int | None = None
    audit_seed: int | None = None
    recursive: bool = False
    allow_partial: bool = False
    level: float = 0.95
    memory: int | None = None
    threads: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.pixel_size_um is not None and not all(0 < side < float("inf") for side in self.pixel_size_um):
            raise UsageError(
                f"the pixel size is {self.pixel_size_um}", where="--pixel-size", cure="give micrometres, as 0.65"
            )
        for word in self.save:
            if word not in get_args(Save):
                raise UsageError(f"{word!r} cannot be saved", where="--save", cure=did_you_mean(word, get_args(Save)))
        if "parquet" in self.save and find_spec("pyarrow") is None:
            raise UsageError("Parquet needs pyarrow", where="--save", cure="pip install 'cellmonai[parquet]'")
        if self.threads is not None and not 1 <= self.threads <= _MOST_THREADS:
            raise UsageError(f"threads are {self.threads}", where="--threads", cure=f"give 1 to {_MOST_THREADS}")
        if self.level not in LEVELS:
            levels = ", ".join(f"{level:g}" for level in LEVELS)
            raise UsageError(f"the level is {self.level:g}", where="--level", cure=f"give one of {levels}")
        refuse_useless(self)

    @property
    def choice(self) -> ValueChoice:
        """Which values of the masks are cells, where the user says so."""
        return ValueChoice(self.cell_values, self.mask_threshold)

    @property
    def cores(self) -> int:
        """How many files are counted at a time."""
        return self.threads or cores()

    @property
    def tables(self) -> tuple[str, ...]:
        """The files about all images that the run writes."""
        names = ["counts.csv", "cells.csv", "counts.json", "run.json"]
        names += ["report.html"] * self.report
        names += ["cells.parquet"] * ("parquet" in self.save)
        names += ["groups.csv"] * bool(self.name_pattern or self.sheet)
        return tuple(names)

    def refuse_for_labels(self) -> None:
        """Refuse options that would do nothing, since label images are split already.

        Raises
        ------
        UsageError
            An option that works on masks only was given.
        """
        for name in _ONLY_FOR_MASKS:
            if getattr(self, name) is not None:
                raise UsageError(
                    "works on binary masks, and the inputs are label images",
                    where="--" + name.replace("_", "-"),
                    cure="leave it out, or read them as masks with --kind binary",
                )

    def refuse_unfit(self, masks: Sequence[MaskInput]) -> None:
        """Refuse options that the inputs cannot honour.

        Raises
        ------
        InputError
            A threshold without probability maps, or pictures or an audit without images.
        UsageError
            An audit of a count that leaves cells at the border out.
        """
        without_maps = [mask for mask in masks if mask.maps is None]
        if self.threshold is not None and without_maps:
            raise InputError(
                "has no probability maps that --threshold could cut",
                where=str(without_maps[0].path),
                cure="leave --threshold out, or count the folder that cellmonai infer wrote",
            )
        without_image = [mask for mask in masks if mask.image is None]
        if self.pictures == "overlay" and without_image:
            raise InputError(
                "has no image that --pictures overlay could draw on",
                where=str(without_image[0].path),
                cure="name the folder of the images with --images",
            )
        borders = {self.border or (mask.operating_point or InstanceSettings()).border for mask in masks}
        if self.audit is not None and borders != {"keep"}:
            left_out = next(border for border in sorted(borders) if border != "keep")
            raise UsageError(
                f"corrects the count of every cell, and --border {left_out} leaves cells out",
                where="--audit",
                cure="audit with --border keep",
            )
        if self.audit is not None and without_image:
            raise InputError(
                "has no image, and an audit is counted in images",
                where=str(without_image[0].path),
                cure="name the folder of the images with --images",
            )

    def for_mask(self, mask: MaskInput, pixel_size_um: PixelSize | None) -> InstanceSettings:
        """Give the settings for one mask: options, else the operating point, else the defaults.

        Raises
        ------
        UsageError
            An area in micrometres where the pixel size is unknown, or a value out of range.
        """
        given = self._given()
        if self.min_area is not None:
            given["min_area_px"] = parse_area_px(self.min_area, pixel_size_um)
        if self.max_area is not None:
            given["max_area_px"] = parse_area_px(self.max_area, pixel_size_um)
        if self.min_distance is not None:
            given["min_distance_px"] = max(1, round(parse_length_px(self.min_distance, pixel_size_um)))
        if self.preset is not None:  # its own filters are part of it
            given = {"min_area_px": 0, "max_area_px": None} | given
        return replace(mask.operating_point or InstanceSettings(), **given)

    def common_point(self, masks: Sequence[MaskInput]) -> InstanceSettings:
        """Give the operating point behind all masks; one table must not mix counts made in different ways.

        Raises
        ------
        InputError
            The masks come from models with different operating points.
        """
        points = {mask.operating_point or InstanceSettings(): mask for mask in masks}
        if len(points) > 1:
            one, other = list(points.values())[:2]
            raise InputError(
                f"was made with another operating point than {one.path}",
                where=str(other.path),
                cure="count the folders one by one, with another --output for each",
            )
        return next(iter(points), InstanceSettings())

    def as_json(
        self, *, kind: Kind, point: InstanceSettings, from_model: bool, split_along: str | None = None
    ) -> dict[str, Any]:
        """Give what decided the counts, with areas as typed where they depend on the pixel size of each image."""
        areas = {name: value for name in ("min_area", "max_area") if (value := getattr(self, name)) is not None}
        used = point.as_json() | self._given()
        for name, text in areas.items():
            used[f"{name}_px"] = None if "m2" in text or "m²" in text else parse_area_px(text, None)
            used[name] = text
        if self.min_distance is not None:
            used["min_distance"] = self.min_distance
        if self.preset is not None:
            used = {name: value for name, value in used.items() if name not in FIXED_BY_PRESET}
            used["preset"] = self.preset
        if self.threshold is None and not from_model:
            del used["threshold"]  # nothing was thresholded
        if kind == "labels":
            without = {*_ONLY_FOR_MASKS, "min_distance_px"}
            used = {name: value for name, value in used.items() if name not in without}
        return {
            "kind": kind,
            **self.choice.as_json(),
            **used,
            **({"landscape": split_along} if split_along else {}),
            "pixel_size_um": list(self.pixel_size_um) if self.pixel_size_um else None,
            "interval_level": self.level,
            "kernel": kernel_name(),
        }

    def _given(self) -> dict[str, Any]:
        names = ("threshold", "split", "opening", "closing", "fill_holes", "border")
        return {name: value for name in names if (value := getattr(self, name)) is not None}
