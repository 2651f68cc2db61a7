"""What a model file says of itself, and the checks that a card of a stranger passes before it is believed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from cellmonai.core.errors import CellmonaiError
from cellmonai.core.text import printable
from cellmonai.images.normalise import Method, Normalisation
from cellmonai.instances.settings import InstanceSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Activation = Literal["sigmoid", "categorical"]
"""How logits become probabilities: every map for itself, or cells, borders and background shut each other out."""

FORMAT = 1
_CHANNELS_MAX = 1_000
_RADIUS_MAX = 100_000
_NAME_MAX = 10_000
_TEXT_MAX = 100_000
_LENGTH_RANGE = (1e-9, 1e9)
_LARGEST_INTENSITY = 1e12
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says of itself.

    `channels` is what the network takes, `channel_names` what they were called in training; `outputs` names its maps
    in order, `activation` how its logits become them (`inference.activation.probabilities`); lengths are in px of the
    training images, `pixel_size_um` is (y, x) or None when unknown; `operating_point` is the frozen threshold with the
    splitting parameters.
    """

    network: str
    parameters: Mapping[str, Any]
    channels: int
    channel_names: tuple[str, ...]
    normalisation: Normalisation
    operating_point: Mapping[str, Any]
    radius_px: int
    divisor: int
    tile_exact: bool
    pixel_size_um: tuple[float, float] | None = None
    object_diameter_px: float | None = None
    outputs: tuple[str, ...] = ("foreground",)
    activation: Activation = "sigmoid"
    calibration: Mapping[str, Any] | None = None
    recipe_digest: str = ""
    data_fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give the JSON form, with the version of the format."""
        return {"format": FORMAT, **asdict(self)}


def card_of(document: Mapping[str, Any]) -> ModelCard:
    """Check what `as_json` gave, without its format, and make the card.

    Raises
    ------
    ValueError
        A field is missing, unknown, of another type or out of range; the text names it.
    """
    known = {each.name for each in fields(ModelCard)}
    for name in document:
        if name not in known:
            raise ValueError(f"the unknown field {name[:60]!r}")
    for name in _REQUIRED:
        if name not in document:
            raise ValueError(f"no {name}")
    for name, (fits, expected) in _FIELDS.items():
        if name in document and not fits(document[name]):
            raise ValueError(f"{name} {shown(document[name])}, expected {expected}")
    values = dict(document)
    values["normalisation"] = _normalisation(document["normalisation"])
    for name in ("channel_names", "outputs", "pixel_size_um"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    if values.get("pixel_size_um") is not None:
        values["pixel_size_um"] = tuple(float(side) for side in values["pixel_size_um"])
    card = ModelCard(**values)
    _require_agreement(card)
    return card


def _is_text(value: object, most: int = _NAME_MAX) -> bool:
    return isinstance(value, str) and len(value) <= most and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_number(value: object, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most  # type: ignore[operator]  # false for NaN too


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) <= _CHANNELS_MAX and all(map(_is_text, value))


def _is_pixel_size(value: object) -> bool:
    two = isinstance(value, list | tuple) and len(value) == 2
    return value is None or (two and all(_is_number(side, *_LENGTH_RANGE) for side in value))  # type: ignore[attr-defined]


def _is_plain(value: object, depth: int = 0) -> bool:
    """Tell whether a JSON value is finite and not nested without reason."""
    if isinstance(value, dict):
        return depth < _DEEPEST and all(_is_text(key) and _is_plain(item, depth + 1) for key, item in value.items())
    if isinstance(value, list | tuple):
        return depth < _DEEPEST and all(_is_plain(item, depth + 1) for item in value)
    if isinstance(value, str):
        return _is_text(value)
    return value is None or isinstance(value, bool) or _is_number(value, -1e300, 1e300)


def _is_settings(value: object) -> bool:
    return isinstance(value, dict) and _is_plain(value)


def _are_versions(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(key) and _is_text(item) for key, item in value.items())


_REQUIRED = (
    *("network", "parameters", "channels", "channel_names", "normalisation", "operating_point"),
    *("radius_px", "divisor", "tile_exact"),
)

_Check = tuple["Callable[[Any], bool]", str]
_FIELDS: dict[str, _Check] = {
    "network": (_is_text, "a name"),
    "parameters": (_is_settings, "names with plain values"),
    "channels": (lambda v: _is_whole(v, 1, _CHANNELS_MAX), f"a whole number from 1 to {_CHANNELS_MAX}"),
    "channel_names": (_are_names, "a list of names"),
    "normalisation": (_is_settings, "names with plain values"),
    "operating_point": (_is_settings, "names with plain values"),
    "radius_px": (lambda v: _is_whole(v, 0, _RADIUS_MAX), f"a whole number from 0 to {_RADIUS_MAX}"),
    "divisor": (lambda v: _is_whole(v, 1, _RADIUS_MAX), f"a whole number from 1 to {_RADIUS_MAX}"),
    "tile_exact": (lambda v: isinstance(v, bool), "true or false"),
    "pixel_size_um": (_is_pixel_size, "two numbers above 0, or null"),
    "object_diameter_px": (lambda v: v is None or _is_number(v, *_LENGTH_RANGE), "a number above 0, or null"),
    "outputs": (_are_names, "a list of names"),
    "activation": (lambda v: v in get_args(Activation), f"one of {', '.join(get_args(Activation))}"),
    "calibration": (lambda v: v is None or _is_settings(v), "names with plain values, or null"),
    "recipe_digest": (_is_text, "text"),
    "data_fingerprint": (_is_text, "text"),
    "versions": (_are_versions, "names with versions"),
    "licence": (lambda v: _is_text(v, _TEXT_MAX), "text"),
    "text": (lambda v: _is_text(v, _TEXT_MAX), "text"),
}


def _normalisation(document: Mapping[str, Any]) -> Normalisation:
    known = {each.name for each in fields(Normalisation)}
    if unknown := sorted(set(document) - known):
        raise ValueError(f"the unknown field normalisation.{unknown[0][:60]}")
    method, low, high = (document.get(name, getattr(Normalisation(), name)) for name in ("method", "low", "high"))
    if method not in get_args(Method):
        raise ValueError(f"normalisation.method {shown(method)}, expected one of {', '.join(get_args(Method))}")
    least, most = (0.0, 100.0) if method == "percentile" else (-_LARGEST_INTENSITY, _LARGEST_INTENSITY)
    for name, value in (("low", low), ("high", high)):
        if not _is_number(value, least, most):
            raise ValueError(f"normalisation.{name} {shown(value)}, expected a number from {least:g} to {most:g}")
    if low >= high:
        raise ValueError(f"normalisation.low {low:g}, not below high {high:g}")
    if document.get("clip", False) not in (True, False) or _is_number(document.get("clip"), 0, 1):
        raise ValueError(f"normalisation.clip {shown(document['clip'])}, expected true or false")
    return Normalisation(**document)


def _require_agreement(card: ModelCard) -> None:
    """Check what one field demands of another, and the values of other stages by their own rules."""
    if len(card.channel_names) != card.channels:
        raise ValueError(f"{len(card.channel_names)} channel_names for {card.channels} channels")
    if "foreground" not in card.outputs or len(set(card.outputs)) != len(card.outputs):
        raise ValueError(f"outputs {shown(card.outputs)}, expected foreground among them, and each once")
    if card.activation == "categorical" and card.outputs != ("foreground", "border"):
        raise ValueError(f"activation categorical for the outputs {shown(card.outputs)}")
    try:
        InstanceSettings.from_json(card.operating_point)
    except CellmonaiError as error:
        raise ValueError(f"an operating_point that does not fit ({error.what})") from error
    if card.calibration is not None:
        from cellmonai.models.calibration import VERSION, Calibration  # most models have none

        if card.calibration.get("version") != VERSION:  # told by `count`, which alone uses it
            return
        try:
            Calibration.from_json(card.calibration)
        except CellmonaiError as error:
            raise ValueError(f"a calibration that does not fit ({error.what})") from error


def shown(value: object) -> str:
    """Give a value in few letters, whatever it is."""
    if isinstance(value, dict | list | tuple) and not _is_plain(value):
        return "with other values inside"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer with more digits than Python prints
        text = "a number with very many digits" if isinstance(value, int) else "something deeply nested"
    return printable(text if len(text) <= 60 else f"{text[:60]}…")
