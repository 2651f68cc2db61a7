"""The machine: system, processor, memory, counting kernels."""

from __future__ import annotations

import os
import platform

from cellmonai.core.machine import cpu_model, total_memory, usable_cores
from cellmonai.core.units import readable_bytes
from cellmonai.images.budget import available_memory
from cellmonai.kernels.library import VARIABLE, kernel_name
from cellmonai.workflows.doctoring.finding import Checked, Finding

_LITTLE_MEMORY = 2 << 30  # PyTorch and MONAI take a third of it before any image is read


def check_system() -> Checked:
    """Give system, processor and memory."""
    available = available_memory()
    facts = {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "load": round(os.getloadavg()[0], 1)
        if hasattr(os, "getloadavg")
        else None,  # speeds mean little where it is high
        "memory_bytes": total_memory(),
        "available_bytes": available,
    }
    if available >= _LITTLE_MEMORY:
        return Checked(facts)
    little = Finding(
        "little_memory",
        "warning",
        f"{readable_bytes(available)} of memory are available",
        "close other programs, or give `infer` a smaller --window",
    )
    return Checked(facts, (little,))


def check_kernels() -> Checked:
    """Tell whether the compiled counting kernels run, or their NumPy twins, which give the same and are slower."""
    name = kernel_name()
    if name == "c":
        return Checked({"kernels": name})
    slow = Finding(
        "numpy_kernels",
        "warning",
        "the compiled counting kernels are missing, their NumPy twins count the same cells and take longer",
        f"unset {VARIABLE} if it is set, or install a C compiler and then cellmonai again",
    )
    return Checked({"kernels": name}, (slow,))
