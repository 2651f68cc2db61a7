"""What became of a damaged file: judged in a process of its own that a fault may kill."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutate import mutated
from seed_files import put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seed_files import Files

MEMORY = 64 * 2**20
"""The budget that files are opened with, bytes."""

MOST_BYTES = 192 * 2**20
"""What reading one of them may add to the process: the budget, the result, and the decoder's own."""

MOST_SECONDS = 5
_ADDRESS_SPACE = 6 * 2**30
_BATCH = 250
_PLANES_READ = 3
_NO_MASK = "refused as a mask"
_LONGEST = 1500
_NO_TEXT = ("Cc", "Cf", "Cs", "Zl", "Zp")  # of Unicode: what steers a terminal or breaks a line
_PIXELS_READ = 2_000_000

REFUSED, SAME, OTHER, RESEALED = "refused", "same", "other", "resealed"
FAULTS = ("traceback", "hang", "memory", "killed", "sentence", "noise")


def judged(seeds: Mapping[str, Files], todo: Iterable[tuple[str, int]], *, seed: int) -> Iterator[dict[str, Any]]:
    """Open and read mutants in forked processes; gives one finding for each, in order."""
    waiting = list(todo)
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        done = 0
        for finding in _in_child(seeds, batch, seed):
            done += 1
            yield finding
        waiting = batch[done:] + waiting


