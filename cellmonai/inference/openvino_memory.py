"""How much memory OpenVINO takes: measured in a process of its own, or told from the graph where that cannot be.

    python -m cellmonai.inference.openvino_memory FOLDER CHANNELS LEAST SIDE

prints two numbers for the model.xml and model.bin in a folder: bytes that the loaded network took, and bytes for each
px of a window while it ran.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.inference.openvino_library import core

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIDE_PX = 512  # of the window that is measured; in larger ones a px takes up to a tenth less
_SECONDS_MAX = 600.0

# Measured over told from the graph, for every network of the catalogue that converts: 0.8 to 1.4
_TOLD_SHARE = 1.5
_KERNELS_BYTES = 96 << 20  # compiled for the shapes of windows, at most as many as the engine keeps


@dataclass(frozen=True, slots=True)
class OpenVinoMemory:
    """Memory in f32, in bytes: `fixed_bytes` once a network is loaded, `bytes_per_px` for each px of a window."""

    fixed_bytes: int
    bytes_per_px: float


def memory_of(model: Any, folder: Path, *, channels: int, least: int, divisor: int) -> OpenVinoMemory:  # noqa: ANN401 - openvino.Model
    """Measure what a network takes, on top of a process that has imported OpenVINO.

    Parameters
    ----------
    model : (1, channels, Y, X) to (1, K, Y, X), any Y and X; left unchanged
    folder : where it lies as model.xml and model.bin
    least : side of the smallest window it takes, px
    divisor : what sides of windows are multiples of, px
    """
    side = max(_SIDE_PX // divisor * divisor, 2 * least)
    command = [sys.executable, "-P", "-m", __name__, str(folder), *map(str, (channels, least, side))]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS_MAX).stdout
        loaded, per_px = map(float, said.split())
    except (OSError, subprocess.SubprocessError, ValueError):  # another system, or Python inside another program
        weights = (folder / "model.bin").stat().st_size
        loaded, per_px = 2.0 * weights, _TOLD_SHARE * told_bytes_per_px(model, channels=channels, side=side)
    return OpenVinoMemory(round(loaded) + _KERNELS_BYTES, per_px)


def told_bytes_per_px(model: Any, *, channels: int, side: int) -> float:  # noqa: ANN401 - openvino.Model
    """Add up the blocks of memory that the results of a graph need, in bytes for each px of a window.

    Notes
    -----
    Where sizes are known only when a window comes, OpenVINO gives every result a block that is used again as soon as
    its last reader is done, in the order in which results are made: the first block that is free is taken, and grows
    to the largest result it ever holds. The blocks are counted here in the same way; scratch memory of kernels and
    reorderings come on top.
    """
    fixed = model.clone()
    fixed.reshape([1, channels, side, side])
    compiled = core().compile_model(fixed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return sum(_blocks(_results(compiled.get_runtime_model()))) / side**2


def _results(graph: Any) -> Iterable[tuple[int, int, int]]:  # noqa: ANN401 - openvino.Model
    """Give for every result that is not a weight the step that makes it, the last that reads it, and its bytes."""
    steps = sorted(graph.get_ordered_ops(), key=lambda step: int(_said(step, "execOrder")))
    last = {_name(source.get_source_output()): at for at, step in enumerate(steps) for source in step.inputs()}
    for at, step in enumerate(steps):
        if _said(step, "layerType") in {"Const", "Output"}:  # weights, and a name for a result already counted
            continue
        for result in step.outputs():
            size = result.get_element_type().size
            for length in result.get_shape():
                size *= int(length)
            yield at, last.get(_name(result), len(steps)), size


def _blocks(results: Iterable[tuple[int, int, int]]) -> list[int]:
    """Give the bytes of every block; a result goes into the first one that is free when it is made."""
    free_after: list[int] = []
    sizes: list[int] = []
    for made, read, size in results:
        at = next((block for block, busy in enumerate(free_after) if busy < made), len(sizes))
        if at == len(sizes):
            free_after.append(read)
            sizes.append(size)
        else:
            free_after[at] = read
            sizes[at] = max(sizes[at], size)
    return sizes


def _name(result: Any) -> tuple[str, int]:  # noqa: ANN401 - openvino.Output
    return result.get_node().get_friendly_name(), result.get_index()


def _said(step: Any, what: str) -> str:  # noqa: ANN401 - openvino.Node
    return str(step.get_rt_info()[what].astype(str))


def _measure(folder: Path, channels: int, least: int, side: int) -> tuple[int, float]:
    """Give the bytes that loading and a first small window take, and those for each further px of a larger one."""
    from cellmonai.core.machine import usable_cores
    from cellmonai.inference.openvino_engine import engine_options

    openvino_there = core()
    resident, _ = _resident_bytes()
    options = engine_options("f32", usable_cores())
    request = openvino_there.compile_model(folder / "model.xml", "CPU", options).create_infer_request()
    request.infer([np.zeros((1, channels, least, least), np.float32)])
    loaded, _ = _resident_bytes()
    noise = np.random.default_rng(0).random((1, channels, side, side), np.float32)  # real numbers take real memory
    request.infer([noise])
    _, peak = _resident_bytes()
    return loaded - resident, (peak - loaded) / (side**2 - least**2)


def _resident_bytes() -> tuple[int, int]:
    """Give the memory of this process, now and at its peak; where the system tells the peak only, that twice."""
    if sys.platform == "win32":
        raise OSError("Windows does not tell Python")
    if sys.platform == "darwin":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak, peak
    # not getrusage: on Linux its peak is inherited from the process that started this one
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    told = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return 1024 * int(told["VmRSS"]), 1024 * int(told["VmHWM"])


if __name__ == "__main__":
    sys.stdout.write("{} {}\n".format(*_measure(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
