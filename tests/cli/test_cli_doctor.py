"""`cellmonai doctor` as a user calls it, and the checks behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from cellmonai.core.files import sha256_of
from cellmonai.kernels.library import VARIABLE as KERNELS
from cellmonai.kernels.library import library
from cellmonai.report.doctor import doctor_page
from cellmonai.workflows.doctor import doctor
from cellmonai.workflows.doctoring.engines import time_engines
from cellmonai.workflows.doctoring.folders import check_folders
from cellmonai.workflows.doctoring.packages import unfit_packages
from cellmonai.workflows.doctoring.speed import normalised, paint, time_counting
from cellmonai.workflows.doctoring.system import check_kernels

HAS_OPENVINO = find_spec("openvino") is not None
# a process that ends at once with a code of its own when anything asks for a network
OFFLINE = """
import os, sys
def _tripwire(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"network: {event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(_tripwire)
"""
START = "\nsys.argv = ['cellmonai', *sys.argv[1:]]\nfrom cellmonai.cli.app import main\nmain()\n"


def run_code(code: str, *words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code + START, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **environment},
    )


@pytest.fixture(name="document", scope="module")
def _document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `doctor --json` prints for a user ada, without a network, in a folder that it must leave as it was."""
    home = tmp_path_factory.mktemp("homes") / "ada"
    folder = home / "data"
    folder.mkdir(parents=True)
    (folder / "image.tif").write_bytes(b"II")
    before = sha256_of(folder)
    names = {"HOME": str(home), "USERPROFILE": str(home), "LOGNAME": "ada", "XDG_CACHE_HOME": str(home / ".cache")}
    done = run_code(OFFLINE, "doctor", "--json", "--no-benchmark", cwd=folder, CELLMONAI_CACHE="", **names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "ada" not in done.stdout
    assert sha256_of(folder) == before
    assert [path.name for path in folder.iterdir()] == ["image.tif"]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_document_has_the_fields_that_every_command_has(document: dict[str, Any]) -> None:
    assert (document["schema"], document["command"]) == ("cellmonai.doctor/1", "doctor")
    assert {"version", "inputs", "outputs", "warnings", "seconds"} <= document.keys()
    assert document["summary"]["errors"] == 0
    assert document["summary"]["warnings"] == len(document["findings"])
    assert all(one.keys() == {"code", "severity", "message", "cure"} for one in document["findings"])


def test_the_document_holds_versions_machine_engines_and_folders(document: dict[str, Any]) -> None:
    assert {"cellmonai", "python", "torch", "monai", "numpy", "tifffile", "zarr"} <= document["versions"].keys()
    assert ("openvino" in document["versions"]) == HAS_OPENVINO
    assert document["environment"] in {"conda", "virtual environment", "the system's Python"}
    assert 1 <= document["usable_cores"] <= document["cores"]
    assert document["available_bytes"] > 0
    assert document["kernels"] in {"c", "numpy"}
    assert document["torch"]["threads"] == 1
    engines = {(one["engine"], one["device"]): one["precisions"] for one in document["engines"]}
    assert "f32" in engines["torch", "cpu"]
    assert (("openvino", "cpu") in engines) == HAS_OPENVINO
    current = document["folders"]["current"]
    assert current["writable"] is True
    assert current["mb_per_second"] > 0
    assert document["surroundings"]["OMP_NUM_THREADS"] == "1"
    assert "speed" not in document


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep caches elsewhere")
def test_the_home_folder_is_shortened(document: dict[str, Any]) -> None:
    assert document["folders"]["cache"] == {"path": "~/.cache/cellmonai", "writable": True}


def test_a_torch_that_does_not_load_is_an_error_among_other_results(tmp_path: Path) -> None:
    done = run_code("import sys; sys.modules['torch'] = None", "doctor", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    (finding,) = (one for one in document["findings"] if one["severity"] == "error")
    assert finding["code"] == "torch_broken"
    assert "torch is installed and does not load (ModuleNotFoundError" in finding["message"]
    assert "new virtual environment" in finding["cure"]
    assert [one["engine"] for one in document["engines"]] == ["openvino"] * HAS_OPENVINO
    assert [one["what"] for one in document["speed"]] == ["counting"]  # measured, since --no-benchmark was left out


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that root cannot write either")
def test_a_folder_that_cannot_be_written_is_an_error_with_the_cure() -> None:
    assert [one.severity for one in check_folders(Path("/proc")).findings if one.code == "not_writable"] == ["error"]
    code = "import sys; sys.modules['torch'] = None"  # which takes seconds to load
    done = run_code(code, "doctor", "--no-benchmark", "--quiet", cwd=Path("/proc"))
    assert done.returncode == 1
    assert done.stderr == ""
    assert "| current folder   | CANNOT be written |" in done.stdout
    assert "- **error** (not_writable): nothing can be written into the current folder (" in done.stdout
    assert "change to a folder with space and permission to write, or write elsewhere with --output." in done.stdout


def test_packages_that_are_missing_or_do_not_fit_are_errors_with_the_command_to_type() -> None:
    needed = [Requirement(text) for text in ("numpy>=1", "numpy<1", "no-such-package-of-ours>=2,<3")]
    old, missing = unfit_packages(needed)
    assert (old.code, old.severity, old.cure) == ("package_version", "error", 'pip install "numpy<1"')
    assert old.message.endswith("is installed, and cellmonai needs <1")
    assert (missing.code, missing.cure) == ("package_missing", 'pip install "no-such-package-of-ours<3,>=2"')


def test_numpy_kernels_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNELS, "numpy")
    library.cache_clear()
    found = check_kernels()
    monkeypatch.undo()
    library.cache_clear()
    assert found.facts == {"kernels": "numpy"}
    assert [(one.code, one.severity) for one in found.findings] == [("numpy_kernels", "warning")]


def test_a_cache_that_cannot_be_used_is_a_warning_with_the_variable_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_bytes(b"")
    monkeypatch.setenv("CELLMONAI_CACHE", str(tmp_path / "a file"))
    found = check_folders(tmp_path)
    assert found.facts["cache"] == {"path": None, "writable": False}
    assert [(one.code, one.severity) for one in found.findings] == [("cache", "warning")]
    assert "CELLMONAI_CACHE" in found.findings[0].cure


def test_no_folder_for_temporary_files_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    found = check_folders(tmp_path)
    assert found.facts["temporary"]["writable"] is False
    assert ("temporary_folder", "error") in [(one.code, one.severity) for one in found.findings]
    assert found.facts["current"]["writable"] is True


def test_a_check_that_raises_is_a_finding_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("cellmonai.workflows.doctoring.system.check_kernels", broken)
    result = doctor(tmp_path, seconds=0)
    assert ("kernels_unknown", "looking at kernels failed (ZeroDivisionError: oh)") in [
        (one.code, one.message) for one in result.findings
    ]
    assert result.errors == 1
    assert "folders" in result.facts


def test_counting_is_timed_on_cells_that_are_found() -> None:
    found = time_counting(paint(), cores=1, seconds=0.01)
    (speed,) = found.facts["speed"]
    assert speed["passes"] >= 1
    assert speed["mpx_per_second"] > 0
    assert found.findings == ()


def test_without_torch_no_engine_is_timed() -> None:
    assert time_engines(normalised(paint()), {"openvino"}, seconds=0.01).facts == {"speed": []}


def test_a_page_keeps_its_tables_whatever_the_values_hold() -> None:
    facts = {"surroundings": {"locale": "a|b\n\x1b[2J"}, "versions": {}, "folders": {}}
    page = doctor_page(facts, [{"severity": "error", "code": "x", "message": "no\nway", "cure": "leave"}])
    assert "| locale | a\\|b\\x0a\\x1b[2J |" in page.splitlines()
    assert page.endswith("### findings\n\n- **error** (x): no\\x0away; leave.")
    assert "### engines" not in page


@pytest.mark.long
def test_every_engine_is_timed_without_a_network_in_less_than_a_minute(tmp_path: Path) -> None:
    done = run_code(OFFLINE, "doctor", cwd=tmp_path, CELLMONAI_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("torch", *["openvino"] * HAS_OPENVINO):
        assert f"| BasicUNet of width 16, {name}" in done.stdout
    assert "none, everything works" in done.stdout
    assert "cellmonai demo" in done.stderr
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix == ".bin"] == []
