"""Convolutions in 8-bit integers: faster where a CPU has VNNI or AMX, and no longer the network that was trained.

So it is opt-in, calibrated on windows of the images it will run on, and says what it changed on them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.cache import temporary_cache
from cellmonai.core.errors import UsageError
from cellmonai.inference.activation import probabilities
from cellmonai.inference.int8_difference import Int8Difference
from cellmonai.inference.openvino_engine import OpenVinoEngine, at_least, choose_openvino_precision
from cellmonai.inference.openvino_library import core, load_nncf
from cellmonai.inference.openvino_memory import memory_of
from cellmonai.inference.openvino_model import ConvertedModel, keep_converted, serialised
from cellmonai.instances.components import label_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.models.file import Activation


_NNCF_BYTES = 80 << 20
_KEPT_SHARE = 0.25


def calibration_bytes(converted: ConvertedModel, px: int) -> int:
    """Tell what a calibration takes on top of a process that has imported NNCF, from the pixels of all its windows.

    Notes
    -----
    NNCF keeps the inputs of a layer for all windows until it has corrected the layer's bias: about a quarter of what
    one pass over as many pixels would take. Said over measured, BasicUNet of width 4, 8 and 32: 1.0 to 1.4.
    """
    return _NNCF_BYTES + round(_KEPT_SHARE * px * converted.card.memory.bytes_per_px)


def convert_int8(
    converted: ConvertedModel,
    windows: Sequence[NDArray[np.float32]],
    *,
    threshold: float = 0.5,
    activation: Activation = "sigmoid",
) -> tuple[Path, Int8Difference]:
    """Round a converted network to 8-bit integers, calibrated on windows, and keep it in the cache.

    Parameters
    ----------
    converted : in f32
    windows : float32 (1, C, h, w), normalised as for inference; h and w are multiples of the divisor. About 30 windows
        with cells and with background; a range that none of them shows is cut off later
    threshold : of the foreground probability, in (0, 1)
    activation : as in the model's card

    Returns
    -------
    The folder of the entry, which `find_converted` finds as `int8`, and what it changed. The difference is written
    into its card too. Calibrating on other windows replaces it.

    Raises
    ------
    UsageError
        NNCF is missing, the CPU does not compute in 8-bit integers, or NNCF cannot round the network.
    ValueError
        No windows.

    Notes
    -----
    Post-training quantisation with symmetric weights and asymmetric activations, and with the slow bias correction: it
    halved the pixels that change. Results are the same on CPUs of one kind only, since those without VNNI saturate.
    """
    if not windows:
        raise ValueError("windows is empty, expected at least one to calibrate on")
    choose_openvino_precision("int8")
    card = converted.card
    model = _rounded(converted, windows)
    with TemporaryDirectory(dir=temporary_cache("").folder) as place:
        graph, weights = serialised(model, Path(place))
        memory = memory_of(model, Path(place), channels=card.channels, least=card.least_px, divisor=card.divisor)
    rounded = ConvertedModel(replace(card, numbers="int8", memory=memory), graph, weights, Path())
    engines = OpenVinoEngine(converted), OpenVinoEngine(rounded, precision="int8")
    digest = hashlib.sha256(weights).hexdigest()  # not of the graph, whose names count on within a process
    difference = _difference(engines, windows, digest, threshold, activation)
    card = replace(rounded.card, calibration=asdict(difference))
    return keep_converted(card, graph, weights), difference


def _rounded(converted: ConvertedModel, windows: Sequence[NDArray[np.float32]]) -> Any:  # noqa: ANN401 - openvino.Model
    nncf = load_nncf()
    nncf.set_log_level(logging.ERROR)
    model = core().read_model(model=converted.graph, weights=converted.weights)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its progress bars would corrupt --json
            return nncf.quantize(
                model,
                nncf.Dataset([at_least(converted.card.least_px, window) for window in windows]),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(windows),
                fast_bias_correction=False,
            )
    except (RuntimeError, ValueError, nncf.ValidationError) as error:
        raise UsageError(
            f"NNCF cannot round this network to 8-bit integers ({error})", where="--precision int8", cure="use f32"
        ) from error


def _difference(
    engines: tuple[OpenVinoEngine, OpenVinoEngine],
    windows: Sequence[NDArray[np.float32]],
    network_sha256: str,
    threshold: float,
    activation: Activation,
) -> Int8Difference:
    digest = hashlib.sha256()
    px = mask = changed = objects_f32 = objects_int8 = 0
    largest = total = 0.0
    for window in windows:
        digest.update(np.ascontiguousarray(window).tobytes())
        exact, rounded = (probabilities(engine.run(window)[0], activation)[0] for engine in engines)
        inside, inside_rounded = exact >= threshold, rounded >= threshold
        off = np.abs(exact - rounded)
        px += exact.size
        mask += int(inside.sum())
        changed += int((inside != inside_rounded).sum())
        objects_f32 += int(label_components(inside).max(initial=0))
        objects_int8 += int(label_components(inside_rounded).max(initial=0))
        largest, total = max(largest, float(off.max())), total + float(off.sum(dtype=np.float64))
    return Int8Difference(
        windows=len(windows),
        px=px,
        digest=digest.hexdigest(),
        network_sha256=network_sha256,
        threshold=threshold,
        mask_px_f32=mask,
        mask_px_changed=changed,
        objects_f32=objects_f32,
        objects_int8=objects_int8,
        largest=largest,
        mean=total / px,
    )
