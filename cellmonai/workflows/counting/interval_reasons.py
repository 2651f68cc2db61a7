"""Why a calibration does not hold: too few groups, made or counted otherwise, another size."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import UsageError
from cellmonai.core.text import printable
from cellmonai.instances.settings import InstanceSettings
from cellmonai.measure.intervals.conformal import least_groups
from cellmonai.measure.intervals.features import before_the_model
from cellmonai.measure.intervals.shift import LEAST_REFERENCES
from cellmonai.models.calibration import COUNTING, UNIT, Calibration
from cellmonai.report.words import counted
from cellmonai.workflows.counting.landscape import DISTANCE_TRANSFORM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.core.units import PixelSize
    from cellmonai.workflows.inferring.record import RecordedModel

LANDSCAPE = "landscape"
"""The name in a calibration's `inference` that tells along what cells were split, in the words of `MapLandscape`."""

_MOST_NAMED = 3


def too_little(calibration: Calibration, level: float) -> str | None:
    """Say why the calibration is of no use for any image, if it is not."""
    groups, needed = calibration.counts.group_count, least_groups(level)
    if calibration.unit != UNIT:
        return f"the model was calibrated for counts per {printable(calibration.unit)}, not per image"
    if calibration.counting != COUNTING:
        return "the model was calibrated with a cellmonai that counted in another way; train or calibrate it again"
    if groups < needed:
        return (
            f"the model was calibrated on {counted(groups, 'group')} and a {100 * level:g} % interval needs {needed}; "
            f"{needed - groups} more {'is' if needed - groups == 1 else 'are'} missing"
        )
    if groups < LEAST_REFERENCES:
        return (
            f"the model was calibrated on {counted(groups, 'group')} and {LEAST_REFERENCES} are needed to tell whether "
            "an image is like theirs"
        )
    if not before_the_model(calibration.references.names):
        return "the calibration does not say what its images looked like; train or calibrate the model again"
    return None


def made_otherwise(calibration: Calibration, model: RecordedModel) -> str | None:
    """Say in what the masks were made otherwise than those of the calibration images."""
    here = dict(model.inference)
    if here.get("precision") == "int8":  # which no model is calibrated in, and it changes counts
        return (
            "the masks were made in 8-bit integers and the model was calibrated without; "
            "run cellmonai infer without --precision"
        )
    for name, value in calibration.inference.items():
        if name in here and here[name] != value:
            return (
                f"the masks were made with {name} {_shown(here[name])} and the model was calibrated with "
                f"{name} {_shown(value)}; run cellmonai infer without --{name}"
            )
    return None


def not_compared(calibration: Calibration) -> tuple[str, ...]:
    """Say what the calibration does not know and so cannot be compared."""
    if calibration.pixel_size_um is None:
        return (
            "the pixel size of the images the model was calibrated on is unknown, so scale was compared by cell areas "
            "in pixels only",
        )
    return ()


def other_way(instead: str) -> str | None:
    """Say what took the place of the operating point."""
    if not instead:
        return None
    return f"counted with {printable(instead)}, as the model was not calibrated; leave it out for an interval"


def other_settings(calibration: Calibration, settings: InstanceSettings) -> str | None:
    """Say in what the masks were counted at another operating point."""
    try:
        calibrated = InstanceSettings.from_json(calibration.operating_point)
    except (UsageError, TypeError, ValueError, AttributeError):
        return "the operating point of the calibration cannot be read by this cellmonai; update it"
    here, there = asdict(settings), asdict(calibrated)
    differences = [name for name in here if here[name] != there[name]]
    if not differences:
        return None
    named = [_difference(name, here, there) for name in differences[:_MOST_NAMED]]
    more = f" and {len(differences) - _MOST_NAMED} more" if len(differences) > _MOST_NAMED else ""
    return (
        f"counted at another operating point than calibrated: {', '.join(named)}{more}; leave such options out of "
        "infer and count for an interval"
    )


def other_landscape(calibration: Calibration, split_along: str | None) -> str | None:
    """Say along what else cells were split; a calibration that names nothing is of the distance transform."""
    calibrated = str(calibration.inference.get(LANDSCAPE, DISTANCE_TRANSFORM))
    if split_along in (None, calibrated):
        return None
    return (
        f"cells were split along the {split_along} and the model was calibrated along the {printable(calibrated)}; "
        "run cellmonai infer with that model again"
    )


def _difference(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    return f"{name.removesuffix('_px').replace('_', ' ')} {_shown(here[name])} instead of {_shown(there[name])}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else "none" if value is None else printable(str(value))


def other_size(calibration: Calibration, shape: tuple[int, int], pixel_size_um: PixelSize | None) -> str | None:
    """Say in what the image is of another size or scale than the calibration images."""
    low, high = calibration.image_px
    if not calibration.fits_image_size(shape):
        here = shape[0] * shape[1]
        return (
            f"the image has {_mpx(here)} and those the model was calibrated on have "
            + (_mpx(low) if low == high else f"{_mpx(low)} to {_mpx(high)}")
            + ", more than a factor of two away"
        )
    if calibration.pixel_size_um is None:
        return None
    smallest, largest = (f"{size:.3g}" for size in calibration.pixel_size_um)
    there = f"{smallest} µm" if smallest == largest else f"{smallest} to {largest} µm"
    if pixel_size_um is None:
        return f"the pixel size is unknown and the calibration holds for {there}; give it with --pixel-size"
    if not calibration.fits_pixel_size(pixel_size_um):
        y, x = pixel_size_um
        return f"the pixel size is {y:.3g} x {x:.3g} µm and the calibration holds for {there}"
    return None


def _mpx(pixels: float) -> str:
    return f"{pixels / 1e6:.3g} Mpx"
