"""From a torch network to an entry of the cache that OpenVINO runs; needs torch, once for every model."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cellmonai.core.cache import temporary_cache
from cellmonai.core.errors import UsageError
from cellmonai.inference.activation import probabilities
from cellmonai.inference.fold import folded
from cellmonai.inference.openvino_engine import OpenVinoEngine
from cellmonai.inference.openvino_library import WHERE, load_openvino
from cellmonai.inference.openvino_memory import OpenVinoMemory, memory_of
from cellmonai.inference.openvino_model import ConvertedCard, ConvertedModel, keep_converted, serialised
from cellmonai.nets.sizes import SizeRule

if TYPE_CHECKING:
    from torch import nn

# In probability, or as a share of the largest logit, whichever is less: measured up to 8e-6 and 3e-5 over the
# catalogue with random weights. A graph that is wrong differs in the first digit.
_ROUNDING = 1e-4


def convert(net: nn.Module, *, channels: int, divisor: int, model_sha256: str) -> Path:
    """Convert a network, compare its results with torch's, and keep it in the cache; gives the folder of the entry.

    Parameters
    ----------
    net : (1, channels, Y, X) to logits (1, K, Y, X), in any mode and place; left unchanged
    divisor : what Y and X are multiples of, in px
    model_sha256 : digest of the model file, under which `find_converted` finds the entry

    Raises
    ------
    UsageError
        OpenVINO is missing, cannot express the network, or gives other results than torch.
    OutputError
        Neither the cache nor the folder for temporary files can be written.
    """
    fast = _prepared(net)
    model = _traced(fast, channels=channels, divisor=divisor)
    with TemporaryDirectory(dir=temporary_cache("").folder) as place:
        graph, weights = serialised(model, Path(place))
        card = ConvertedCard(
            model_sha256=model_sha256,
            numbers="f32",
            channels=channels,
            outputs=_outputs(fast, channels=channels, divisor=divisor),
            divisor=divisor,
            least_px=2 * divisor,
            memory=OpenVinoMemory(0, 0.0),
        )
        card = _with_least_side(ConvertedModel(card, graph, weights, Path(place)))
        _require_equal(fast, OpenVinoEngine(ConvertedModel(card, graph, weights, Path(place))), card)
        memory = memory_of(model, Path(place), channels=channels, least=card.least_px, divisor=divisor)
    return keep_converted(replace(card, memory=memory), graph, weights)


def _prepared(net: nn.Module) -> nn.Module:
    fast = folded(net).to("cpu", torch.float32)
    for module in fast.modules():
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, SizeRule):  # branches on the size, which a trace would keep for all sizes
                del module._forward_pre_hooks[key]
    return fast


def _traced(net: nn.Module, *, channels: int, divisor: int) -> Any:  # noqa: ANN401 - openvino.Model
    """Trace a network on a small example: what tracing costs grows with it, and its size is left open afterwards."""
    openvino = load_openvino()
    side = max(64, 4 * divisor)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of branches on sizes, which `_require_equal` settles, and of the tracer
            return openvino.convert_model(
                net,
                example_input=torch.zeros(1, channels, side, side),
                input=[1, channels, -1, -1],
                extension=_logit_rule(),
            )
    except Exception as error:  # whatever a network, the tracer or OpenVINO raises: it cannot be converted
        raise _not_converted("OpenVINO cannot express this network") from error


def _logit_rule() -> Any:  # noqa: ANN401 - an extension of OpenVINO
    """Teach OpenVINO `torch.logit` with its bounds, which it does not know by itself."""
    load_openvino()
    from openvino import opset13
    from openvino.frontend.pytorch import ConversionExtension

    def logit(context: Any) -> Any:  # noqa: ANN401 - openvino's own protocol
        least = context.get_values_from_const_input(1)
        share = opset13.clamp(context.get_input(0), least, 1 - least)
        return opset13.log(opset13.divide(share, opset13.subtract(opset13.constant(np.float32(1)), share))).outputs()

    return ConversionExtension("aten::logit", logit)


def _outputs(net: nn.Module, *, channels: int, divisor: int) -> int:
    with torch.inference_mode():
        return int(net(torch.zeros(1, channels, 4 * divisor, 4 * divisor)).shape[1])


def _with_least_side(converted: ConvertedModel) -> ConvertedCard:
    """Find the shortest side that a graph takes.

    A network that repeats the edge of a small image does so by a branch, of which a trace holds one side only.
    """
    card = converted.card
    engine = OpenVinoEngine(converted)
    for side in range(2 * card.divisor, 9 * card.divisor, card.divisor):
        try:
            engine.run(np.zeros((1, card.channels, side, side), np.float32))
        except RuntimeError:
            continue
        return replace(card, least_px=side)
    raise _not_converted("OpenVINO cannot run this network on windows of another size than it was traced with")


def _require_equal(net: nn.Module, engine: OpenVinoEngine, card: ConvertedCard) -> None:
    """Run windows of several shapes in both; a graph that holds the size it was traced with fails here."""
    for shape in ((2, 2), (2, 5), (4, 5), (9, 3)):
        rows, columns = (side * card.divisor for side in shape)
        window = np.random.default_rng(0).normal(size=(1, card.channels, rows, columns)).astype(np.float32)
        with torch.inference_mode():
            expected = net(torch.from_numpy(window)).numpy()
        try:
            found = engine.run(window)
        except RuntimeError as error:
            raise _not_converted("OpenVINO cannot run this network on windows of every size") from error
        off_by_most = min(
            float(np.abs(found - expected).max() / np.abs(expected).max()),
            float(np.abs(probabilities(found) - probabilities(expected)).max()),
        )
        if not off_by_most <= _ROUNDING:
            raise _not_converted(f"OpenVINO gives other results than torch (off by {off_by_most:.1g})")


def _not_converted(what: str) -> UsageError:
    return UsageError(what, where=WHERE, cure="use --engine torch")
