"""A network that OpenVINO runs on the CPU, converted once from its model file; torch is needed for that once only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError
from cellmonai.inference.int8_difference import Int8Difference
from cellmonai.inference.openvino_engine import OpenVinoEngine, choose_openvino_precision
from cellmonai.inference.openvino_library import load_nncf
from cellmonai.inference.openvino_model import find_converted
from cellmonai.inference.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cellmonai.inference.openvino_model import ConvertedModel
    from cellmonai.models.file import ModelCard

    Calibrate = Callable[[ConvertedModel], None]
    """Take a network in f32 and keep it in 8-bit integers, as `convert_int8` does."""


def openvino_runner(
    path: Path,
    card: ModelCard,
    sha256: str,
    *,
    precision: str,
    reason: str,
    tell: Callable[[str], None],
    threads: int | None = None,
    calibrate: Calibrate | None = None,
) -> Runner:
    """Make a model ready to run with OpenVINO.

    Parameters
    ----------
    path, card, sha256 : the model's file, its card and its digest
    precision : `auto`, `f32`, `bf16` or `int8`
    reason : why the CPU was taken
    tell : told, in a sentence, when the model is converted first, and what int8 changes
    threads : that compute; None is one for each core that this process may use
    calibrate : called for int8 where the model was not calibrated yet; None where that cannot be done

    Raises
    ------
    UsageError
        OpenVINO is missing, cannot express the network, or the CPU does not compute in this precision; NNCF is missing,
        or nobody is there to calibrate.
    InputError
        The model cannot be read.
    """
    chosen = choose_openvino_precision(precision)
    converted = _in_int8(path, card, sha256, tell, calibrate) if chosen == "int8" else _in_f32(path, card, sha256, tell)
    engine = OpenVinoEngine(converted, precision=chosen, threads=threads)
    return Runner(
        engine=engine,
        device="cpu",
        device_reason=reason,
        threads=engine.threads,
        activation=card.activation,
        names=card.outputs,
        window_bytes_per_px=engine.memory.bytes_per_px,
        fixed_bytes=engine.memory.fixed_bytes,
        calibration=engine.calibration,
    )


def find_conversion(card: ModelCard, sha256: str, precision: str = "f32") -> ConvertedModel | None:
    """Give what `find_converted` finds for a model file, by its card and its digest."""
    return find_converted(
        sha256, channels=card.channels, outputs=len(card.outputs), divisor=card.divisor, precision=precision
    )


def _in_f32(path: Path, card: ModelCard, sha256: str, tell: Callable[[str], None]) -> ConvertedModel:
    converted = find_conversion(card, sha256)
    if converted is None:
        tell("converting the model for OpenVINO, which is done once for each model")
        _convert(path, card, sha256)
        converted = find_conversion(card, sha256)
        assert converted is not None
    return converted


def _in_int8(
    path: Path, card: ModelCard, sha256: str, tell: Callable[[str], None], calibrate: Calibrate | None
) -> ConvertedModel:
    """Find the model in 8-bit integers, calibrated now or by an earlier run, and say what they change."""
    converted, earlier = find_conversion(card, sha256, "int8"), True
    if converted is None:
        if calibrate is None:
            what = "the model is not calibrated on this machine"
            raise UsageError(what, where="--precision int8", cure="run cellmonai infer --precision int8 here first")
        load_nncf()  # a conversion to f32 takes a while, and would be in vain without it
        calibrate(_in_f32(path, card, sha256, tell))
        converted, earlier = find_conversion(card, sha256, "int8"), False
        assert converted is not None
    assert converted.card.calibration is not None
    tell(Int8Difference(**converted.card.calibration).sentence)
    if earlier:
        tell(f"an earlier run calibrated the model; remove {converted.folder} to calibrate it on images of this run")
    return converted


def _convert(path: Path, card: ModelCard, sha256: str) -> None:
    from cellmonai.inference.openvino_convert import convert
    from cellmonai.models.load import load_model

    convert(load_model(path).net, channels=card.channels, divisor=card.divisor, model_sha256=sha256)
