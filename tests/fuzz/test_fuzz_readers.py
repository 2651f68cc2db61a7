"""A fixed sample of damaged files; `tests/benchmarks/fuzz_readers.py` does as many as there is time for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "fuzz_readers.py"


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory and time as Linux tells them")
@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_are_refused_or_read_without_any_fault(seed: int) -> None:
    words = ["--seed", str(seed), "--to", "6"]
    ran = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert f"seed {seed}" in ran.stdout
