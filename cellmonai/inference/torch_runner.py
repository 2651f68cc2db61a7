"""A network that torch runs, from its model file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from cellmonai.inference.budget import device_budget, window_costs
from cellmonai.inference.devices import choose_device, choose_precision
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.mc_dropout import McDropoutEngine
from cellmonai.inference.runner import Runner
from cellmonai.inference.spread import SPREAD
from cellmonai.models.load import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.inference.overlapped import Queue


def torch_runner(path: Path, *, device: str = "auto", precision: str = "auto", threads: int | None = None) -> Runner:
    """Load a model and make it ready on a device; parameters and errors are those of `choose_device` and the others.

    `threads`, where it is given, becomes the number with which torch computes in this process.

    Raises
    ------
    UsageError
        The device or precision is not there.
    InputError
        The model cannot be read.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = choose_device(device)
    number_format = choose_precision(precision, chosen)
    model = load_model(path)
    card = model.card
    engine = TorchEngine.prepared(model.net, device=chosen, precision=number_format)
    per_px, _ = window_costs(engine, channels=card.channels, divisor=card.divisor)
    own = device_budget(chosen)
    return Runner(
        engine=engine,
        device=chosen.name,
        device_reason=chosen.reason,
        threads=torch.get_num_threads(),
        activation=card.activation,
        names=card.outputs,
        window_bytes_per_px=per_px if own is None else 0.0,
        device_bytes_per_px=0.0 if own is None else per_px,
        device_budget=own,
        queue=_queue(engine),
    )


def _queue(engine: TorchEngine) -> Queue | None:
    if engine.device.kind != "cuda":
        return None
    from cellmonai.inference.cuda_queue import CudaQueue

    return CudaQueue(engine)


def dropout_runner(path: Path, *, device: str, precision: str, samples: int, threads: int | None = None) -> Runner:
    """Load a model and make it ready with dropout at work, every window in `samples` passes; see `McDropoutEngine`.

    Raises
    ------
    UsageError
        The network has no dropout, or as `torch_runner`.
    InputError
        The model cannot be read.
    """
    plain = torch_runner(path, device=device, precision=precision, threads=threads)
    chosen = choose_device(device)
    engine = McDropoutEngine(
        load_model(path).net,
        device=chosen,
        precision=choose_precision(precision, chosen),
        samples=samples,
        seed=0,
        activation=plain.activation,
        foreground=plain.names.index("foreground"),
    )
    names = (*plain.names, SPREAD)
    return replace(
        plain, engine=engine, activation=engine.activation, names=names, by_place=engine.needs_place, queue=None
    )
