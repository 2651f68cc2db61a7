"""What writing a plane block by block costs: time per block, bytes a second, and memory at two sizes of plane.

    python tests/benchmarks/plane_store.py [--sides 5120 20480] [--block 1024] [--rounds 3]

Each plane is written by a process of its own: two maps of noise, which hardly compress, and a mask; a fifth of the
blocks is skipped. "write" holds the encoding, "commit" the waiting for the disk and the journal, "finish" the mask with
its pyramid; "resume" is opening the plane again with all digests looked at. The peak is of resident memory, beside it
what the process had before it began.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from plane_writer import HEADER, boxes_of, finish, open_store, work_folder

from cellmonai.images.block_store import PlaneStore


def main() -> None:
    """Write planes and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[5120, 20480])
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for side in options.sides:
        for _ in range(options.rounds):
            child = os.fork()
            if not child:
                measure(side, options.block)
                os._exit(0)
            os.waitpid(child, 0)


def measure(side: int, block: int) -> None:
    """Write one plane and print what it cost."""
    import tifffile  # noqa: F401 - not part of what is measured
    import zarr  # noqa: F401

    noise = np.random.default_rng(side)
    times: dict[str, list[float]] = {"write": [], "commit": [], "finish": [], "resume": []}

    def timed(name: str, began: float) -> None:
        times[name].append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory(dir=".") as made:
        output, base = Path(made), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        store = open_store(output, (side, side))
        for number, box in enumerate(boxes_of((side, side), block)):
            maps = noise.random((2, box[2] - box[0], box[3] - box[1]), np.float32)
            mask = maps[0] > np.float32(0.9)
            began = time.perf_counter()
            if number % 5 == 4:
                store.skip(box)
            else:
                store.write(box, maps, mask)
            timed("write", began)
            if number % 16 == 15:
                began = time.perf_counter()
                store.commit()
                timed("commit", began)
        store.close()
        stored = sum(path.stat().st_size for path in work_folder(output).rglob("*") if path.is_file())
        began = time.perf_counter()
        store = PlaneStore.resume(work_folder(output), header=HEADER)
        timed("resume", began)
        began = time.perf_counter()
        finish(store, output)
        timed("finish", began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    blocks, busy = len(times["write"]), sum(times["write"]) + sum(times["commit"])
    print(
        f"{side:6d} px, {blocks} blocks of {block} px: {1e3 * busy / blocks:.1f} ms a block "
        f"(write median {1e3 * median(times['write']):.1f}, commit {1e3 * sum(times['commit']) / blocks:.1f}), "
        f"{side * side / busy / 1e6:.1f} Mpx/s, {stored / busy / 1e6:.0f} MB/s of {stored / 1e6:.0f} MB on disk; "
        f"finish {times['finish'][0]:.2f} s, resume {times['resume'][0]:.2f} s; "
        f"peak {peak / 1024:.0f} MiB over {base / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
