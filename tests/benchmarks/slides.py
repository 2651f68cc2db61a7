"""Memory and time of `infer` and `count` on painted slides of growing size.

python tests/benchmarks/slides.py 10000 20000 40000 --memory 2GiB

Every slide is a tiled, compressed TIFF of painted nuclei, written tile by tile. Peak memory is that of the whole
process as the system accounts it; the first line, of a slide of 1,024 px, shows what the program itself takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch

from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import tensors_of
from cellmonai.nets.catalogue import build, describe, resolve
from cellmonai.simulate import FieldSettings, paint_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = 512


def write_slide(path: Path, side: int) -> None:
    """Repeat a painted field over a slide of `side` px; the field's sides do not fit the tiles, so none are equal."""
    grey = paint_field(FieldSettings(shape=(1100, 1300), cells=650), seed=3).image

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for row in range(0, side, TILE):
            for column in range(0, side, TILE):
                rows = np.arange(row, row + TILE) % grey.shape[0]
                columns = np.arange(column, column + TILE) % grey.shape[1]
                yield grey[np.ix_(rows, columns)]

    tifffile.imwrite(
        path, tiles(), shape=(side, side), dtype=np.uint8, tile=(TILE, TILE), compression="zlib", bigtiff=True
    )


def write_small_model(path: Path, network: str, width: int) -> None:
    """Write a model of random weights: memory and time do not depend on what was learnt."""
    torch.manual_seed(0)
    parameters = resolve(network, {"width": width})
    facts = describe(network, parameters)
    card = ModelCard(
        network=network,
        parameters=parameters,
        channels=1,
        channel_names=("grey",),
        normalisation=Normalisation(),
        operating_point=InstanceSettings(threshold=0.5).as_json(),
        radius_px=facts.radius_px,
        divisor=facts.divisor,
        tile_exact=facts.tile_exact,
    )
    write_model(path, card, tensors_of(build(network, parameters, channels=1, outputs=1)), overwrite=True)


def run(*words: str | Path) -> tuple[float, float, float]:
    """Run a command; gives wall seconds, CPU seconds and its peak resident memory in MiB."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "cellmonai", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{words[0]} failed")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("sides", type=int, nargs="+", help="px")
    given.add_argument("--network", default="monai_attention_unet")
    given.add_argument("--width", type=int, default=8)
    given.add_argument("--model", type=Path, help="a trained model instead, so that there are cells to count")
    given.add_argument("--memory", default="2GiB")
    given.add_argument("--folder", type=Path, help="for the slides; a temporary one when left out")
    words = given.parse_args()
    folder = words.folder or Path(tempfile.mkdtemp())
    model = words.model or folder / "model.safetensors"
    if words.model is None:
        write_small_model(model, words.network, words.width)
    print(f"{words.model or f'{words.network}, width {words.width}'}, --memory {words.memory}")
    for side in (1024, *words.sides):  # the first converts the model and shows the base
        slide, masks, counts = folder / f"slide{side}.tif", folder / f"masks{side}", folder / f"counts{side}"
        write_slide(slide, side)
        for name, command in (
            ("infer", ("infer", slide, "--model", model, "--output", masks, "--memory", words.memory, "--quiet")),
            ("count", ("count", masks, "--output", counts, "--memory", words.memory, "--quiet")),
        ):
            wall, cpu, peak = run(*command)
            mpx = side * side / 1e6
            print(
                f"{side:>7} px  {name}  {mpx:8.1f} Mpx  {wall:8.1f} s  {cpu:8.1f} CPU s  {mpx / wall:6.2f} Mpx/s  "
                f"peak {peak:7.0f} MiB",
                flush=True,
            )
        for path in (masks, counts):
            shutil.rmtree(path)
        slide.unlink()
