"""Names of devices, checked without torch, so that a typo is told before it loads."""

from __future__ import annotations

import ctypes.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cellmonai.core.errors import UsageError


def require_device_name(wanted: str) -> None:
    """Refuse what names no device: `auto`, `cpu`, `cuda`, `cuda:1` and `mps` do, whether this machine has them or not.

    Raises
    ------
    UsageError
        An unknown word.
    """
    kind, colon, number = wanted.partition(":")
    if wanted in ("auto", "cpu", "mps", "cuda") or (kind == "cuda" and colon and number.isdecimal()):
        return
    raise UsageError(f"unknown device {wanted!r}", where="--device", cure="use auto, cpu, cuda, cuda:1 or mps")


def why_no_gpu() -> str | None:
    """Say why this machine has no GPU that torch could use, as far as that is sure without torch; else None."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return None
    try:
        if version("torch").endswith("+cpu"):
            return "the installed torch is built without CUDA"
    except PackageNotFoundError:
        return "torch is not installed"
    driver = "nvcuda" if sys.platform == "win32" else "cuda"
    if not Path("/dev/nvidia0").exists() and ctypes.util.find_library(driver) is None:
        return "there is no CUDA driver"
    return None
