"""What turns a foreground into objects: threshold, morphology, splitting and filters, as one frozen value."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from cellmonai.core.errors import UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.instances.distance import DISTANCE_CAP_PX

if TYPE_CHECKING:
    from collections.abc import Mapping

Split = Literal["auto", "learned", "markers", "none"]
Border = Literal["keep", "exclude", "frame"]
FillHoles = Literal["small", "all", "none"]

LARGEST_RADIUS_PX = DISTANCE_CAP_PX - 1
"""Discs of morphology are thresholds of the capped distance."""


LARGEST_MIN_DISTANCE_PX = 100


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """How a foreground becomes objects; lengths and areas in pixels of the image at hand.

    Parameters
    ----------
    threshold : foreground probability from which a pixel is foreground, in [0, 1]; unused on masks and label images
    opening, closing : radius in px of the disc of a morphological opening (removes specks) and closing (bridges gaps),
        in this order; 0 leaves the step out
    fill_holes : `small` fills the holes that belong to a cell, as nucleoli and the inside of a ring do, and leaves the
        gaps that cells enclose, see `holes`; `all` fills all background that foreground encloses, `none` fills nothing
    split : `auto` divides touching cells by relative persistence, `learned` by a score fitted on annotated nuclei,
        `markers` by peaks at least `min_distance_px` apart, `none` takes 8-connected components
    min_distance_px : used by `markers`: a peak is the greatest pixel within this many rows and columns
    min_area_px, max_area_px : smallest and largest area an object may have; None is no limit
    border : `keep` counts objects cut by the image border, `exclude` removes them, `frame` removes those on its top or
        left line only, the rule of the unbiased counting frame

    Raises
    ------
    UsageError
        A value outside its range, named with the field.
    """

    threshold: float = 0.5
    opening: int = 0
    closing: int = 0
    fill_holes: FillHoles = "small"
    split: Split = "auto"
    min_distance_px: int = 5
    min_area_px: float = 10
    max_area_px: float | None = None
    border: Border = "keep"

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise UsageError(f"threshold is {self.threshold}, expected a number in [0, 1]", where="threshold")
        for name, radius in (("opening", self.opening), ("closing", self.closing)):
            if radius != int(radius) or not 0 <= radius <= LARGEST_RADIUS_PX:
                raise UsageError(
                    f"{name} is {radius}, expected a whole radius from 0 to {LARGEST_RADIUS_PX} px", where=name
                )
        _check_word("split", self.split, get_args(Split))
        _check_word("border", self.border, get_args(Border))
        _check_word("fill_holes", self.fill_holes, get_args(FillHoles))
        if (
            self.min_distance_px != int(self.min_distance_px)
            or not 1 <= self.min_distance_px <= LARGEST_MIN_DISTANCE_PX
        ):
            raise UsageError(
                f"min_distance_px is {self.min_distance_px}, expected a whole number from 1 to "
                f"{LARGEST_MIN_DISTANCE_PX} px",
                where="min_distance_px",
            )
        if not (self.min_area_px >= 0 and math.isfinite(self.min_area_px)):
            raise UsageError(f"min_area_px is {self.min_area_px}, expected 0 or more", where="min_area_px")
        if self.max_area_px is not None and not self.max_area_px >= self.min_area_px:
            raise UsageError(
                f"max_area_px is {self.max_area_px}, below min_area_px {self.min_area_px}: nothing could be kept",
                where="max_area_px",
            )

    def as_json(self) -> dict[str, Any]:
        """Give the fields as plain JSON values, the form kept in models and run records."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> InstanceSettings:
        """Read what `as_json` gave; missing fields take their defaults.

        Older models say true or false of `fill_holes`. They keep counting as they were tuned to: all or none.

        Raises
        ------
        UsageError
            A field that does not exist, or a value outside its range.
        """
        known = [field.name for field in fields(cls)]
        for name in document:
            if name not in known:
                raise UsageError(f"unknown setting {name!r}", where="instances", cure=did_you_mean(name, known))
        return cls(**(dict(document) | {"fill_holes": fill_holes_word(document.get("fill_holes", cls().fill_holes))}))


def fill_holes_word(value: object) -> object:
    """Turn the true and false of older models and recipes into the words of today; all else stays."""
    return ("all" if value else "none") if isinstance(value, bool) else value


def _check_word(field: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        cure = did_you_mean(str(word), allowed) or f"choose one of {', '.join(allowed)}"
        raise UsageError(f"{field} is {word!r}", where=field, cure=cure)
