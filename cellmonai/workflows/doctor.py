"""Doctor: what is installed, what this machine has, and whether everything works; fit to paste into a report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.anonymous import Names, without_names
from cellmonai.core.progress import Reporter, Silent
from cellmonai.workflows.doctoring.finding import Checked, Finding
from cellmonai.workflows.models import document_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECONDS_OF_COUNTING = 0.3


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """What was found: facts by subject, JSON values, and what is wrong; no text names the user or the machine."""

    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]
    started: float

    @property
    def errors(self) -> int:
        """How many findings keep commands from working."""
        return sum(finding.severity == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--json` prints."""
        content = {
            "summary": {"errors": self.errors, "warnings": len(self.findings) - self.errors},
            "findings": [finding.as_json() for finding in self.findings],
            **self.facts,
        }
        return document_of("doctor", self.started, content)


def doctor(
    folder: Path = Path(),
    *,
    seconds: float = 1.0,
    surroundings: Checked | None = None,
    reporter: Reporter | None = None,
) -> DoctorResult:
    """Look at packages, machine, folders and engines, and measure how fast they are.

    Parameters
    ----------
    folder : the one that outputs would go to; a file is written there and removed again
    seconds : for which every engine is timed; 0 leaves all measurements of speed out, and then MONAI is not loaded
    surroundings : what the caller knows of the terminal and of variables of the environment

    Notes
    -----
    A check that fails is a finding, never an exception, and the others go on.
    """
    reporter = reporter or Silent()
    started = time.monotonic()
    look = _Look()
    look.at("packages", _packages)
    look.at("system", _system)
    look.at("kernels", _kernels)
    look.at("folders", lambda: _folders(folder))
    reporter.note("loading PyTorch …")
    cores = int(look.facts.get("usable_cores") or 1)
    look.at("torch", lambda: _torch(cores))
    look.at("openvino", _openvino)
    if seconds > 0:
        reporter.note("measuring, which takes a few seconds more …")
        engines = {engine["engine"] for engine in look.facts.get("engines", ())}
        look.at("speed", lambda: _speed(engines, cores, seconds))
    if surroundings is not None:
        look.at("surroundings", lambda: surroundings)
    names = Names.here()
    findings = tuple(
        Finding(one.code, one.severity, names.hide(one.message), names.hide(one.cure)) for one in look.findings
    )
    return DoctorResult(without_names(look.facts, names), findings, started)


class _Look:
    """Collects facts and findings of one check after the other; facts that are lists are joined."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.findings: list[Finding] = []

    def at(self, subject: str, check: Callable[[], Checked]) -> None:
        """Run one check; whatever it raises is a finding."""
        try:
            checked = check()
        except Exception as error:  # noqa: BLE001 - a doctor must not die of what it looks for
            message = f"looking at {subject} failed ({type(error).__name__}: {error})"
            self.findings.append(Finding(f"{subject}_unknown", "error", message, "report this page"))
            return
        for key, value in checked.facts.items():
            self.facts[key] = [*self.facts.get(key, ()), *value] if isinstance(value, list) else value
        self.findings += checked.findings


# every subject is imported inside its own check, so that a package that does not load is one finding among others


def _packages() -> Checked:
    from cellmonai.workflows.doctoring.packages import check_packages

    return check_packages()


def _system() -> Checked:
    from cellmonai.workflows.doctoring.system import check_system

    return check_system()


def _kernels() -> Checked:
    from cellmonai.workflows.doctoring.system import check_kernels

    return check_kernels()


def _folders(folder: Path) -> Checked:
    from cellmonai.workflows.doctoring.folders import check_folders

    found = check_folders(folder)
    return Checked({"folders": found.facts}, found.findings)


def _torch(cores: int) -> Checked:
    from cellmonai.workflows.doctoring.engines import check_torch

    return check_torch(cores)


def _openvino() -> Checked:
    from cellmonai.workflows.doctoring.engines import check_openvino

    return check_openvino()


def _speed(engines: set[str], cores: int, seconds: float) -> Checked:
    from cellmonai.workflows.doctoring.engines import time_engines
    from cellmonai.workflows.doctoring.speed import normalised, paint, time_counting

    field = paint()
    networks = time_engines(normalised(field), engines, seconds=seconds)
    counting = time_counting(field, cores=cores, seconds=min(seconds, _SECONDS_OF_COUNTING))
    speeds = [*networks.facts["speed"], *counting.facts["speed"]]
    return Checked({"speed": speeds}, (*networks.findings, *counting.findings))