def _in_child(seeds: Mapping[str, Files], batch: list[tuple[str, int]], seed: int) -> Iterator[dict[str, Any]]:
    """Give findings of a batch up to the first that kills the process, and that one."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        code = 1
        try:
            _work(seeds, batch, seed, sending)
            code = 0
        finally:
            os._exit(code)
    os.close(sending)
    text, count, killed = b"", 0, ""
    try:
        while count < len(batch):
            if not select.select([receiving], [], [], 12 * MOST_SECONDS)[0]:  # CPU time is limited too
                killed = "hang"
                os.kill(child, signal.SIGKILL)
                break
            part = os.read(receiving, 1 << 16)
            if not part:
                break
            text += part
            *lines, text = text.split(b"\n")
            for line in lines:
                count += 1
                yield json.loads(line)
    finally:
        os.close(receiving)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL) if count < len(batch) and not killed else None
        status = os.waitpid(child, 0)[1]
    if count < len(batch):
        name, number = batch[count]
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
        outcome = killed or ("hang" if ended == signal.SIGPROF else "killed")
        yield {"name": name, "number": number, "outcome": outcome, "what": f"signal or code {ended}", "done": ""}


def _work(seeds: Mapping[str, Files], batch: list[tuple[str, int]], seed: int, sending: int) -> None:
    # one thread only: a process with several cannot be forked in peace, and zarr begins some
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as made, _noise() as noise:
        folder = Path(made)
        good: dict[str, str] = {}
        for name, number in batch:
            if name not in good:
                undamaged = _outcome(seeds[name], folder / name)
                if undamaged["outcome"] != SAME:
                    raise RuntimeError(f"{name} cannot be read undamaged: {undamaged}")
                good[name] = undamaged["what"]
                noise.truncate(0)
            files, done = mutated(seeds, name, number, seed=seed)
            _forget_peak()
            base, began = _peak(), time.process_time()
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
            found = _outcome(files, folder / name)
            signal.setitimer(signal.ITIMER_PROF, 0)
            found |= {"bytes": max(0, _peak() - base), "seconds": round(time.process_time() - began, 3)}
            image, _, mask = found["what"].partition(" ")
            if found["outcome"] == SAME and mask == _NO_MASK and image == good[name].partition(" ")[0] != found["what"]:
                found["outcome"] = SAME if found["what"] == good[name] else REFUSED
            elif found["outcome"] == SAME and found["what"] != good[name]:
                found["outcome"] = RESEALED if "sealed" in done else OTHER
            if found["bytes"] > MOST_BYTES:
                found["outcome"] = "memory"
            said = os.fstat(noise.fileno()).st_size
            if said and found["outcome"] not in FAULTS:
                noise.seek(0)
                found |= {"outcome": "noise", "what": noise.read(300).decode("utf-8", "replace")}
            noise.truncate(0)
            line = {"name": name, "number": number, "done": done, **found}
            os.write(sending, json.dumps(line).encode() + b"\n")


class _noise:  # noqa: N801 - a context manager
    """Everything that is printed on stderr, by C libraries too, in a file."""

    def __enter__(self) -> Any:  # noqa: ANN401 - a binary file
        sys.stderr.flush()
        self._before = os.dup(2)
        self._file = tempfile.TemporaryFile(buffering=0)
        os.dup2(self._file.fileno(), 2)
        return self._file

    def __exit__(self, *_: object) -> None:
        os.dup2(self._before, 2)
        self._file.close()


def _outcome(files: Files, path: Path) -> dict[str, Any]:
    from cellmonai.core.errors import CellmonaiError

    put(files, path)
    try:
        return {"outcome": SAME, "what": read_all(path)}
    except CellmonaiError as error:
        sentence = str(error)
        is_line = not any(unicodedata.category(letter) in _NO_TEXT for letter in sentence)
        is_sentence = is_line and len(sentence) < _LONGEST and error.where
        return {"outcome": REFUSED if is_sentence else "sentence", "what": sentence[:300]}
    except BaseException as error:  # noqa: BLE001 - a fault of cellmonai
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return {"outcome": "traceback", "what": f"{type(error).__name__}: {str(error)[:200]} at {place}"}
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_all(path: Path) -> str:
    """Read a file in every way that it is used; gives a digest of what was read."""
    if path.suffix == ".safetensors":
        return _read_model(path)
    if path.name.endswith("_maps.zarr"):
        return _read_maps(path)
    from cellmonai.core.errors import CellmonaiError
    from cellmonai.images.labels import open_mask, read_mask_strip
    from cellmonai.images.open import open_image

    digest = hashlib.sha256()
    with open_image(path, memory=MEMORY) as source:
        facts = (source.stored_axes, source.shape, source.channels, source.pixel_size_um, source.planes[:9])
        digest.update(repr((facts, str(source.dtype), len(source.planes), source.levels)).encode())
        for plane in range(min(len(source.planes), _PLANES_READ)):
            digest.update(source.read(_region(source.shape), plane=plane).tobytes())
    of_mask = hashlib.sha256()
    try:
        with open_mask(path, memory=MEMORY) as source:
            for plane in range(min(len(source.planes), _PLANES_READ)):
                rows = _region(source.shape)[2]
                of_mask.update(read_mask_strip(source, plane, 0, rows).tobytes())
    except CellmonaiError:  # many images are no masks
        return f"{digest.hexdigest()} {_NO_MASK}"
    return f"{digest.hexdigest()} {of_mask.hexdigest()}"


def _region(shape: tuple[int, int, int]) -> tuple[int, int, int, int]:
    rows = max(1, min(shape[1], _PIXELS_READ // (shape[2] * shape[0])))
    return 0, 0, rows, shape[2]


def _read_maps(path: Path) -> str:
    from cellmonai.images.map_rows import map_rows
    from cellmonai.images.maps import read_maps

    maps = read_maps(path, memory=MEMORY)
    rows = map_rows(path, "foreground")
    content = maps.maps.tobytes() + rows.rows(0, rows.shape[0]).tobytes()
    return hashlib.sha256(content + repr((maps.names, maps.pixel_size_um)).encode()).hexdigest()


def _read_model(path: Path) -> str:
    from cellmonai.models.file import read_card, read_tensors

    card, tensors = read_card(path), read_tensors(path)
    content = b"".join(name.encode() + array.tobytes() for name, array in sorted(tensors.items()))
    return hashlib.sha256(content + repr(card).encode()).hexdigest()


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
