"""The command starts at once, shows what to type, and prints nothing it should not."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import run_cellmonai
from PIL import Image

from cellmonai.cli import app, console, start
from cellmonai.cli.console import print_next, quoted

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


def test_ctrl_c_while_the_command_loads_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "main", interrupted)
    with pytest.raises(SystemExit) as stop:
        start.main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C; run the same command again.\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        pytest.param("recipe schema", ">&-", 0, id="stdout"),
        pytest.param("count missing", "2>&-", 3, id="stderr"),
        pytest.param("count missing --debug", ">&- 2>&-", 3, id="both"),
    ],
)
def test_a_stream_that_the_caller_closed_changes_nothing(words: str, closed: str, code: int) -> None:
    line = f"{shlex.quote(sys.executable)} -m cellmonai {words} {closed}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        pytest.param("masks", "masks", id="plain"),
        pytest.param("my masks", "'my masks'", id="a space"),
        pytest.param("$HOME", "'$HOME'", id="a variable"),
        pytest.param("-out", f".{os.sep}-out", id="looks like options"),
    ],
)
def test_a_path_in_a_next_command_is_read_back_as_that_path(name: str, typed: str) -> None:
    assert quoted(Path(name)) == typed


@pytest.mark.parametrize(
    ("typed", "on_path", "shown"),
    [
        pytest.param("/env/bin/cellmonai", None, "/env/bin/cellmonai count m", id="by its path"),
        pytest.param("/my env/bin/cellmonai", None, "'/my env/bin/cellmonai' count m", id="by a path with a space"),
        pytest.param("/env/bin/cellmonai", "/env/bin/cellmonai", "cellmonai count m", id="on the path"),
        pytest.param("/lib/cellmonai/__main__.py", None, "cellmonai count m", id="python -m"),
        pytest.param("/env/bin/pytest", None, "cellmonai count m", id="from Python"),
    ],
)
def test_a_next_command_is_typed_as_the_last_one_was(
    monkeypatch: pytest.MonkeyPatch, typed: str, on_path: str | None, shown: str
) -> None:
    monkeypatch.setattr(sys, "argv", [typed])
    monkeypatch.setattr(console, "which", lambda name: on_path)
    assert console.pasteable("cellmonai count m") == shown


def test_a_next_command_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_next("cellmonai count " + quoted("a\x1b[2J"))
    assert "\x1b[2J" not in capsys.readouterr().err


def test_the_three_commands_in_the_users_words_work_one_after_the_other(tmp_path: Path, small_data: Path) -> None:
    cells = small_data / "dsb2018"
    settings = "[sampling]\npatch = 64\n[network]\nname = 'basic_unet'\nwidth = 4\n[training]\nepochs = 1\n"
    (tmp_path / "recipe.toml").write_text(f"[data]\nlayout = 'pairs'\nroot = {str(cells)!r}\n{settings}")
    tile = np.asarray(Image.open(cells / "images" / "cells_c.png").convert("L"))
    tifffile.imwrite(tmp_path / "big_slide.tif", np.tile(tile, (4, 4)), photometric="minisblack")
    for line in ("fit recipe.toml", "infer --sliding-window big_slide.tif", "count masks/"):
        done = run_cellmonai(*line.split(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "counts" / "big_slide_labels.tif").is_file()
