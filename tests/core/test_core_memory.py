"""Memory that was freed goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_THREADS_THAT_FREE = """
import sys, threading
import numpy as np
from cellmonai.core.memory import peak_memory_bytes, return_freed_memory
if sys.argv[1] == "returned":
    return_freed_memory()
kept = []
def work():
    for number in range(30):
        large = np.ones(16 << 20, np.uint8)
        kept.append(np.ones(100 << 10, np.uint8))  # lies behind it and keeps it from being given back
        del large
for turn in range(3):
    threads = [threading.Thread(target=work) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
status = open("/proc/self/status").read()
print(int(status.split("VmRSS:")[1].split()[0]) >> 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_blocks_are_given_back_whatever_lies_behind_them() -> None:
    def resident_mib(how: str) -> int:
        command = [sys.executable, "-c", _THREADS_THAT_FREE, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    kept_small = 3 * 6 * 30 * 100 / 1024
    assert resident_mib("returned") < kept_small + 100
