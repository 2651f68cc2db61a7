"""The Python API is the four commands, found without loading what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cellmonai


def test_the_api_is_the_four_commands() -> None:
    assert sorted(cellmonai.__all__) == ["count", "evaluate", "fit", "infer"]
    assert all(callable(getattr(cellmonai, name)) for name in cellmonai.__all__)
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = cellmonai.train  # type: ignore[attr-defined]


def test_counting_from_python_needs_no_torch() -> None:
    code = "import sys, cellmonai; cellmonai.count, cellmonai.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
