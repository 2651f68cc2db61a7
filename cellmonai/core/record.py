"""The run record: what ran, on what, with what, and how it ended, in `run.json`."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cellmonai.core.files import write_json
from cellmonai.core.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.core.progress import Warned

_PACKAGES = ("cellmonai", "torch", "monai", "pytorch-ignite", "numpy", "scipy", "scikit-image", "tifffile", "zarr")


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that can change a result, read without importing them."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = _version_of(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _version_of(name: str) -> str:
    """Read the version from the head of a package's description, without parsing all of it as `metadata.version`."""
    package = metadata.distribution(name)
    head = (package.read_text("METADATA") or "").partition("\n\n")[0]
    lines = [line for line in head.splitlines() if line.startswith("Version: ")]
    return lines[0].removeprefix("Version: ") if lines else package.version


@dataclass
class RunRecord:
    """Facts about a run, collected while it goes and written at its end.

    Nothing in the results depends on it; it holds no absolute path unless the user typed one.
    """

    command: str
    parameters: dict[str, Any]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    facts: dict[str, Any] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall seconds since the start."""
        return (datetime.now(UTC) - self.started).total_seconds()

    def as_json(self, warnings: list[Warned]) -> dict[str, Any]:
        """Give the document that `run.json` holds."""
        return {
            "schema": f"cellmonai.run.{self.command}/1",
            "command": self.command,
            "command_line": [printable(word) for word in ["cellmonai", *sys.argv[1:]]],
            "parameters": self.parameters,
            "versions": versions(),
            "platform": {"system": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()},
            "started": self.started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 3),
            **self.facts,
            "images": self.images,
            "warnings": [warning.as_json() for warning in warnings],
        }

    def write(self, target: Path, warnings: list[Warned]) -> None:
        """Write the record; the run's own outputs were refused or allowed before, so an older record is replaced."""
        write_json(target, self.as_json(warnings), overwrite=True)
