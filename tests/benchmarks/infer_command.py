"""CPU and wall seconds of whole commands on one image file: a script on MONAI's sliding window, and `cellmonai infer`.

    python tests/benchmarks/infer_command.py [--side 4096] [--rounds 5] [--engine openvino torch] [--precision f32]

A BasicUNet of 2.0 M parameters with batch norm, trained for a few steps on painted cells, over one tiled TIFF:

    A  a script: tifffile, SlidingWindowInferer (256 px, overlap 0.25, gaussian, f32), tiled mask, maps
    B  `cellmonai infer`; further letters for further engines and precisions
    +  `cellmonai count` on the masks of B, which is told besides

taking turns A B, A B, ... Every turn is a process of its own, imports, reading and writing included; CPU seconds are
those that the system accounts to it. The model is converted before the first turn, as it is once for each model.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from infer_engines import FACTS, NETWORK, PARAMETERS, Turns, painted, ratios, spread, trained

from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import tensors_of
from cellmonai.nets.catalogue import resolve

MONAI_SCRIPT = """
import sys
from pathlib import Path
import numpy as np, tifffile, torch, zarr
from monai.inferers import SlidingWindowInferer
from cellmonai.models.load import load_model

slide, model, mask, maps = sys.argv[1:]
net = load_model(Path(model)).net.eval()
image = tifffile.imread(slide).astype(np.float32)
image = (image - np.float32(80)) / np.float32(90)
inferer = SlidingWindowInferer(roi_size=(256, 256), sw_batch_size=4, overlap=0.25, mode="gaussian")
with torch.inference_mode():
    found = torch.sigmoid(inferer(torch.from_numpy(image)[None, None], net))[0].numpy()
store = zarr.open_array(maps, mode="w", shape=found.shape, chunks=(1, 512, 512), dtype="float16")
store[:] = found.astype(np.float16)
inside = np.where(found[0] >= 0.5, np.uint8(255), np.uint8(0))
tifffile.imwrite(mask, inside, tile=(256, 256), compression="zlib", compressionargs={"level": 1})
"""


def write_inputs(folder: Path, side: int) -> tuple[Path, Path]:
    """Write the image and the model."""
    image = painted(side, seed=12345)[0][0, 0]
    slide, model = folder / "slide.tif", folder / "model.safetensors"
    grey = np.clip(80 + 90 * image, 0, 255).astype(np.uint8)
    tifffile.imwrite(slide, grey, tile=(512, 512), compression="zlib")
    parameters = resolve(NETWORK, PARAMETERS)
    card = ModelCard(
        network=NETWORK,
        parameters=parameters,
        channels=1,
        channel_names=("grey",),
        normalisation=Normalisation("range", 80, 170),  # what the network was trained on
        operating_point=InstanceSettings(threshold=0.5).as_json(),
        radius_px=FACTS.radius_px,
        divisor=FACTS.divisor,
        tile_exact=FACTS.tile_exact,
    )
    write_model(model, card, tensors_of(trained(60)))
    return slide, model


def timed(turns: Turns, *command: str | Path) -> None:
    """Run a process to its end and note what it took."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed")
    turns.cpu.append(usage.ru_utime + usage.ru_stime)
    turns.wall.append(time.perf_counter() - started)


def main() -> None:
    """Prepare, take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", nargs="+", default=["openvino", "torch"], choices=["openvino", "torch"])
    parser.add_argument("--precision", nargs="+", default=["f32"], choices=["f32", "bf16", "int8"])
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        slide, model = write_inputs(folder, wish.side)
        ways = [(engine, precision) for engine in wish.engine for precision in wish.precision]
        ways = [way for way in ways if way == (way[0], "f32") or way[0] == "openvino"]
        turns = {"A": Turns(), "count": Turns()} | {way: Turns() for way in ways}
        for number in range(-1, wish.rounds):  # the first one converts the model and is not told
            if number >= 0:
                script = folder / "sliding_window.py"
                script.write_text(MONAI_SCRIPT)
                timed(turns["A"], script, slide, model, folder / "mask.tif", folder / "maps.zarr")
            for way in ways:
                masks, counts = folder / f"masks_{'_'.join(way)}", folder / "counts"
                words = ["infer", slide, "--model", model, "-o", masks, "--engine", way[0], "--precision", way[1], "-q"]
                timed(turns[way] if number >= 0 else Turns(), "-m", "cellmonai", *words)
                if way == ways[0] and number >= 0:
                    timed(turns["count"], "-m", "cellmonai", "count", masks, "-o", counts, "-q")
                    shutil.rmtree(counts)
                if number < wish.rounds - 1:
                    shutil.rmtree(masks)
        mpx, load = wish.side**2 / 1e6, os.getloadavg()[0]
        print(f"{wish.side} x {wish.side} px, {wish.rounds} rounds, {os.cpu_count()} cores, load {load:.1f}")
        print(f"{'median [min-max]':24} {'CPU s per Mpx':22} {'wall s per Mpx':22} {'A / this, CPU':18} A / this, wall")
        for name, each in turns.items():
            cpu, wall = ([second / mpx for second in seconds] for seconds in (each.cpu, each.wall))
            beside = f"{ratios(turns['A'].cpu, each.cpu):18} {ratios(turns['A'].wall, each.wall)}"
            print(
                f"{' '.join(name) if isinstance(name, tuple) else name:24} {spread(cpu):22} {spread(wall):22} {beside}"
            )
        mask = tifffile.imread(folder / f"masks_{'_'.join(ways[0])}" / "slide_mask.tif") > 0
        theirs = tifffile.imread(folder / "mask.tif") > 0
        print(
            f"{np.count_nonzero(mask != theirs)} mask pixels differ between A and B, of {np.count_nonzero(mask)} inside"
        )


if __name__ == "__main__":
    main()
