"""`cellmonai demo` as a new user calls it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner
from waiting import wait_for_line

from cellmonai.cli.app import app
from cellmonai.cli.demo import next_commands
from cellmonai.workflows import demo as workflow
from cellmonai.workflows.demo import DemoImage, DemoResult

if TYPE_CHECKING:
    from collections.abc import Callable

SUMMARY = {"f1_50": 0.97}


def canned(folder: Path, **changes: Any) -> DemoResult:  # noqa: ANN401 - any field
    """A finished demo that never ran."""
    fields: dict[str, Any] = {
        "folder": folder,
        "recipe": folder / "recipe.toml",
        "model": folder / "run" / "model.safetensors",
        "images": (DemoImage("field_25", 40, 38, 0.95), DemoImage("large_field", 1200, 1203, 0.98)),
        "summary": SUMMARY,
        "overlays": (folder / "counts" / "field_25_overlay.png",),
        "outputs": (),
        "parameters": {"seed": 0},
        "warnings": (),
        "seconds": 42.0,
    }
    return DemoResult(**{**fields, **changes})


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment as it was: the command sets this where it is not set."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace the workflow, and keep what it was asked for."""
    calls: list[dict[str, Any]] = []

    def fake(folder: Path, **options: Any) -> DemoResult:  # noqa: ANN401 - any option
        calls.append({"folder": folder, **options})
        return canned(folder)

    monkeypatch.setattr(workflow, "demo", fake)
    return calls


def test_the_table_shows_truth_count_and_difference(asked: list[dict[str, Any]]) -> None:
    done = CliRunner().invoke(app, ["demo"])
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["field_25", "40", "38", "-2", "0.950"] in rows
    assert ["large_field", "1,200", "1,203", "+3", "0.980"] in rows
    assert ["total", "1,240", "1,241", "+1", "(+0.1", "%)", "0.970"] in rows
    assert asked[0]["folder"] == Path("cellmonai-demo")


def test_pictures_and_the_next_three_commands_are_named(asked: list[dict[str, Any]]) -> None:
    done = CliRunner().invoke(app, ["demo", "x y"])
    assert asked
    assert str(Path("x y/counts/*_overlay.png")) in done.stderr
    commands = [line.strip() for line in done.stderr.splitlines() if line.startswith("  cellmonai ")]
    assert [shlex.split(command)[1] for command in commands] == ["fit", "infer", "count"]
    assert "'x y/recipe.toml'" in commands[0]


def test_options_reach_the_workflow(asked: list[dict[str, Any]]) -> None:
    words = ["demo", "d", "--seed", "7", "--minutes", "2", "--device", "cpu", "--overwrite"]
    assert CliRunner().invoke(app, words).exit_code == 0
    options = {key: value for key, value in asked[0].items() if key != "reporter"}
    assert options == {"folder": Path("d"), "seed": 7, "minutes": 2.0, "device": "cpu", "overwrite": True}


def test_quiet_prints_the_table_alone(asked: list[dict[str, Any]]) -> None:
    done = CliRunner().invoke(app, ["demo", "--quiet"])
    assert asked
    assert "large_field" in done.stdout
    assert done.stderr == ""


def test_json_prints_one_document_alone(asked: list[dict[str, Any]]) -> None:
    done = CliRunner().invoke(app, ["demo", "--json"])
    assert asked
    document = json.loads(done.stdout)
    assert (document["true_total"], document["predicted_total"]) == (1240, 1241)


@pytest.mark.parametrize("name", ["plain", "with space", "-x", "it's", "$HOME `id`", "[red]x"])
def test_the_next_commands_read_back_as_they_were_meant(name: str) -> None:
    words = [shlex.split(command) for _, command in next_commands(canned(Path(name)))]
    assert Path(words[0][2]) == Path(name, "recipe.toml")
    assert f"data.root={Path(name, 'train')}" in words[0]
    assert Path(words[1][-1]) == Path(name, "run", "model.safetensors")
    assert not any(word.startswith("-") and not word.startswith("--") for line in words for word in line)


def test_what_is_typed_wrongly_is_told_without_a_traceback(tmp_path: Path, cellmonai: Callable[..., Any]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for words, code in (
        (("full",), 5),
        (("full", "--overwrite"), 5),
        (("new", "--minutes", "0"), 2),
        (("new", "--seed", "-1"), 2),
        (("new", "--nonsense"), 2),
    ):
        done = cellmonai("demo", *words, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT goes to a whole group there")
def test_ctrl_c_ends_with_130_and_one_sentence(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cellmonai", "demo", "d"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
    )
    wait_for_line(process, process.stderr, "painting")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert "stopped by Ctrl-C" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_a_new_user_sees_everything_and_can_go_on(
    tmp_path: Path, cellmonai: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One real demo in a process of its own; then its three next commands, with a shorter training."""
    done = cellmonai("demo", "my demo", "--minutes", "0.04", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["true_total"] > 500
    assert len(document["images"]) == 8
    assert "5/5 evaluate" in done.stderr
    result = canned(Path("my demo"), model=Path(document["model"]))
    monkeypatch.chdir(tmp_path)
    for _, command in next_commands(result):
        words = shlex.split(command)[1:]
        if words[0] == "fit":
            words += ["--set", "training.max_minutes=0.02"]
        again = CliRunner().invoke(app, words)
        assert again.exit_code == 0, again.stderr
    assert (tmp_path / "counts" / "counts.csv").is_file()
    assert len(list((tmp_path / "runs").iterdir())) == 1
