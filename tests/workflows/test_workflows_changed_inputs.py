"""Commands whose input is written to while they run: refused, and nothing lies under a final name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from painting import Disc, paint
from random_networks import write_random_model

from cellmonai.core.errors import InputError
from cellmonai.data.load import SampleLoader
from cellmonai.images.layouts import Pair
from cellmonai.images.normalise import Normalisation
from cellmonai.images.tiff import TiffSource
from cellmonai.workflows.count import count
from cellmonai.workflows.counting import masks as count_masks
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring.settings import InferSettings

CELLS = [Disc(40, 40, radius_px=9), Disc(150, 90, radius_px=9), Disc(300, 200, radius_px=9)]


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    field = paint(CELLS, shape=(400, 320)).astype(np.uint8) * 200
    for name in ("bad", "good"):
        tifffile.imwrite(f"{name}.tif", field, tile=(64, 64))


def _rewrite(path: Path) -> None:
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def rewritten(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rewrite bad.tif after as many of its regions were read as the list says; counts down."""
    left = [10**9]
    read = TiffSource._read

    def reading(self: TiffSource, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        pixels = read(self, *args, **options)
        if self.path.name == "bad.tif":
            left[0] -= 1
            if left[0] == 0:
                _rewrite(self.path)
        return pixels

    monkeypatch.setattr(TiffSource, "_read", reading)
    return left


def _final(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).glob("*") if not path.name.startswith("."))


WAYS: dict[str, dict[str, Any]] = {
    "blocks": {"window": 160},
    "blended": {"window": 160, "stitch": "gaussian"},
    "pictures": {"pictures": ("attention",)},
    "overlay": {"window": 160, "pictures": ("overlay",)},
}


@pytest.mark.parametrize("after", [1, 2, 5])
@pytest.mark.parametrize("way", WAYS)
def test_a_slide_that_changes_while_a_network_reads_it_is_refused(
    model: Path, way: str, after: int, rewritten: list[int]
) -> None:
    rewritten[0] = after if way != "pictures" else 1  # read whole, at once
    settings = InferSettings(model=model, output=Path("masks"), memory=300 << 20, engine="torch", **WAYS[way])
    with pytest.raises(InputError, match=r"bad\.tif: it was changed while it was read"):
        infer([Path("bad.tif")], settings=settings)
    assert not _final("masks")


@pytest.mark.parametrize("method", ["otsu", "watershed", "kmeans"])
def test_an_image_that_changes_is_listed_beside_those_that_are_done(method: str, rewritten: list[int]) -> None:
    rewritten[0] = 1
    done = infer([Path("bad.tif"), Path("good.tif")], settings=InferSettings(method=method, output=Path("masks")))
    assert [image.job.path.name for image in done.images] == ["good.tif"]
    assert "it was changed while it was read" in done.failures["bad.tif"]
    assert _final("masks") == ["good_mask.tif", "run.json"]


@pytest.mark.parametrize("is_large", [False, True], ids=["in memory", "in strips"])
@pytest.mark.parametrize("after", [1, 2])
def test_a_mask_that_changes_while_it_is_counted_is_refused(
    after: int, rewritten: list[int], monkeypatch: pytest.MonkeyPatch, *, is_large: bool
) -> None:
    if is_large:
        monkeypatch.setattr(count_masks, "SMALL_BYTES", 0)
    elif after > 1:
        pytest.skip("a small mask is read once")
    rewritten[0] = after
    with pytest.raises(InputError, match="it was changed while it was read"):
        count([Path("bad.tif")], settings=CountSettings(output=Path("counts")))
    found = count([Path("good.tif")], settings=CountSettings(output=Path("counts")))
    assert [image.count for image in found.images] == [3]
    assert not list(Path("counts").glob("bad*"))


def test_a_mask_replaced_between_the_first_look_and_the_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_masks, "SMALL_BYTES", 0)
    reader = count_masks.MaskReader()
    with reader.open(Path("bad.tif")) as mask:
        mask.rows[0].rows(0, 400)
    tifffile.imwrite("bad.tif", np.zeros((400, 320), np.uint8))
    with pytest.raises(InputError, match="it was changed while it was read"), reader.open(Path("bad.tif")):
        pass


def test_an_image_that_changes_while_it_is_counted_is_refused(rewritten: list[int]) -> None:
    Path("masks").mkdir()
    Path("good.tif").rename("masks/bad.tif")
    rewritten[0] = 2  # the mask of the same name is read first
    with pytest.raises(InputError, match=r"bad\.tif: it was changed while it was read"):
        count([Path("masks/bad.tif")], settings=CountSettings(images=Path(), output=Path("counts")))
    assert not list(Path("counts").glob("*.csv"))


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_training_image_that_changes_while_it_is_read_is_refused(which: str, rewritten: list[int]) -> None:
    rewritten[0] = 1
    files = (Path("bad.tif"), Path("good.tif")) if which == "image" else (Path("good.tif"), Path("bad.tif"))
    with pytest.raises(InputError, match=r"bad\.tif: it was changed while it was read"):
        SampleLoader(Normalisation()).read(Pair("a", files[0], (files[1],)))
