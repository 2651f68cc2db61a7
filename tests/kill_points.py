"""A command that is ended at its n-th file operation, for every n, and what the same command makes of it afterwards.

Each run is a process forked from one that has imported everything. An operation is what changes or makes a file in the
watched folder: opening for writing, renaming, removing, making and removing folders, truncating, locking, syncing, and
writing through a descriptor. The process ends before the operation; or, with `torn`, with half of what was to be
written in the file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waiting import wait_for_end

from cellmonai.core.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess

KILLED = -9
SECONDS = 300
"""How long one run may take at most: it does a small image."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
_PRELOADED = [
    *("kill_points", "cellmonai.cli.app", "cellmonai.workflows.infer", "cellmonai.workflows.count"),
    *("cellmonai.workflows.evaluate", "cellmonai.instances.classical.otsu", "cellmonai.instances.classical.steps"),
    *("cellmonai.workflows.inferring.classical", "cellmonai.report.html.page", "cellmonai.report.tables"),
    *("skimage.filters", "scipy.ndimage", "PIL.PngImagePlugin", "PIL.JpegImagePlugin", "imagecodecs._deflate"),
    *("rich.table", "rich.progress", "defusedxml.ElementTree", "tifffile", "cellmonai.report.exports.geojson"),
]
_TIMES_IN_PAGES = re.compile(r'"(started|ended)": *"[^"]*"|"seconds": *[0-9.]+|[0-9-]{10} [0-9:]{8} UTC')
_TIMES = {"seconds", "started", "ended", "mpx_per_second", "peak_memory_bytes", "resumed_blocks", "images_per_second"}


