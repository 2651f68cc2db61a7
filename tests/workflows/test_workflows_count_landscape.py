"""Splitting along the maps that a model predicted for that, from the folder that `infer` left to every output."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from painting import Disc, paint

from cellmonai.core.errors import InputError
from cellmonai.core.progress import Silent
from cellmonai.images.write import write_maps, write_mask
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting import every_plane
from cellmonai.workflows.counting import masks as count_masks
from cellmonai.workflows.counting.settings import CountSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (120, 140)
NECKLESS = [Disc(60, 50, 20), Disc(60, 66, 20), Disc(20, 110, 12)]  # the first two overlap so far that no neck is left
MASK = paint(NECKLESS, SHAPE) > 0


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def distances() -> NDArray[np.float64]:
    """From every pixel to every centre."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.stack([np.hypot(rows - disc.row, columns - disc.col) for disc in NECKLESS])


def centre_map() -> NDArray[np.float64]:
    """A bump on every centre."""
    return np.exp(-((distances() / 4) ** 2) / 2).max(0)


def distance_map() -> NDArray[np.float64]:
    """A cone on every cell."""
    radii = np.array([disc.radius_px for disc in NECKLESS])[:, None, None]
    return (1 - distances() / radii).clip(0).max(0)


def border_map() -> NDArray[np.float64]:
    """A ridge where two cells are equally far."""
    nearest = np.sort(distances(), axis=0)
    return np.exp(-(((nearest[1] - nearest[0]) / 2) ** 2))


MAPS = {
    "centre": (centre_map, "centre map"),
    "Cell Center": (centre_map, "Cell Center map"),
    "distance": (distance_map, "distance map"),
    "cell border": (border_map, "1 - cell border map"),
}


def inferred(folder: Path, names: Sequence[str], *, image: str = "a", dtype: Any = "float16") -> Path:  # noqa: ANN401
    """Leave what `infer` leaves of a model with these outputs beside the foreground."""
    folder.mkdir(exist_ok=True)
    write_mask(folder / f"{image}_mask.tif", MASK, pixel_size_um=None, overwrite=True)
    maps = [np.where(MASK, 0.9, 0.1), *(MAPS[name][0]() for name in names)]
    write_maps(
        folder / f"{image}_maps.zarr",
        np.stack(maps).astype(np.float32),
        names=("foreground", *names),
        pixel_size_um=None,
        dtype=dtype,
        overwrite=True,
    )
    masks = sorted(path.name for path in folder.glob("*_mask.tif"))
    entries = [
        {"image": f"{m}.png", "plane": "", "mask": m, "maps": m.replace("_mask.tif", "_maps.zarr"), "status": "done"}
        for m in masks
    ]
    point = {"min_area_px": 5}
    record = {"schema": "cellmonai.run.infer/1", "ended": "now", "operating_point": point, "images": entries}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def run(folder: Path, *, reporter: Silent | None = None, **options: Any) -> CountResult:  # noqa: ANN401
    settings = CountSettings(**({"output": folder / "counts", "report": False} | options))
    return count([folder / "masks"], settings=settings, reporter=reporter)


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("split", ["auto", "markers"])
@pytest.mark.parametrize("name", MAPS)
def test_cells_that_the_distance_cannot_split_are_split_along_a_map(
    tmp_path: Path, name: str, split: str, dtype: str
) -> None:
    inferred(tmp_path / "masks", [name], dtype=dtype)
    reporter = Listening()
    result = run(tmp_path, split=split, min_distance="9px" if split == "markers" else None, reporter=reporter)
    words = MAPS[name][1]
    assert result.total == 3
    assert result.parameters["landscape"] == words
    assert any(f"along the {words}" in note for note in reporter.notes)
    assert json.loads((tmp_path / "counts" / "run.json").read_bytes())["parameters"]["landscape"] == words
    labels = tifffile.imread(tmp_path / "counts" / "a_labels.tif")
    np.testing.assert_array_equal(labels > 0, MASK)
    assert len({labels[60, 40], labels[60, 76], labels[20, 110]}) == 3


