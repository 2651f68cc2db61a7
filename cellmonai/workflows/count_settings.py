"""What the user asked of `count`, and how it combines with the operating point of the model and the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.units import parse_area_px
from cellmonai.instances.settings import Border, InstanceSettings, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.units import PixelSize
    from cellmonai.workflows.count_inputs import MaskInput
    from cellmonai.workflows.count_survey import Kind

Pictures = Literal["none", "overlay"]

_ONLY_FOR_MASKS = ("threshold", "split", "opening", "closing", "fill_holes")


@dataclass(frozen=True, slots=True)
class CountSettings:
    """What to count, how, and where results go; None leaves a choice to the operating point or the default.

    Parameters
    ----------
    output : folder of the results
    images : folder with the images of the masks, for pictures and intensities
    kind : read inputs as binary masks or label images; `auto` decides once for all of them
    threshold : cut the probability maps that `infer` left again, in [0, 1]
    split, opening, closing, fill_holes, border : as in `InstanceSettings`
    min_area, max_area : areas as typed, `10px` or `25um2`
    pixel_size_um : (y, x), instead of what the files say
    pictures : `overlay` draws outlines and needs every image; None draws where the image is known
    memory : bytes that one mask may take; half of what is free when None
    overwrite : replace outputs that exist
    """

    output: Path = Path("counts")
    images: Path | None = None
    kind: Literal["auto", "binary", "labels"] = "auto"
    threshold: float | None = None
    split: Split | None = None
    opening: int | None = None
    closing: int | None = None
    fill_holes: bool | None = None
    min_area: str | None = None
    max_area: str | None = None
    border: Border | None = None
    pixel_size_um: PixelSize | None = None
    pictures: Pictures | None = None
    memory: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.pixel_size_um is not None and not all(0 < side < float("inf") for side in self.pixel_size_um):
            raise UsageError(
                f"the pixel size is {self.pixel_size_um}", where="--pixel-size", cure="give micrometres, as 0.65"
            )

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
            A threshold without probability maps, or pictures without images.
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

    def as_json(self, *, kind: Kind, point: InstanceSettings, from_model: bool) -> dict[str, Any]:
        """Give what decided the counts, with areas as typed where they depend on the pixel size of each image."""
        areas = {name: value for name in ("min_area", "max_area") if (value := getattr(self, name)) is not None}
        used = point.as_json() | self._given()
        for name, text in areas.items():
            used[f"{name}_px"] = None if "m2" in text or "m²" in text else parse_area_px(text, None)
            used[name] = text
        if self.threshold is None and not from_model:
            del used["threshold"]  # nothing was thresholded
        if kind == "labels":
            used = {name: value for name, value in used.items() if name not in _ONLY_FOR_MASKS}
        return {"kind": kind, **used, "pixel_size_um": list(self.pixel_size_um) if self.pixel_size_um else None}

    def _given(self) -> dict[str, Any]:
        names = (*_ONLY_FOR_MASKS, "border")
        return {name: value for name in names if (value := getattr(self, name)) is not None}