class Watch:
    """Counts operations in a folder, and ends the process at one of them.

    Parameters
    ----------
    folder : what is watched, with all below
    number : of the operation that is the last one, from 1; 0 only counts
    torn : half of a write arrives
    told : gets the name of every operation, a line each
    fault : an error number; the operation fails with it instead of ending the process, and so does every later write
    """

    def __init__(self, folder: Path, number: int, *, torn: bool, told: Path | None, fault: int = 0) -> None:
        self.folder, self.number, self.torn, self.fault = str(folder.resolve()), number, torn, fault
        self.count, self.stream = 0, None if told is None else told.open("w")

    def begin(self) -> None:
        """Watch from now on, for as long as the process lives."""
        fsync, write = os.fsync, os.write

        def watched_fsync(descriptor: int) -> None:
            if self._is_inside(_path_of(descriptor)):
                self.step("fsync", descriptor)
            fsync(descriptor)

        def watched_write(descriptor: int, content: bytes) -> int:
            if self._is_inside(_path_of(descriptor)):
                self.step("write", descriptor, content)
            return write(descriptor, content)

        os.fsync, os.write = watched_fsync, watched_write  # type: ignore[assignment]
        sys.addaudithook(self._hear)

    def step(self, name: str, descriptor: int | None = None, content: bytes = b"") -> None:
        """Count one operation; the last one ends the process."""
        self.count += 1
        if self.stream is not None:
            self.stream.write(name + "\n")
            self.stream.flush()
        if not self.number or self.count < self.number:
            return
        if self.fault:
            if name in {"open", "write", "fsync"}:
                raise OSError(self.fault, os.strerror(self.fault))
            return
        if self.torn and descriptor is not None:
            with suppress(OSError):
                if content:
                    os.pwrite(descriptor, content[: len(content) // 2], os.fstat(descriptor).st_size)
                elif ".tmp" in Path(_path_of(descriptor)).name:  # what a journal holds was synced before
                    os.truncate(f"/proc/self/fd/{descriptor}", os.fstat(descriptor).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(arguments[0], (str, bytes)) and arguments[2] & _WRITES and self._is_inside(arguments[0]):
                self.step("open")
        elif event in _PATHS:
            folder = arguments[-1] if isinstance(arguments[-1], int) and event in {"os.remove", "os.rmdir"} else -1
            base = _path_of(folder) if folder >= 0 else ""
            if self._is_inside(os.path.join(base, os.fsdecode(arguments[0]))):  # noqa: PTH118 - a text, in a hook
                self.step(event.removeprefix("os."))
        elif event == "fcntl.flock" and self._is_inside(_path_of(arguments[0])):
            self.step("flock")

    def _is_inside(self, path: str | bytes) -> bool:
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)  # noqa: PTH100 - a text, in a hook


def _path_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a text, in a hook
    except OSError:
        return ""


def _run(words: Sequence[str], place: Path, watch: Watch | None, errors: Path) -> None:
    from cellmonai.cli.start import main

    os.chdir(place)
    sys.stdout = sys.stderr = errors.open("w")
    sys.argv[1:] = words
    if watch is not None:
        watch.begin()
    main()


def start(task: Callable[..., object], *arguments: object) -> BaseProcess:
    """Run a function in a process that is forked from one that has imported all it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=task, args=arguments)
    process.start()
    return process


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, negative for a signal, what it said, and its operations in order."""

    code: int
    said: str
    operations: tuple[str, ...]


def run(
    words: Sequence[str],
    place: Path,
    *,
    folder: str = ".",
    number: int | None = None,
    torn: bool = False,
    fault: int = 0,
) -> Ended:
    """Run a command in `place`; with `number` its operations in `folder`, one of those in place, are watched."""
    errors, told = place / ".said", place / ".told"
    told.unlink(missing_ok=True)
    watch = None if number is None else _Made(place / folder, number, torn, told, fault)
    code = wait_for_end(start(_child, list(words), place, watch, errors), longest_s=SECONDS)
    operations = told.read_text().split() if told.exists() else []
    return Ended(code, errors.read_text() if errors.exists() else "", tuple(operations))


@dataclass(frozen=True, slots=True)
class _Made:
    """A watch before it is made, as it goes to the child."""

    folder: Path
    number: int
    torn: bool
    told: Path
    fault: int


def _child(words: list[str], place: Path, made: _Made | None, errors: Path) -> None:
    watch = Watch(made.folder, made.number, torn=made.torn, told=made.told, fault=made.fault) if made else None
    _run(words, place, watch, errors)


def walk(
    make: Callable[[], Path],
    words: Sequence[str],
    *,
    folder: str,
    every: int = 1,
    torn: bool = False,
    check: Callable[[Path], None] | None = None,
) -> Counter[str]:
    """End a command at each of its operations, run it again, and compare with an undisturbed run.

    Parameters
    ----------
    make : makes a new place with the inputs, and older results where these are to be replaced
    words : the command
    folder : its output folder, in the place
    every : end at each n-th operation only
    torn : half of each write arrives
    check : looks at the place after the kill

    Returns
    -------
    how many kills there were before or in each kind of operation
    """
    place = make()
    ended = run(words, place, folder=folder, number=0)
    assert ended.code == 0, ended.said
    expected = contents_of(place / folder)
    most = 2 * len(ended.operations) + 10  # a bound, should a run never come to an end
    killed: Counter[str] = Counter()
    for number in range(1, most, every):
        place = make()
        ended = run(words, place, folder=folder, number=number, torn=torn)
        if ended.code != KILLED:
            assert ended.code == 0, ended.said
            return killed
        operation = ended.operations[-1]
        killed[operation] += 1
        if check is not None:
            check(place)
        again = run(words, place)
        what = f"killed at operation {number}, {operation}"
        assert again.code == 0, f"{what}: {again.said}"
        assert not differences(contents_of(place / folder), expected), what
    raise AssertionError(f"the command was still not done after {most} operations")


def contents_of(folder: Path) -> dict[str, str]:
    """Give the digest of every file below a folder but locks; of JSON without times, of pages without their record."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.endswith(".lock"):
            continue
        if path.is_dir():
            found[name] = "folder"
        elif path.suffix == ".json":
            found[name] = json.dumps(_without_times(json.loads(path.read_bytes())), sort_keys=True)
        elif path.suffix == ".html":
            found[name] = _TIMES_IN_PAGES.sub("", unescape(path.read_text("utf-8")))
        elif path.name == "recipe.toml":  # paths in it are absolute
            found[name] = path.read_text().replace(str(folder.parent), "")
        elif path.name == "history.csv":
            found[name] = "\n".join(line.split(",")[0] for line in path.read_text().splitlines())
        else:
            found[name] = sha256_of(path)
    return found


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Name what is missing, too much or different, with the first characters of what differs."""
    told = []
    for name in sorted({*found, *expected}):
        one, other = found.get(name, "missing"), expected.get(name, "missing")
        if one != other:
            at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
            told.append(f"{name}: {one[max(0, at - 40) : at + 60]!r}, expected {other[max(0, at - 40) : at + 60]!r}")
    return told


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if key not in _TIMES}
    if isinstance(value, list):
        return [_without_times(inner) for inner in value]
    return value