def test_without_such_a_map_the_distance_transform_is_used(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", [])
    reporter = Listening()
    result = run(tmp_path, reporter=reporter)
    assert (result.total, result.parameters["landscape"]) == (2, "distance transform")
    assert not any("along" in note for note in reporter.notes)


def test_the_centres_come_before_the_distance_and_that_before_the_border(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", ["cell border", "distance", "centre"])
    assert run(tmp_path).parameters["landscape"] == "centre map"
    inferred(tmp_path / "masks", ["cell border", "distance"])
    assert run(tmp_path, overwrite=True).parameters["landscape"] == "distance map"


@pytest.mark.parametrize(
    ("options", "total"),
    [({"split": "none"}, 2), ({"kind": "labels"}, 1), ({"preset": "tashfeen"}, 2)],  # as labels, one value is one cell
    ids=["none", "labels", "preset"],
)
def test_what_count_does_not_split_uses_no_map(tmp_path: Path, options: dict[str, Any], total: int) -> None:
    inferred(tmp_path / "masks", ["centre"])
    with_map = run(tmp_path, **options)
    inferred(tmp_path / "masks", [])
    assert with_map.total == run(tmp_path, overwrite=True, **options).total == total
    assert "landscape" not in with_map.parameters


def test_the_learned_score_stays_with_what_it_was_fitted_on_and_says_so(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", ["centre"])
    reporter = Listening()
    result = run(tmp_path, split="learned", reporter=reporter)
    assert (result.total, result.parameters["landscape"]) == (2, "distance transform")
    assert any("centre map is not used" in note for note in reporter.notes)


def test_a_new_threshold_is_split_along_the_map_too(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", ["centre"])
    assert run(tmp_path, threshold=0.5).total == 3


def test_strips_and_threads_change_nothing_along_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inferred(tmp_path / "masks", ["centre"])
    run(tmp_path, output=tmp_path / "whole")
    monkeypatch.setattr(count_masks, "SMALL_BYTES", 1000)
    monkeypatch.setattr(every_plane, "_LARGE_PX", 1000)
    run(tmp_path, output=tmp_path / "rows", threads=2, memory=2**20)
    for name in ("a_labels.tif", "cells.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "rows" / name).read_bytes()


def test_masks_with_different_maps_are_not_counted_into_one_table(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", ["centre"])
    inferred(tmp_path / "masks", ["distance"], image="b")
    with pytest.raises(InputError, match=r"b_mask.*distance map.*centre map.*--split none"):
        run(tmp_path)
    inferred(tmp_path / "masks", [], image="b")
    with pytest.raises(InputError, match=r"b_mask.*has no map.*centre map"):
        run(tmp_path)
    assert not (tmp_path / "counts").exists()
    assert run(tmp_path, split="none").total == 4


def test_maps_of_another_size_are_refused(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", ["centre"])
    maps = np.zeros((2, 30, 30), np.float32)
    where = folder / "a_maps.zarr"
    write_maps(where, maps, names=("foreground", "centre"), pixel_size_um=None, overwrite=True)
    with pytest.raises(InputError, match=r"\(30, 30\) px"):
        run(tmp_path)


def test_a_lost_part_of_the_map_is_refused(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", ["centre"])
    shutil.rmtree(folder / "a_maps.zarr" / "0" / "c" / "1")
    with pytest.raises(InputError, match="lost"):
        run(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"attributes": {}}', "[" * 100_000])
def test_maps_that_cannot_be_read_are_told_and_not_used(tmp_path: Path, text: str) -> None:
    folder = inferred(tmp_path / "masks", ["centre"])
    (folder / "a_maps.zarr" / "zarr.json").write_text(text)
    result = run(tmp_path)
    assert (result.total, result.parameters["landscape"]) == (2, "distance transform")
    assert [warning.code for warning in result.warnings] == ["maps_unused"]


def test_a_link_to_other_maps_is_not_followed(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", ["centre"])
    metadata = folder / "a_maps.zarr" / "zarr.json"
    metadata.rename(tmp_path / "elsewhere.json")
    try:
        metadata.symlink_to(tmp_path / "elsewhere.json")
    except OSError:
        pytest.skip("links are not allowed here")
    assert [warning.code for warning in run(tmp_path).warnings] == ["maps_unused"]


def test_the_methods_text_names_the_map(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", ["cell border"])
    run(tmp_path, report=True)
    page = (tmp_path / "counts" / "report.html").read_text(encoding="utf-8")
    assert "split along the 1 - cell border map predicted by the network" in page
    assert "Euclidean distance to the background" not in page
