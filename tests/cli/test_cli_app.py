"""The command starts at once, shows what to type, and prints nothing it should not."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import run_cellmonai

from cellmonai.cli import app

HEAVY = ("torch", "monai", "ignite", "scipy", "skimage", "zarr", "matplotlib", "numpy", "tifffile", "PIL")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["--version"], id="version"),
        pytest.param([], id="nothing"),
        *(
            pytest.param([name, "--help"], id=f"help of {name}")
            for name in ("fit", "infer", "count", "evaluate", "demo")
        ),
        pytest.param(["cuont"], id="a command with a typo"),
        pytest.param(["count"], id="no input"),
    ],
)
def test_help_and_usage_errors_import_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; sys.argv[1:] = {words!r}\n"
    code += "from cellmonai.cli.app import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    code += f"print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "loaded:"


def test_without_a_command_examples_are_shown() -> None:
    result = run_cellmonai()
    assert result.returncode == 0
    assert "cellmonai fit recipe.toml" in result.stdout
    assert "cellmonai infer --sliding-window big_slide.tif" in result.stdout
    assert "cellmonai count masks/" in result.stdout


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"cellmonai \d+\.\d+\.\d+\n", run_cellmonai("--version").stdout)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = run_cellmonai("cuont")
    assert result.returncode == 2
    assert "cuont" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_command_takes_the_options_that_all_take() -> None:
    for name in ("fit", "infer", "count", "evaluate", "demo"):
        text = run_cellmonai(name, "--help").stdout
        assert all(option in text for option in ("--json", "--quiet", "--debug", "--overwrite")), name


def test_a_fault_of_ours_is_one_line_and_code_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(app, "app", broken)
    monkeypatch.setattr(sys, "argv", ["cellmonai"])
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    with pytest.raises(SystemExit) as stop:
        app.main()
    assert stop.value.code == 70
