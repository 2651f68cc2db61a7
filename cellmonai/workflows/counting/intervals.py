"""The interval of each count from the model's calibration, or the reason why there is none.

An interval is given only where it was earned: by the same model at the same operating point, on an image like those it
was calibrated on. Everything else gets a sentence instead.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import CellmonaiError
from cellmonai.core.files import sha256_of
from cellmonai.core.text import printable
from cellmonai.workflows.counting.landscape import DISTANCE_TRANSFORM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.measure.intervals.conformal_set import IntervalRule, Method
    from cellmonai.measure.intervals.shift import ShiftResult
    from cellmonai.measure.shapes.intensity import ChannelRows
    from cellmonai.models.calibration import Calibration
    from cellmonai.workflows.inferring.record import RecordedModel

LEVEL = 0.95

NO_TOTAL = (
    "a total has no interval: those of images do not add up, since images share the errors of their model and group; "
    "for a total with an interval audit it, as count --audit 30"
)
"""To be said wherever intervals are shown beside a total."""

_NOT_OF_INFER = "these masks do not come from cellmonai infer with a trained model, so no calibration holds for them"


@dataclass(frozen=True, slots=True)
class KnownCalibration:
    """What is known of the model behind masks: its calibration with the rule of its intervals, or why there is none.

    `channels` is how many of them the model takes; `warnings` say, once for all images, what could not be compared.
    """

    level: float
    reason: str | None = None
    calibration: Calibration | None = None
    rule: IntervalRule | None = None
    channels: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str | None:
        """What the intervals promise, for the report; None where there are none."""
        if self.calibration is None or self.rule is None:
            return None
        from cellmonai.measure.intervals.conformal import coverage_quantile

        groups = self.calibration.counts.group_count
        worst = f"one calibration in 20 covers less than {100 * coverage_quantile(groups, self.level):.1f} %"
        if self.rule.method == "hierarchical":
            worst = f"of intervals from one image per group, {worst}"
        return (
            f"intervals cover the true count in {100 * self.level:g} % of images of new groups like the {groups} that "
            f"the model was calibrated on, on average over calibrations; {worst}"
        )


@dataclass(frozen=True, slots=True)
class CountedImage:
    """What an interval depends on.

    Parameters
    ----------
    settings : how it was counted: options, operating point and defaults together
    areas_px : shape (N,), one per counted cell
    shape : rows and columns
    image : the pixels (Y, X) or (C, Y, X) as stored, or rows of them; None where the image is not at hand
    channels : indices of the channels that the model saw; empty is all
    confidence : mean foreground probability over the cells, where known
    instead : what was used in place of `settings`, as `--preset stardist` or `--kind labels`; empty if nothing was
    split_along : the landscape that touching cells were split along, None where none were
    """

    settings: InstanceSettings
    areas_px: NDArray[Any]
    shape: tuple[int, int]
    pixel_size_um: PixelSize | None
    image: NDArray[Any] | ChannelRows | None = None
    channels: tuple[int, ...] = ()
    confidence: float | None = None
    instead: str = ""
    split_along: str | None = DISTANCE_TRANSFORM


@dataclass(frozen=True, slots=True)
class CountInterval:
    """The interval of one count: `ends` or a `reason`, never both.

    Parameters
    ----------
    level : the share of images of new groups that it covers
    ends : lowest and highest count
    reason : why there is no interval, with a cure where there is one
    method : `one_per_group` or `hierarchical`
    conservative : ends of the hierarchical method, always the safe second line
    shift : how unlike the calibration set the image is, where it could be compared
    """

    level: float
    ends: tuple[int, int] | None = None
    reason: str | None = None
    method: Method | None = None
    conservative: tuple[int, int] | None = None
    shift: ShiftResult | None = None

    @property
    def conservative_line(self) -> str | None:
        """The second line, as `conservative: 95 to 131`; None without interval."""
        return f"conservative: {self.conservative[0]:,} to {self.conservative[1]:,}" if self.conservative else None

    def as_json(self) -> dict[str, Any]:
        """Give interval, reason and what they rest on."""
        return {
            "level": self.level,
            "interval": list(self.ends) if self.ends else None,
            "reason": self.reason,
            "method": self.method,
            "conservative": list(self.conservative) if self.conservative else None,
            "shift_p": self.shift.p if self.shift and self.shift.feature else None,
            "shift_feature": self.shift.feature or None if self.shift else None,
        }


def find_calibration(model: RecordedModel | None, *, level: float = LEVEL) -> KnownCalibration:
    """Find the calibration of the model that made masks; to be asked once per model, its file is read.

    Parameters
    ----------
    model : from the record of `infer`; None for masks that have none
    level : 0.8, 0.9 or 0.95
    """
    if model is None:
        return KnownCalibration(level, _NOT_OF_INFER)
    from cellmonai.models.calibration import Calibration
    from cellmonai.models.file import read_card
    from cellmonai.workflows.counting.interval_reasons import made_otherwise, not_compared, too_little

    name = f"the model {printable(str(model.path))}"
    if not model.path.is_file():
        away = "is not there any more; count from the folder where cellmonai infer ran, or put the model back"
        return KnownCalibration(level, f"{name} {away}")
    try:
        card = read_card(model.path)
        if card.calibration is None:
            never = "was never calibrated; train it with calibration groups that it does not learn from"
            return KnownCalibration(level, f"{name} {never}")
        if sha256_of(model.path) != model.sha256:
            return KnownCalibration(level, f"{name} is not the one that made these masks; run cellmonai infer again")
        calibration = Calibration.from_json(card.calibration)
    except (CellmonaiError, OSError) as error:
        what = f"{error.what}; {error.cure}" if isinstance(error, CellmonaiError) else error.strerror or str(error)
        return KnownCalibration(level, f"{name}: {what}")
    if reason := too_little(calibration, level) or made_otherwise(calibration, model):
        return KnownCalibration(level, reason)
    return KnownCalibration(
        level, None, calibration, calibration.counts.rule(level), card.channels, not_compared(calibration)
    )


def count_interval(known: KnownCalibration, counted: CountedImage) -> CountInterval:
    """Give the interval of one image's count, or the reason why there is none; `image` is read last, if at all."""
    calibration, rule = known.calibration, known.rule
    if calibration is None or rule is None:
        return CountInterval(known.level, reason=known.reason)
    from cellmonai.measure.intervals.features import before_the_model
    from cellmonai.workflows.counting.interval_reasons import other_landscape, other_settings, other_size, other_way

    reason = (
        other_way(counted.instead)
        or other_settings(calibration, counted.settings)
        or other_landscape(calibration, counted.split_along)
        or other_size(calibration, counted.shape, counted.pixel_size_um)
    )
    if reason:
        return CountInterval(known.level, reason=reason)
    features = _features(counted, known.channels)
    missing = [name for name in before_the_model(calibration.references.names) if name not in features]
    if missing:
        return CountInterval(known.level, reason=_cannot_compare(counted))
    shift = calibration.references.compare(features)
    if shift.alarm:
        reason = f"the image is unlike the calibration set: its {shift.words} (p = {shift.p:.2g})"
        return CountInterval(known.level, reason=reason, shift=shift)
    count = int(counted.areas_px.size)
    return CountInterval(
        known.level,
        ends=rule.interval(count),
        method=rule.method,
        conservative=rule.conservative_interval(count),
        shift=shift,
    )


