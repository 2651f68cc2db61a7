"""Which engine runs a model: OpenVINO on a CPU, where it is there and can, else torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cellmonai.core.devices import require_device_name, why_no_gpu
from cellmonai.core.errors import UsageError

if TYPE_CHECKING:
    from cellmonai.core.progress import Reporter
    from cellmonai.inference.openvino_runner import Calibrate
    from cellmonai.inference.runner import Runner
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings


def make_runner(
    model: ChosenModel,
    sha256: str,
    settings: InferSettings,
    reporter: Reporter,
    calibrate: Calibrate | None = None,
    *,
    threads: int | None = None,
) -> Runner:
    """Make a model ready to run, once for every window, or several times where views or dropout are averaged.

    Parameters
    ----------
    sha256 : digest of the model's file
    calibrate : see `openvino_runner`
    threads : that compute on a CPU; None is one for each core that this process may use

    Raises
    ------
    UsageError
        The device, engine or precision is not there, or the network has no dropout; a calibration is needed for int8,
        and there is none to be had.
    InputError
        The model cannot be read.
    """
    if settings.mc_dropout:
        from cellmonai.inference.torch_runner import dropout_runner

        return dropout_runner(
            model.path,
            device=settings.device,
            precision=settings.precision,
            samples=settings.mc_dropout,
            threads=threads,
        )
    runner = _plain_runner(model, sha256, settings, reporter, calibrate, threads)
    if settings.tta == "none":
        return runner
    from cellmonai.inference.spread import SPREAD
    from cellmonai.inference.tta import augmented

    inside = runner.names.index("foreground")
    engine, activation = augmented(runner.engine, settings.tta, activation=runner.activation, foreground=inside)
    return replace(runner, engine=engine, activation=activation, names=(*runner.names, SPREAD), queue=None)


def _plain_runner(
    model: ChosenModel,
    sha256: str,
    settings: InferSettings,
    reporter: Reporter,
    calibrate: Calibrate | None,
    threads: int | None,
) -> Runner:
    require_device_name(settings.device)
    on_cpu = None if settings.engine == "torch" else _why_cpu(settings)
    if on_cpu is not None:
        try:
            from cellmonai.inference.openvino_runner import openvino_runner

            return openvino_runner(
                model.path,
                model.card,
                sha256,
                precision=settings.precision,
                reason=on_cpu,
                tell=reporter.note,
                threads=threads,
                calibrate=calibrate,
            )
        except UsageError as error:
            if settings.engine == "openvino" or settings.precision != "auto":
                raise
            reporter.note(f"torch runs the network: {error.what}")
    from cellmonai.inference.torch_runner import torch_runner  # torch takes seconds to import

    return torch_runner(model.path, device=settings.device, precision=settings.precision, threads=threads)


def _why_cpu(settings: InferSettings) -> str | None:
    """Say why the CPU runs the network, None where another device does; torch is asked only where it has to be."""
    if settings.device == "cpu":
        return "asked for"
    if settings.device != "auto":
        if settings.engine == "openvino":
            raise UsageError("OpenVINO runs on the CPU", where="--engine openvino", cure="leave --device out")
        return None
    if settings.engine == "openvino" or settings.precision == "int8":
        return "OpenVINO runs there"
    if (reason := why_no_gpu()) is not None:
        return reason
    from cellmonai.inference.devices import choose_device

    chosen = choose_device("auto")
    return chosen.reason if chosen.kind == "cpu" else None
