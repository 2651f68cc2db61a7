"""The figures of the README, measured again on real images; minutes each, so only with `-m long`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "reproduce.py"


def _summary(experiment: str, data: Path, output: Path) -> dict[str, Any]:
    subprocess.run([sys.executable, SCRIPT, experiment, data, "--output", output], check=True)
    document = json.loads((output / experiment / "evaluation" / "evaluation.json").read_text())
    summary: dict[str, Any] = document["summary"]
    return summary


@pytest.mark.long
def test_simulated_nuclei_are_counted_to_a_third_of_a_cell(data_folder: Path, tmp_path: Path) -> None:
    summary = _summary("bbbc005", data_folder / "bbbc005", tmp_path)
    assert summary["count_mae"] <= 0.3
    assert summary["count_r2"] >= 0.999


@pytest.mark.long
def test_fluorescent_nuclei_are_found_and_counted(data_folder: Path, tmp_path: Path) -> None:
    summary = _summary("dsb2018", data_folder / "dsb2018_stage1_train", tmp_path)
    assert summary["f1_50"] >= 0.87
    assert abs(summary["count_bias_percent"]) <= 4
