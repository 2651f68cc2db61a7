"""OpenVINO, imported here and nowhere else, with its telemetry shut out.

Merely importing it would start a thread that reports to a server and writes a client number into the user's home.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

WHERE = "--engine openvino"


def load_openvino() -> Any:  # noqa: ANN401 - the module, whose stubs are partial
    """Import OpenVINO.

    Raises
    ------
    UsageError
        It is not installed, or does not load here.
    """
    _block("openvino")
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise UsageError(
            f"OpenVINO cannot be loaded ({error})", where=WHERE, cure='pip install "cellmonai[cpu]" or --engine torch'
        ) from error
    return openvino


def load_nncf() -> Any:  # noqa: ANN401 - an untyped module
    """Import NNCF, which rounds converted networks to 8-bit integers.

    Raises
    ------
    UsageError
        As `load_openvino`.
    """
    load_openvino()
    _block("nncf")
    try:
        import nncf
    except (ImportError, OSError) as error:
        raise UsageError(
            f"NNCF cannot be loaded ({error})", where="--precision int8", cure='pip install "cellmonai[int8]"'
        ) from error
    return nncf


@cache
def core() -> Any:  # noqa: ANN401 - openvino.Core
    """Give OpenVINO's entry to devices, one for the process."""
    return load_openvino().Core()


def version() -> str:
    """Give the version of OpenVINO with its build, as `2026.4.1-22982-e213a147257-releases/2026/4`."""
    return str(load_openvino().get_version())


def _block(library: str) -> None:
    if library not in sys.modules:
        modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment] # None: the import system's own
        modules["openvino_telemetry"] = None  # its import fails, and the library takes its stub that reports nothing
