"""Every example that paints its own cells runs, prints what it promises, and stays short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PROMISES = {
    "paint_cells.py": "crowded",
    "count_from_python.py": "120 painted",
    "measure_arrays.py": "in the counting frame",
    "fit_from_python.py": "unseen images:",
}


@pytest.mark.parametrize("name", PROMISES)
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    for _ in range(1 + (name == "paint_cells.py")):  # again over its own files
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), "out"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert PROMISES[name] in done.stdout


def test_each_example_is_short_and_listed() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in PROMISES:
        assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 60
        assert f"({name})" in readme


def test_counting_with_splitting_comes_close_to_the_painted_count(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "count_from_python.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    whole, split = (int(line.split()[2]) for line in done.stdout.splitlines()[:2])
    assert whole < 110 < split <= 125
