"""CPU seconds of the whole command `cellmonai count` on small masks, and what a second core gives on many.

    python tests/benchmarks/count_command.py [--rounds 7]

Ten masks of 512 x 512 px with all default outputs; then 64 masks of 1024 x 1024 px with one thread and with the
default, taking turns. CPU seconds are user and system time of the process; wall seconds depend on what else runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import tifffile
from painting import paint, scattered_discs


def write_masks(folder: Path, *, count: int, side: int) -> int:
    """Paint masks with about a cell per 1,800 px; gives how many cells there are."""
    folder.mkdir()
    cells = round(side * side / 1800)
    for number in range(count):
        discs = scattered_discs(cells, (side, side), radius_px=(8, 15), seed=number)
        tifffile.imwrite(folder / f"mask_{number:02d}.tif", (paint(discs, (side, side)) > 0) * np.uint8(255))
    return count * cells


def run(place: Path, *words: str) -> tuple[float, float]:
    """CPU and wall seconds of one command."""
    command = [sys.executable, "-m", "cellmonai", "count", *words, "--overwrite", "--quiet"]
    start = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, used = os.wait4(pid, 0)
    if status:
        sys.exit(f"the command failed in {place}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def spread(values: list[float]) -> str:
    """Smallest, median and largest."""
    return f"{min(values):.2f} / {median(values):.2f} / {max(values):.2f}"


def main() -> None:
    """Paint, run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        cells = write_masks(place / "ten", count=10, side=512)
        ten = [run(place, str(place / "ten"), "--output", str(place / "out")) for _ in range(rounds)]
        print(f"ten masks of 512 x 512 px, {cells} cells; min / median / max")
        print(f"  {spread([cpu for cpu, _ in ten])} CPU s, {spread([wall for _, wall in ten])} s")

        cells = write_masks(place / "many", count=64, side=1024)
        print(f"64 masks of 1024 x 1024 px, {cells} cells, {os.cpu_count()} cores")
        words = (str(place / "many"), "--output", str(place / "many_out"))
        turns = [(run(place, *words, "--threads", "1"), run(place, *words)) for _ in range(max(3, rounds // 2))]
        for name, which in (("one thread", 0), ("default", 1)):
            cpu, wall = ([turn[which][part] for turn in turns] for part in (0, 1))
            print(f"  {name:12} {spread(cpu)} CPU s, {spread(wall)} s")
        print(f"  one thread / default, wall: {spread([one[1] / other[1] for one, other in turns])}")


if __name__ == "__main__":
    main()
