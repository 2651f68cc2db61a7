"""Every hostile file is refused within a second and 200 MB, measured in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import Hostile, write_all
from tifffile import imwrite
from zarr_files import write_ome_zarr

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, links and measures of memory need POSIX"),
]

SECONDS, BYTES = 1.0, 200_000_000

# opens what it is told, one after the other, and says what each took beyond what importing takes
_OPEN = """
import json, resource, sys, time
from pathlib import Path
from cellmonai.core.errors import CellmonaiError
from cellmonai.images.open import open_image

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # not ru_maxrss, in which Linux counts the process that started this one
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def outcome(path):
    try:
        with open_image(Path(path)) as source:
            values = [source.read(plane=plane) for plane in range(len(source.planes))]
            return "", len(values), int(max(value.max() for value in values))
    except CellmonaiError as error:
        return str(error), 0, 0

for path in json.loads(sys.argv[1]):  # every reader and decoder is imported by a file that is as it should be
    assert outcome(path)[0] == "", outcome(path)
base = peak()
for path in json.loads(sys.argv[2]):
    wall, cpu = time.monotonic(), time.process_time()
    refusal, planes, greatest = outcome(path)
    taken = {"seconds": time.process_time() - cpu, "wall": time.monotonic() - wall, "bytes": peak() - base}
    print(json.dumps({"path": path, "refusal": refusal, "planes": planes, "greatest": greatest, **taken}), flush=True)
"""


def _good_files(folder: Path) -> list[Path]:
    image = np.zeros((32, 32), np.uint8)
    for code in ("zlib", "lzw", "packbits", "zstd", "lzma"):
        imwrite(folder / f"{code}.tif", image, compression=code)
    for suffix in ("png", "jpg"):
        from PIL import Image

        Image.fromarray(image).save(folder / f"a.{suffix}")
    np.save(folder / "a.npy", image)
    np.savez_compressed(folder / "a.npz", image=image)
    import nibabel

    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "a.nii.gz")
    write_ome_zarr(folder / "a.zarr", [image], "YX", chunks=(16, 16))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder, good = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("good")
    files = write_all(folder)
    words = [
        json.dumps([str(path) for path in paths]) for paths in (_good_files(good), [folder / f.name for f in files])
    ]
    ran = subprocess.run(
        [sys.executable, "-c", _OPEN, *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {str(Path(line["path"]).relative_to(folder)): line for line in lines}


def _all() -> list[Hostile]:
    from hostile import all_hostile

    return all_hostile()


@pytest.mark.parametrize("file", [pytest.param(f, id=f.name) for f in _all()])
def test_a_hostile_file_is_refused_at_once(file: Hostile, outcomes: dict[str, dict[str, Any]]) -> None:
    outcome = outcomes[file.name]
    if file.reason:
        assert re.search(file.reason, outcome["refusal"]), outcome
        assert Path(file.name).name in outcome["refusal"]
        assert "\n" not in outcome["refusal"]
    else:
        assert (outcome["refusal"], outcome["planes"], outcome["greatest"]) == ("", 1, 0)
    assert outcome["seconds"] < SECONDS
    assert outcome["wall"] < 20 * SECONDS  # other programs may hold the machine
    assert outcome["bytes"] < BYTES
