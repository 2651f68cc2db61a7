"""A plane whose every block is known by its place, and a process that writes it and can be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import CellmonaiError
from cellmonai.core.files import remove_orphans, sha256_of
from cellmonai.core.locks import folder_lock
from cellmonai.images.block_store import PlaneStore, is_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess

    from numpy.typing import NDArray

    from cellmonai.images.source import Region

HEADER = {"image": "ab" * 32, "model": "cd" * 32, "engine": "torch", "precision": "f32", "versions": {"zarr": "3.1.6"}}
SIZE_UM = (0.5, 0.25)
SQUARE = (3600, 3700)
"""64 blocks of 512 px, those at the lower and right edge smaller."""

NARROW = (32_700, 40)
"""64 blocks one below the other, so long that the mask gets smaller copies."""

LEVEL = 0.3
"""The mask is where the first map is above this."""

_PATHS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def boxes_of(shape: tuple[int, int], side: int = 512) -> list[Region]:
    """Cut a plane into blocks, in raster order."""
    return [
        (row, column, min(row + side, shape[0]), min(column + side, shape[1]))
        for row in range(0, shape[0], side)
        for column in range(0, shape[1], side)
    ]


def is_empty(box: Region) -> bool:
    """Tell whether the blocks of 512 px in a box hold no signal: every fifth of them along a diagonal."""
    return all(
        (row // 512 + column // 512) % 5 == 3
        for row in range(box[0], box[2], 512)
        for column in range(box[1], box[3], 512)
    )


def maps_in(box: Region) -> NDArray[np.float32]:
    """Give a foreground and a border map, shape (2, h, w), of which each pixel depends on its place alone."""
    rows, columns = np.arange(box[0], box[2])[:, None], np.arange(box[1], box[3])
    foreground = (rows % 41).astype(np.float32) * (columns % 53).astype(np.float32) / np.float32(41 * 53)
    foreground[(rows // 512 + columns // 512) % 5 == 3] = 0
    return np.stack([foreground, foreground / 2])


def work_folder(output: Path) -> Path:
    """Where the plane lies while it is in work."""
    return output / ".x.work"


def open_store(output: Path, shape: tuple[int, int], **other: object) -> PlaneStore:
    """Begin or continue the plane in an output folder."""
    facts: dict[str, Any] = {
        "shape": shape,
        "names": ("foreground", "border"),
        "maps_dtype": "float16",
        "pixel_size_um": SIZE_UM,
        "header": HEADER,
    }
    return PlaneStore.open_or_create(work_folder(output), **(facts | other))


def put(store: PlaneStore, box: Region) -> None:
    """Write or skip one block."""
    if is_empty(box):
        store.skip(box)
    else:
        maps = maps_in(box)
        store.write(box, maps, maps[0] > LEVEL)


def finish(store: PlaneStore, output: Path, *, overwrite: bool = False) -> None:
    """Give the results their names."""
    store.finish(output / "x_mask.tif", output / "x_maps.zarr", overwrite=overwrite)


def write_rest(output: Path, shape: tuple[int, int], seed: int = 0, told: Path | None = None) -> None:
    """Do what `infer` does: continue or begin, write in a random order what is missing, finish.

    `told` gets the boxes of finished blocks, one a line, as soon as they are acknowledged.
    """
    if (output / "x_mask.tif").exists() and not is_unfinished(work_folder(output)):
        return
    with folder_lock(output), open_store(output, shape) as store:
        remove_orphans(output)
        rest = [box for box in boxes_of(shape) if box not in store.done]
        acknowledged = set(store.done)
        for number in np.random.default_rng(seed).permutation(len(rest)):
            put(store, rest[number])
            if number % 3 == 0:
                store.commit()
            if told is not None and (new := store.done - acknowledged):
                acknowledged |= new
                with told.open("a") as stream:
                    stream.write("".join(f"{box}\n" for box in sorted(new)))
        finish(store, output)


def digests_of(output: Path) -> dict[str, str]:
    """Give the digests of all that lies in an output folder, but for its lock and for an empty work folder."""
    found = {path.name: sha256_of(path) for path in output.iterdir() if path.name != ".cellmonai.lock"}
    if work_folder(output).is_dir() and not list(work_folder(output).iterdir()):
        del found[work_folder(output).name]
    return found


def kill_self_at(number: int, folder: Path) -> None:
    """Let this process end by SIGKILL just before it touches a file in `folder` for the n-th time."""
    count = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in _PATHS and str(arguments[0]).startswith(str(folder)):
            count += 1
            if count > number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def start(task: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Run a function in a process that is forked from one that has imported all it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["plane_writer", "zarr", "tifffile", "cellmonai.images.write"])
    process = context.Process(target=task, args=arguments)
    process.start()
    return process


def tell_failure(told: Path, task: Callable[..., object], *arguments: object) -> None:
    """Call a task in a child, write the sentence of its failure to a file, and end with its exit code."""
    stream = told.open("w")
    try:
        task(*arguments)
    except CellmonaiError as error:
        os.write(stream.fileno(), error.sentence.encode())
        sys.exit(error.exit_code)
