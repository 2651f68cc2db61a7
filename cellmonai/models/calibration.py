"""The calibration in a model's card: counts of groups the model never saw, and everything they hold for.

Read from files of strangers: every value is checked before it is used.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.text import printable
from cellmonai.measure.intervals.conformal import count_scale
from cellmonai.measure.intervals.conformal_set import ConformalSet, canonical_order
from cellmonai.measure.intervals.shift import ShiftReferences

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from cellmonai.core.units import PixelSize

VERSION = 1
"""Of the block's form."""

COUNTING = 1
"""To be raised whenever the same mask and settings give another count: older calibrations do not hold then."""

UNIT = "image"
"""What an interval is about; totals of groups would need scores of sums."""

_MOST_IMAGES = 20_000  # the card of a model has at most 1 MiB
_MOST_FEATURES = 500
_LARGEST_COUNT = 10**9
_LARGEST_PHI = 100.0
_LARGEST_FEATURE = 1e40  # float32 pixels
_LARGEST_SETTINGS = 10_000  # characters
_PIXEL_SIZE_TOLERANCE = 1.1
_IMAGE_SIZE_TOLERANCE = 2.0

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CalibrationImage:
    """One image of a calibration group, as the training counts it.

    Parameters
    ----------
    predicted : the count of the frozen model with its frozen operating point
    true : the count of an expert
    group : what is independent of other groups, under any name; never trained or tuned on
    shape : rows and columns
    pixel_size_um : (y, x), or None
    features : `image_features` and `count_features` of it
    """

    predicted: int
    true: int
    group: Hashable
    shape: tuple[int, int]
    pixel_size_um: PixelSize | None
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What intervals of a model are made from, and what they hold for.

    Parameters
    ----------
    counts : predicted and true counts by group
    operating_point : the `InstanceSettings` that were counted with, as JSON
    references : features of the drawn image of each group
    image_px : the least and the largest number of pixels of an image
    pixel_size_um : the smallest and the largest pixel size (geometric mean of the sides), None where not all were known
    inference : how masks were made, as `stitch` and `invert` in the record of `infer`; what it does not name is free
    unit : what was counted: an image
    counting : see `COUNTING`
    """

    counts: ConformalSet
    operating_point: Mapping[str, Any]
    references: ShiftReferences
    image_px: Range
    pixel_size_um: Range | None
    inference: Mapping[str, str | bool] = field(default_factory=dict)
    unit: str = UNIT
    counting: int = COUNTING

    def fits_image_size(self, shape: tuple[int, int]) -> bool:
        """Tell whether an image has between half and double as many pixels as the calibration images."""
        return _within(shape[0] * shape[1], self.image_px, _IMAGE_SIZE_TOLERANCE)

    def fits_pixel_size(self, pixel_size_um: PixelSize) -> bool:
        """Tell whether a pixel size is within 10 % of those of the calibration images; true where they are unknown."""
        size = math.sqrt(pixel_size_um[0] * pixel_size_um[1])
        return self.pixel_size_um is None or _within(size, self.pixel_size_um, _PIXEL_SIZE_TOLERANCE)

    def summary(self, level: float = 0.95) -> dict[str, Any]:
        """Give groups, level and the half-width of the interval at the median count, None with too few groups."""
        rule, middle = self.counts.rule(level), float(np.median(self.counts.predicted))
        reach = None if rule.quantile is None else rule.quantile * float(count_scale(middle, self.counts.phi))
        return {"groups": self.counts.group_count, "level": level, "half_width_at_median": reach}

    def as_json(self) -> dict[str, Any]:
        """Give the block that the card holds."""
        return {
            "version": VERSION,
            "unit": self.unit,
            "counting": self.counting,
            "digest": self.counts.digest,
            "phi": self.counts.phi,
            "groups": list(self.counts.groups),
            "predicted": list(self.counts.predicted),
            "true": list(self.counts.true),
            "operating_point": dict(self.operating_point),
            "inference": dict(self.inference),
            "image_px": list(self.image_px),
            "pixel_size_um": list(self.pixel_size_um) if self.pixel_size_um else None,
            "references": {
                "names": list(self.references.names),
                "values": [[None if math.isnan(x) else x for x in row] for row in self.references.values],
            },
        }

    @classmethod
    def from_json(cls, document: Any) -> Calibration:  # noqa: ANN401 - any JSON value
        """Read and check what `as_json` gave.

        Raises
        ------
        InputError
            A value is missing, of another type, out of range, or does not belong to the others.
        """
        try:
            return _checked(document)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else printable(str(error)[:200])
            raise InputError(f"its calibration cannot be read ({reason})", cure="train the model again") from error


def make_calibration(
    images: Sequence[CalibrationImage],
    *,
    phi: float,
    operating_point: Mapping[str, Any],
    inference: Mapping[str, str | bool] | None = None,
) -> Calibration:
    """Calibrate: to be called once, after weights and operating point are frozen.

    Parameters
    ----------
    images : all images of the calibration groups
    phi : `estimate_phi` of training and validation groups
    operating_point : the `InstanceSettings` that the images were counted with, as JSON
    inference : how their masks were made

    Raises
    ------
    ValueError
        No images, or a count below 0.
    """
    names = [name for name in (images[0].features if images else ()) if all(name in i.features for i in images)]
    values = [tuple(float(image.features[name]) for name in names) for image in images]
    predicted, true = [image.predicted for image in images], [image.true for image in images]
    ties = [tuple(-math.inf if math.isnan(value) else value for value in row) for row in values]
    order, groups = canonical_order(predicted, true, [image.group for image in images], ties=ties)
    counts = ConformalSet(
        tuple(int(predicted[i]) for i in order), tuple(int(true[i]) for i in order), tuple(groups), float(phi)
    )
    sizes = [math.sqrt(image.pixel_size_um[0] * image.pixel_size_um[1]) for image in images if image.pixel_size_um]
    pixels = [float(image.shape[0] * image.shape[1]) for image in images]
    return Calibration(
        counts=counts,
        operating_point=dict(operating_point),
        references=ShiftReferences(tuple(names), tuple(values[order[drawn]] for drawn in counts.drawn())),
        image_px=(min(pixels), max(pixels)),
        pixel_size_um=(min(sizes), max(sizes)) if len(sizes) == len(images) else None,
        inference=dict(inference or {}),
    )


def _within(value: float, ends: Range, tolerance: float) -> bool:
    return ends[0] / tolerance <= value <= ends[1] * tolerance


def _checked(document: dict[str, Any]) -> Calibration:
    if document["version"] != VERSION:
        raise ValueError(f"its version is {document['version']!r}, this cellmonai reads {VERSION}")
    counts = ConformalSet(
        _whole_numbers(document, "predicted", _LARGEST_COUNT),
        _whole_numbers(document, "true", _LARGEST_COUNT),
        _whole_numbers(document, "groups", _MOST_IMAGES),
        _number(document["phi"], 0.0, _LARGEST_PHI),
    )
    if document["digest"] != counts.digest:
        raise ValueError("its digest is not that of its counts")
    references = _references(document["references"], counts.group_count)
    pixel_size = document["pixel_size_um"]
    return Calibration(
        counts=counts,
        operating_point=_settings(document, "operating_point"),
        references=references,
        image_px=_range(document["image_px"], 1.0, 1e15),
        pixel_size_um=None if pixel_size is None else _range(pixel_size, 1e-6, 1e6),
        inference=_settings(document, "inference"),
        unit=_word(document["unit"]),
        counting=_whole(document["counting"], 10**6),
    )


def _references(document: dict[str, Any], groups: int) -> ShiftReferences:
    names, values = document["names"], document["values"]
    if not (isinstance(names, list) and isinstance(values, list) and 0 < len(names) <= _MOST_FEATURES):
        raise ValueError("references are no lists, or of none or too many features")
    if len(values) != groups:
        raise ValueError(f"{len(values)} references for {groups} groups")
    rows = tuple(
        tuple(math.nan if x is None else _number(x, -_LARGEST_FEATURE, _LARGEST_FEATURE) for x in row) for row in values
    )
    return ShiftReferences(tuple(_word(name) for name in names), rows)


def _whole_numbers(document: dict[str, Any], key: str, largest: int) -> tuple[int, ...]:
    values = document[key]
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_IMAGES:
        raise ValueError(f"{key} is no list of 1 to {_MOST_IMAGES} numbers")
    return tuple(_whole(value, largest) for value in values)


def _whole(value: Any, largest: int) -> int:  # noqa: ANN401 - any JSON value
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"{str(value)[:40]} is no whole number from 0 to {largest}")
    return value


def _number(value: Any, least: float, largest: float) -> float:  # noqa: ANN401 - any JSON value
    if type(value) not in {int, float} or not least <= value <= largest:
        raise ValueError(f"{str(value)[:40]} is no number from {least:g} to {largest:g}")
    return float(value)


def _range(value: Any, least: float, largest: float) -> Range:  # noqa: ANN401 - any JSON value
    low, high = (_number(end, least, largest) for end in value)
    if low > high:
        raise ValueError(f"{low:g} to {high:g} is no range")
    return low, high


def _word(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        raise ValueError("a name is no text of 1 to 100 characters")
    return value


def _settings(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document[key]
    if not isinstance(value, dict) or len(json.dumps(value, allow_nan=False)) > _LARGEST_SETTINGS:
        raise ValueError(f"{key} is no set of settings")
    return value