def folder_warning(intervals: Sequence[CountInterval]) -> str | None:
    """Say of many images how many are unlike the calibration set, where so many are not chance; else None."""
    shifts = [interval.shift for interval in intervals if interval.shift is not None]
    if not shifts:
        return None
    from cellmonai.measure.intervals.shift import ALARM, benjamini_hochberg

    odd = [shift for shift, odd in zip(shifts, benjamini_hochberg([s.p for s in shifts]), strict=True) if odd]
    if not odd:
        return None
    commonest = Counter(shift.feature for shift in odd).most_common(1)[0][0]
    example = next(shift for shift in odd if shift.feature == commonest)
    return (
        f"{len(odd)} of {len(shifts)} images are unlike those the model was calibrated on (at most {100 * ALARM:g} % "
        f"of such alarms are false); for example, {example.words}"
    )


def _features(counted: CountedImage, channels: int) -> dict[str, float]:
    from cellmonai.measure.intervals.features import count_features, image_features

    features = count_features(counted.areas_px, counted.shape, confidence=counted.confidence)
    if (image := counted.image) is None:
        return features
    present = range(image.shape[0] if len(image.shape) == 3 else 1)
    chosen = list(counted.channels or present)
    if channels == 1:
        chosen = chosen[:1]  # where it took one of several, they were equal
    if not set(chosen) <= set(present):
        return features
    return features | image_features(image, pixel_size_um=counted.pixel_size_um, channels=chosen)


def _cannot_compare(counted: CountedImage) -> str:
    if counted.image is None:
        return "the image is not at hand to be compared with the calibration set; name its folder with --images"
    return "the image has other channels than the calibration set; name the images that cellmonai infer saw"
