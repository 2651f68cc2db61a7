"""Names of devices, checked without torch, so that a typo is told before it loads."""

from __future__ import annotations

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
