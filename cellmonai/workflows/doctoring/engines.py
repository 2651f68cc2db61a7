"""The engines that run networks, torch and OpenVINO: on what, in which precisions, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import CellmonaiError
from cellmonai.core.machine import has_nvidia_driver
from cellmonai.workflows.doctoring.finding import Checked, Finding
from cellmonai.workflows.doctoring.packages import installed_version

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.inference.machine import Speed

_REINSTALL = "make a new virtual environment and install cellmonai there"


def check_torch(usable_cores: int) -> Checked:
    """Load torch and give its devices with the precisions they compute in.

    Parameters
    ----------
    usable_cores : that this process may keep busy
    """
    try:
        from cellmonai.inference.machine import torch_devices, torch_facts

        facts = torch_facts()
        engines = [
            {
                "engine": "torch",
                "device": device.name,
                "title": device.title,
                "precisions": list(device.precisions),
                "memory_bytes": device.memory_bytes,
                "free_bytes": device.free_bytes,
            }
            for device in torch_devices()
        ]
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is what is looked for
        return Checked({"torch": None, "engines": []}, (_broken("torch", error),))
    return Checked({"torch": facts, "engines": engines}, tuple(_torch_findings(facts, usable_cores)))


def _torch_findings(facts: dict[str, Any], usable_cores: int) -> list[Finding]:
    findings = []
    if facts["auto_device"] == "cpu" and has_nvidia_driver():
        findings.append(
            Finding(
                "cuda_unused",
                "warning",
                f"there is an NVIDIA driver, but {facts['auto_reason']}",
                "install torch with CUDA as pytorch.org/get-started says, and see that the driver is new enough",
            )
        )
    if facts["threads"] > usable_cores:
        message = f"torch takes {facts['threads']} threads, and this process may use {usable_cores} cores"
        findings.append(Finding("threads", "warning", message, f"set the variable OMP_NUM_THREADS to {usable_cores}"))
    return findings


def check_openvino() -> Checked:
    """Load OpenVINO, if it is installed, and give the precisions that it really computes in on this CPU."""
    if installed_version("openvino") is None:
        missing = Finding(
            "openvino_missing",
            "warning",
            "OpenVINO is not installed, so networks run on the CPU with torch, several times slower",
            'pip install "cellmonai[cpu]"',
        )
        return Checked({"engines": []}, (missing,))
    try:
        from cellmonai.inference.openvino_engine import openvino_precisions
        from cellmonai.inference.openvino_library import version

        engine = {
            "engine": "openvino",
            "device": "cpu",
            "title": version(),
            "precisions": list(openvino_precisions()),
            "memory_bytes": None,
            "free_bytes": None,
        }
    except Exception as error:  # noqa: BLE001 - as above
        return Checked({"engines": []}, (_broken("openvino", error),))
    return Checked({"engines": [engine]})


def time_engines(image: NDArray[np.float32], engines: set[str], *, seconds: float) -> Checked:
    """Run a small network with every engine.

    Parameters
    ----------
    image : float32 (Y, X), normalised, sides multiples of 16
    engines : those that loaded; nothing is timed without torch, which builds the network
    seconds : for each
    """
    speeds: list[dict[str, Any]] = []
    findings: list[Finding] = []
    if "torch" not in engines:
        return Checked({"speed": speeds})
    try:
        from cellmonai.inference.machine import benchmark_network, openvino_speed, torch_speed

        net = benchmark_network()
    except Exception as error:  # noqa: BLE001 - as above
        return Checked({"speed": speeds}, (_broken("monai", error),))
    timers: dict[str, Callable[..., Speed]] = {"torch": torch_speed, "openvino": openvino_speed}
    for name, timer in timers.items():
        if name not in engines:
            continue
        try:
            speed = timer(net, image, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - as above
            findings.append(_fails(name, error))
            continue
        speeds.append(
            {
                "what": speed.engine,
                "device": speed.device,
                "precision": speed.precision,
                "passes": speed.passes,
                "mpx_per_second": round(speed.mpx_per_second, 3),
            }
        )
    return Checked({"speed": speeds}, tuple(findings))


def _broken(package: str, error: Exception) -> Finding:
    severity: Any = "warning" if package == "openvino" else "error"
    return Finding(
        f"{package}_broken", severity, f"{package} is installed and does not load ({_said(error)})", _REINSTALL
    )


def _fails(engine: str, error: Exception) -> Finding:
    if engine == "openvino":
        cure = error.cure if isinstance(error, CellmonaiError) and error.cure else "use --engine torch"
        return Finding("openvino_fails", "warning", f"OpenVINO does not run a small network ({_said(error)})", cure)
    cure = "use --device cpu, and see that driver and torch fit each other"
    return Finding("torch_fails", "error", f"torch does not run a small network ({_said(error)})", cure)


def _said(error: Exception) -> str:
    """Give the last line of what an error says, where libraries put the reason."""
    words = error.what if isinstance(error, CellmonaiError) else str(error)
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1]}"[:300] if lines else type(error).__name__
