"""Damage small files of every kind at random, read them as image and as mask, and tell what became of each.

    python tests/benchmarks/fuzz_readers.py [--seed 1] [--from 0] [--to 2000] [--only tif png] [--log findings.jsonl]

Every kind of file gets the mutants with the numbers of the range, which are the same for the same seed; a longer run is
done in parts. Mutants are read in processes of their own, with a memory budget of 64 MiB, 5 s of CPU time and a limit
on the address space. Needs Linux. The table counts, for each kind of file:

refused     one sentence that names the file
same        the pixels and facts of the undamaged file
other       other pixels or facts, without a word: what no format without a checksum can notice
resealed    the same, of damage under a checksum that was computed anew
traceback, hang, memory, killed, sentence, noise    faults; these are printed one by one
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from judge import FAULTS, OTHER, REFUSED, RESEALED, SAME, judged
from seed_files import seed_files

_COLUMNS = (REFUSED, SAME, OTHER, RESEALED, *FAULTS)
_SHOWN = 40


def main() -> int:
    """Run a range and print the table; gives 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--to", type=int, default=2000, dest="last")
    parser.add_argument("--only", nargs="*", default=[], help="words that the names of the kinds hold")
    parser.add_argument("--log", type=Path, help="findings that are not refusals, one JSON a line")
    options = parser.parse_args()
    seeds = seed_files()
    names = [name for name in seeds if not options.only or any(word in name for word in options.only)]
    todo = [(name, number) for name in names for number in range(options.first, options.last)]
    began = time.monotonic()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    most: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    shown = 0
    with (options.log or Path(os.devnull)).open("w") as log, suppress(KeyboardInterrupt):  # Ctrl-C ends with the table
        for found in judged(seeds, todo, seed=options.seed):
            name, outcome = found["name"], found["outcome"]
            counts[name][outcome] += 1
            size, seconds = most[name]
            most[name] = max(size, found.get("bytes", 0)), max(seconds, found.get("seconds", 0.0))
            if outcome != REFUSED:
                log.write(json.dumps(found) + "\n")
            if outcome in FAULTS and (shown := shown + 1) <= _SHOWN:
                print(f"{outcome}: {name} {found['number']} ({found['done']}): {found['what']}", flush=True)
    _print_table(counts, most)
    done = sum(found.total() for found in counts.values())
    print(f"{done:,} of {len(todo):,} mutants in {time.monotonic() - began:.0f} s, seed {options.seed}")
    return int(any(counts[name][fault] for name in counts for fault in FAULTS))


def _print_table(counts: dict[str, Counter[str]], most: dict[str, tuple[int, float]]) -> None:
    print(f"{'file':20}" + "".join(f"{column:>10}" for column in _COLUMNS) + f"{'MiB':>8}{'s':>8}")
    for name, found in counts.items():
        size, seconds = most[name]
        row = "".join(f"{found[column]:>10,}" for column in _COLUMNS)
        print(f"{name:20}{row}{size / 2**20:>8.0f}{seconds:>8.2f}")
    total = sum(counts.values(), Counter())
    print(f"{'all':20}" + "".join(f"{total[column]:>10,}" for column in _COLUMNS))


if __name__ == "__main__":
    sys.exit(main())
