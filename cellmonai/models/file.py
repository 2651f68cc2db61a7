"""The model file: safetensors with one JSON card, read here without torch and without trust.

Everything needed to run the model is in it and nothing that could be executed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from cellmonai.core.errors import InputError
from cellmonai.core.files import atomic_file
from cellmonai.images.normalise import Method, Normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Activation = Literal["sigmoid", "categorical"]
"""How logits become probabilities: every map for itself, or cells, borders and background shut each other out."""

FORMAT = 1
_KEY = "cellmonai"
_HEADER_BYTES_MAX = 1 << 20
_TENSORS_MAX = 10_000
_CHANNELS_MAX = 1_000
_RADIUS_MAX = 100_000
_CURE = "train or copy the model again"


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


def write_model(path: Path, card: ModelCard, tensors: Mapping[str, NDArray[Any]], *, overwrite: bool = False) -> None:
    """Write a model file, atomically."""
    from safetensors.numpy import save

    data = save(dict(tensors), metadata={_KEY: json.dumps(card.as_json(), allow_nan=False, sort_keys=True)})
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


def read_card(path: Path) -> ModelCard:
    """Read the card of a model file without touching its tensors.

    Raises
    ------
    InputError
        Missing, cut in half, not a model of cellmonai, or written by a newer one.
    """
    header = _read_header(path)
    try:
        document = json.loads(header["__metadata__"][_KEY])
        version = document.pop("format")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            "is no model of cellmonai", where=str(path), cure="give a model.safetensors of a run"
        ) from error
    if version != FORMAT:
        raise InputError(
            f"has model format {version!r}, this cellmonai reads format {FORMAT}",
            where=str(path),
            cure="update cellmonai",
        )
    return _card_of(path, document)


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all tensors, after the same checks as `read_card`."""
    _read_header(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"is damaged ({error})", where=str(path), cure=_CURE) from error


def _card_of(path: Path, document: dict[str, Any]) -> ModelCard:
    try:
        document["normalisation"] = Normalisation(**document["normalisation"])
        _check_types(document)
        for key in ("channel_names", "outputs"):
            document[key] = tuple(document[key])
        if document["pixel_size_um"] is not None:
            y, x = document["pixel_size_um"]
            document["pixel_size_um"] = (float(y), float(x))
        return ModelCard(**document)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"has a card that cannot be read ({error})", where=str(path), cure=_CURE) from error


def _check_types(document: dict[str, Any]) -> None:
    """Check what would otherwise fail later, or ask for memory without end."""
    fits = {
        "network": isinstance(document["network"], str),
        "parameters": isinstance(document["parameters"], dict),
        "operating_point": isinstance(document["operating_point"], dict),
        "channels": isinstance(document["channels"], int) and 1 <= document["channels"] <= _CHANNELS_MAX,
        "channel_names": len(document["channel_names"]) == document["channels"],
        "outputs": "foreground" in document["outputs"] and len(set(document["outputs"])) == len(document["outputs"]),
        "activation": _activation_fits(document),
        "normalisation": document["normalisation"].method in get_args(Method),
        "radius_px": isinstance(document["radius_px"], int) and 0 <= document["radius_px"] < _RADIUS_MAX,
        "divisor": isinstance(document["divisor"], int) and 1 <= document["divisor"] < _RADIUS_MAX,
    }
    for name, fit in fits.items():
        if not fit:
            raise ValueError(f"{name} does not fit")


def _activation_fits(document: dict[str, Any]) -> bool:
    activation = document.get("activation", "sigmoid")  # older cards do not say
    two_maps = list(document["outputs"]) == ["foreground", "border"]
    return activation in get_args(Activation) and (activation == "sigmoid" or two_maps)


def _read_header(path: Path) -> dict[str, Any]:
    """Read the JSON header; its size, and the size it gives the file, are checked before anything is trusted."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(_HEADER_BYTES_MAX, size - 8):
                raise InputError("is no model file or is cut off", where=str(path), cure=_CURE)
            header = json.loads(stream.read(length))
    except (OSError, IsADirectoryError) as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be read ({reason})", where=str(path), cure="check the path of the model") from error
    except (ValueError, RecursionError) as error:
        raise InputError("is no model file", where=str(path), cure=_CURE) from error
    try:
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        promised = 8 + length + max(ends, default=0)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise InputError("is no model file", where=str(path), cure=_CURE) from error
    if len(ends) > _TENSORS_MAX or promised != size:
        raise InputError(f"holds {size} bytes where its header promises {promised}", where=str(path), cure=_CURE)
    return dict(header)
