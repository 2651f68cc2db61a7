"""The installed packages against those that cellmonai says it needs; read from their descriptions, none is imported."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import InvalidVersion

from cellmonai.workflows.doctoring.finding import Checked, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXTRAS = ("openvino", "nncf", "pyarrow", "dask", "distributed")
"""Optional packages whose presence changes what commands can do."""


def check_packages() -> Checked:
    """Give the versions of Python, of cellmonai and of what it needs, and find what is missing or does not fit."""
    needed = [Requirement(line) for line in metadata.requires("cellmonai") or ()]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    versions = {"cellmonai": metadata.version("cellmonai"), "python": platform.python_version()}
    for name in (*(one.name for one in needed), *_EXTRAS):
        if (found := installed_version(name)) is not None:
            versions[name] = found
    return Checked({"environment": _environment(), "versions": versions}, tuple(unfit_packages(needed)))


def unfit_packages(needed: Iterable[Requirement]) -> Iterable[Finding]:
    """Find packages that are missing or of a version that is not among those asked for."""
    for one in needed:
        found = installed_version(one.name)
        cure = f'pip install "{one.name}{one.specifier}"'
        if found is None:
            yield Finding("package_missing", "error", f"{one.name} is not installed", cure)
        elif not _fits(one, found):
            message = f"{one.name} {found} is installed, and cellmonai needs {one.specifier}"
            yield Finding("package_version", "error", message, cure)


def installed_version(name: str) -> str | None:
    """Give the version of an installed package; None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _fits(needed: Requirement, found: str) -> bool:
    try:
        return needed.specifier.contains(found, prereleases=True)
    except InvalidVersion:
        return False


def _environment() -> str:
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "conda"
    return "virtual environment" if sys.prefix != sys.base_prefix else "the system's Python"
