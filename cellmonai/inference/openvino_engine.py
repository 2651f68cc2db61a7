"""The OpenVINO engine: one window in, its logits out, on the CPU and without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.core.machine import multiplies_int8, usable_cores
from cellmonai.inference.openvino_library import WHERE, core, version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.openvino_model import ConvertedModel

OpenVinoPrecision = Literal["f32", "bf16", "int8"]

# How many compiled kernels are kept. They belong to window shapes, about 45 for each; the default of 5,000 takes half a
# gigabyte and more where many images differ in size. Kernels that are made anew cost less than the window they are for.
_KERNELS_KEPT = {"CPU_RUNTIME_CACHE_CAPACITY": 256}


class OpenVinoEngine:
    """Runs a converted network window by window, always one at a time and from one thread.

    Parameters
    ----------
    converted : what `find_converted` gave
    precision : `f32`, `bf16`, or `int8` for an entry that was converted to it
    threads : that compute; None is one for each processor that this process may use

    Raises
    ------
    UsageError
        The precision is not one that this CPU computes in, or not that of the entry; or OpenVINO refuses the network.

    Notes
    -----
    The precision is always pinned, because OpenVINO would choose bf16 by itself where a CPU has it. On one kind of CPU
    the same number of threads gives the same bits; with another number the last ones differ for some shapes of window.
    """

    name = "openvino"

    def __init__(
        self, converted: ConvertedModel, *, precision: OpenVinoPrecision = "f32", threads: int | None = None
    ) -> None:
        card = converted.card
        if choose_openvino_precision(precision) != precision or (precision == "int8") != (card.numbers == "int8"):
            raise UsageError(f"the converted network computes in {card.numbers}", where=f"--precision {precision}")
        self.precision: OpenVinoPrecision = precision
        self.channels, self.outputs = card.channels, card.outputs
        self.calibration = card.calibration
        self.memory = card.memory
        self._least = card.least_px
        self._options = engine_options(precision, threads or usable_cores())
        try:
            self._graph = core().read_model(model=converted.graph, weights=converted.weights)
            self._start()
        except RuntimeError as error:
            raise UsageError(
                f"OpenVINO cannot load the network ({_reason(error)})", where=WHERE, cure="use --engine torch"
            ) from error

    def run(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the logits (1, K, h, w) of a window (1, C, h, w), float32; h and w are multiples of the divisor.

        Raises
        ------
        MemoryBudgetError
            There is too little memory for this window.
        """
        rows, columns = window.shape[-2:]
        logits = self._infer(np.ascontiguousarray(at_least(self._least, window), np.float32))
        return np.array(logits[..., :rows, :columns], np.float32, order="C")  # its memory is used for the next window

    def facts(self) -> dict[str, Any]:
        """Give what a run record says of the engine."""
        facts = {"engine": self.name, "precision": self.precision, "threads": self.threads, "openvino": version()}
        return facts | ({"calibration": dict(self.calibration)} if self.calibration else {})

    @property
    def threads(self) -> int:
        """Threads that compute, as OpenVINO says."""
        return int(self._compiled.get_property("INFERENCE_NUM_THREADS"))

    def _infer(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            logits: NDArray[np.float32] = self._request.infer([window], share_inputs=True, share_outputs=True)[0]
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and "allocate" not in str(error) and "bad_alloc" not in str(error):
                raise
            self._start()  # a failed request would ask for the same memory again whatever it is given
            raise MemoryBudgetError(
                f"memory ran out in a window of {window.shape[-1]} x {window.shape[-2]} px",
                cure="give a smaller --window or --memory",
            ) from error
        return logits

    def _start(self) -> None:
        try:
            self._compiled = core().compile_model(self._graph, "CPU", self._options | _KERNELS_KEPT)
        except RuntimeError:  # a name outside OpenVINO's documentation, which another version may not know
            self._compiled = core().compile_model(self._graph, "CPU", self._options)
        self._request = self._compiled.create_infer_request()


def at_least(side: int, window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last row and column of a window (1, C, h, w) until its sides are at least so long, in px."""
    short = (max(side - length, 0) for length in window.shape[-2:])
    pad = ((0, 0), (0, 0), *((0, missing) for missing in short))
    return np.pad(window, pad, mode="edge") if any(missing for _, missing in pad) else window


def choose_openvino_precision(wanted: str) -> OpenVinoPrecision:
    """Choose the number format of the network on this CPU: `auto` is f32.

    Raises
    ------
    UsageError
        The CPU would only emulate the format, which is slower than f32 and no more precise; or OpenVINO is missing.
    """
    real = openvino_precisions()
    if wanted == "auto":
        return "f32"
    for precision in real:
        if precision == wanted:
            return precision
    raise UsageError(
        f"the CPU does not compute in {wanted}, it would only emulate it",
        where="--precision",
        cure=f"use auto or {' or '.join(real)}",
    )


def openvino_precisions() -> tuple[OpenVinoPrecision, ...]:
    """Give the formats that this CPU really computes in; OpenVINO would accept and emulate the others."""
    has = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    half: tuple[OpenVinoPrecision, ...] = ("bf16",) if "BF16" in has else ()
    # OpenVINO names INT8 for every CPU, with VNNI or without
    whole: tuple[OpenVinoPrecision, ...] = ("int8",) if "INT8" in has and multiplies_int8() is not False else ()
    return ("f32", *half, *whole)


def engine_options(precision: OpenVinoPrecision, threads: int) -> dict[str, Any]:
    """Give the options with which OpenVINO compiles a network."""
    return {
        # what an int8 network does not compute in integers stays f32
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # several processes side by side would all be pinned to the same cores
    }


def _reason(error: Exception) -> str:
    """Give the last line of OpenVINO's account, which says what was wrong; those before say in which source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
