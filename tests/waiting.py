"""Waiting for other processes, never for longer than a test may take."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

LONGEST_S = 240.0
"""How long to wait for anything: far longer than it takes on the slowest machine."""

_STEP_S = 0.02


def wait_until(happens: Callable[[], object], what: str, *, longest_s: float = LONGEST_S) -> None:
    """Wait until something is so; what does not come fails the test by its name."""
    for _ in range(int(longest_s / _STEP_S)):
        if happens():
            return
        time.sleep(_STEP_S)
    raise AssertionError(f"waited {longest_s:g} s in vain: {what}")


def wait_for_line(process: subprocess.Popen[str], stream: IO[str] | None, words: str) -> None:
    """Read what a process says up to a line with these words; a process that ends before that fails the test."""
    assert stream is not None
    said = []
    for line in stream:
        if words in line:
            return
        said.append(line)
    raise AssertionError(f"ended with {process.wait(LONGEST_S)} before it said {words!r}: {''.join(said)}")


def wait_for_end(process: BaseProcess, *, longest_s: float = LONGEST_S) -> int:
    """Wait for a process and give its exit code; one that does not end is killed and fails the test."""
    process.join(longest_s)
    if process.exitcode is None:
        process.kill()
        process.join(longest_s)
        raise AssertionError(f"a process did not end within {longest_s:g} s")
    return process.exitcode
