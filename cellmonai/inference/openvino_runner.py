"""A network that OpenVINO runs on the CPU, converted once from its model file; torch is needed for that once only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.inference.openvino_engine import OpenVinoEngine, choose_openvino_precision
from cellmonai.inference.openvino_model import find_converted
from cellmonai.inference.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cellmonai.inference.openvino_model import ConvertedModel
    from cellmonai.models.file import ModelCard


def openvino_runner(
    path: Path,
    card: ModelCard,
    sha256: str,
    *,
    precision: str,
    reason: str,
    tell: Callable[[str], None],
    threads: int | None = None,
) -> Runner:
    """Make a model ready to run with OpenVINO.

    Parameters
    ----------
    path, card, sha256 : the model's file, its card and its digest
    precision : `auto`, `f32` or `bf16`
    reason : why the CPU was taken
    tell : told, in a sentence, when the model is converted first
    threads : that compute; None is one for each processor that this process may use

    Raises
    ------
    UsageError
        OpenVINO is missing, cannot express the network, or the CPU does not compute in this precision.
    InputError
        The model cannot be read.
    """
    chosen = choose_openvino_precision(precision)
    converted = _found(card, sha256)
    if converted is None:
        tell("converting the model for OpenVINO, which is done once for each model")
        _convert(path, card, sha256)
        converted = _found(card, sha256)
        assert converted is not None
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
    )


def _found(card: ModelCard, sha256: str) -> ConvertedModel | None:
    return find_converted(sha256, channels=card.channels, outputs=len(card.outputs), divisor=card.divisor)


def _convert(path: Path, card: ModelCard, sha256: str) -> None:
    from cellmonai.inference.openvino_convert import convert
    from cellmonai.models.load import load_model

    convert(load_model(path).net, channels=card.channels, divisor=card.divisor, model_sha256=sha256)
