"""However a mask is stored, read and worked on, its label image and its tables are the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from painting import paint, scattered_discs
from PIL import Image

from cellmonai.images import rows as image_rows
from cellmonai.images.write import write_maps, write_mask
from cellmonai.instances import basin_graph
from cellmonai.workflows.count import count
from cellmonai.workflows.counting import every_plane
from cellmonai.workflows.counting import masks as count_masks
from cellmonai.workflows.counting.settings import CountSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SHAPE = (230, 190)


@cache
def painted(kind: str) -> NDArray[np.bool_]:
    if kind == "touching cells":
        discs = scattered_discs(60, SHAPE, radius_px=(5, 12), cells_per_cluster=4, seed=3)
        return paint(discs, SHAPE) > 0
    if kind == "noise":
        return np.random.default_rng(0).random(SHAPE) < 0.55
    mask = np.zeros(SHAPE, bool)
    if kind == "spiral":
        rows, columns = np.indices(SHAPE) - np.array(SHAPE)[:, None, None] // 2
        turn = np.hypot(rows, columns) - 3 * np.arctan2(rows, columns)
        mask = (turn % 18.84 < 9) & (np.hypot(rows, columns) < 90)
    elif kind == "plateaus":
        mask[10:200, 20:170] = True
        mask[60:64, 40:120] = mask[150, 20:100] = False
    return mask


KINDS = ("touching cells", "noise", "spiral", "plateaus", "no cell")


def as_tiff(**options: Any) -> Callable[[Path, NDArray[np.bool_]], object]:  # noqa: ANN401
    def save(folder: Path, mask: NDArray[np.bool_]) -> None:
        tifffile.imwrite(folder / "a.tif", mask * np.uint8(255), **options)

    return save


def as_zarr(folder: Path, mask: NDArray[np.bool_]) -> None:
    """Leave what `infer` leaves; its own mask is another one, so that only the map gives the right count."""
    write_mask(folder / "a_mask.tif", np.zeros_like(mask), pixel_size_um=None, overwrite=False)
    random = np.random.default_rng(1).uniform(0, 0.49, mask.shape)
    maps = (random + 0.5 * mask).astype(np.float32)[None]
    write_maps(folder / "a_maps.zarr", maps, names=("foreground",), pixel_size_um=None, overwrite=False)
    entry = {"image": "a.png", "plane": "", "mask": "a_mask.tif", "maps": "a_maps.zarr", "status": "done"}
    record = {"schema": "cellmonai.run.infer/1", "ended": "now", "images": [entry]}
    (folder / "run.json").write_text(json.dumps(record))


FORMS: dict[str, Callable[[Path, NDArray[np.bool_]], object]] = {
    "tiles": as_tiff(tile=(64, 32), compression="zlib"),
    "strips": as_tiff(rowsperstrip=7, compression="lzw", predictor=True),
    "one strip": as_tiff(),
    "BigTIFF": as_tiff(bigtiff=True, tile=(16, 16)),
    "PNG": lambda folder, mask: Image.fromarray(mask * np.uint8(255)).save(folder / "a.png"),
    "bits": lambda folder, mask: Image.fromarray(mask).save(folder / "a.png"),
    "npy": lambda folder, mask: np.save(folder / "a.npy", mask),
    "Zarr": as_zarr,
}


def saved(folder: Path, form: str, mask: NDArray[np.bool_]) -> Path:
    folder.mkdir(parents=True)
    FORMS[form](folder, mask)
    return folder


def counted(masks: Path, output: Path, **options: Any) -> tuple[NDArray[Any], bytes, int]:  # noqa: ANN401
    """Count one mask, and give its labels, cells.csv and count."""
    more = {"threshold": 0.5} if (masks / "a_maps.zarr").exists() else {}
    kind = {"kind": "binary", "pixel_size_um": (0.5, 0.25), "min_area": "5px", "report": False}
    result = count([masks], settings=CountSettings(**({"output": output} | kind | more | options)))
    return *read(output), result.total


def read(output: Path) -> tuple[NDArray[Any], bytes]:
    return tifffile.imread(output / "a_labels.tif"), (output / "cells.csv").read_bytes()


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    np.testing.assert_array_equal(one[0], other[0])
    assert one[0].dtype == other[0].dtype
    assert one[1:] == other[1:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_is_counted_alike_however_it_is_stored_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, form: str
) -> None:
    np.save(tmp_path / "a.npy", painted(kind))
    expected = counted(tmp_path / "a.npy", tmp_path / "expected", threads=1)
    assert (expected[2] > 1) == (kind != "no cell")
    masks = saved(tmp_path / "masks", form, painted(kind))
    same(counted(masks, tmp_path / "plain", threads=1), expected)
    same(counted(masks, tmp_path / "threads", threads=2, memory=64 * 2**20), expected)
    monkeypatch.setattr(count_masks, "SMALL_BYTES", 100)  # read in rows, not whole
    monkeypatch.setattr(every_plane, "_LARGE_PX", 100)  # all threads on one plane
    for rows in (7, 64):
        for strips in (image_rows, basin_graph):
            for name, value in (("STRIP_PIXELS", 1), ("LEAST_STRIP_ROWS", rows)):
                old = getattr(strips, name)
                new: object = dict.fromkeys(old, value) if isinstance(old, dict) else value
                monkeypatch.setattr(strips, name, new)
        how = {"threads": 2, "memory": 2 * 2**20}
        same(counted(masks, tmp_path / f"rows{rows}", **how), expected)


@pytest.mark.parametrize("split", ["learned", "markers", "none"])
def test_every_way_of_splitting_is_alike_in_tiff_and_zarr(tmp_path: Path, split: str) -> None:
    mask = painted("touching cells")
    tiff = counted(saved(tmp_path / "tiff", "tiles", mask), tmp_path / "one", split=split)
    zarr = counted(saved(tmp_path / "zarr", "Zarr", mask), tmp_path / "two", split=split, threads=2)
    same(tiff, zarr)


def test_the_numpy_twins_give_the_same_bytes(tmp_path: Path) -> None:
    expected, words = {}, []
    for kind in KINDS:
        for form in ("tiles", "Zarr"):
            masks = saved(tmp_path / kind / form / "masks", form, painted(kind))
            expected[masks] = counted(masks, masks.parent / "here")
            words.append(str(masks))
    code = (
        "import sys; from pathlib import Path; "
        "from test_workflows_count_equal import counted; "
        "from cellmonai.kernels.library import kernel_name; assert kernel_name() == 'numpy'; "
        "print(*[counted(Path(word), Path(word).parent / 'twin')[2] for word in sys.argv[1:]])"
    )
    tests = Path(__file__).parent
    environment = {
        **os.environ,
        "CELLMONAI_KERNELS": "numpy",
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(result[2]) for result in expected.values()]
    for masks, result in expected.items():
        same((*read(masks.parent / "twin"), result[2]), result)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy"])
def test_label_images_are_kept_alike_however_they_are_stored(tmp_path: Path, name: str) -> None:
    labels = paint(scattered_discs(60, SHAPE, radius_px=(5, 12), cells_per_cluster=4, seed=3), SHAPE).astype(np.uint16)
    np.save(tmp_path / "a.npy", labels.astype(np.int64))
    expected = counted(tmp_path / "a.npy", tmp_path / "expected", kind="labels")
    path = tmp_path / "masks" / name
    path.parent.mkdir()
    if name.endswith(".tif"):
        tifffile.imwrite(path, labels, tile=(32, 64), compression="zlib")
    elif name.endswith(".png"):
        Image.fromarray(labels).save(path)
    else:
        np.save(path, labels.astype(np.float32))
    same(counted(path, tmp_path / "counts", kind="labels", threads=2), expected)
