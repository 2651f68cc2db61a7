"""Which files are counted, what they are called, and what `infer` left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.progress import Silent
from cellmonai.images.open import open_image
from cellmonai.images.write import write_labels, write_maps, write_mask, write_png
from cellmonai.instances.components import label_components
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.inferring.record import read_infer_record
from cellmonai.workflows.output_names import distinct_names


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def squares(count: int, *, side: int = 6, shape: tuple[int, int] = (40, 200)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for i in range(count):
        mask[4 : 4 + side, 4 + 10 * i : 4 + 10 * i + side] = True
    return mask


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array.astype(np.uint8))
    return path


def inferred(folder: Path, names: dict[str, int], **record: Any) -> Path:  # noqa: ANN401
    """Leave what `infer` leaves: a mask, maps, an overlay and a heat map per image, and the record."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, cells in names.items():
        mask = squares(cells)
        write_mask(folder / f"{name}_mask.tif", mask, pixel_size_um=None, overwrite=False)
        maps = np.where(mask, 0.9, 0.1).astype(np.float32)
        maps[30:36, 100:106] = 0.4  # a faint cell, below the threshold of the model
        write_maps(folder / f"{name}_maps.zarr", maps[None], names=("foreground",), pixel_size_um=None, overwrite=False)
        for picture in ("overlay", "heatmap"):
            write_png(folder / f"{name}_{picture}.png", np.zeros((40, 200, 3), np.uint8), overwrite=False)
        image = str(folder.parent / "images" / f"{name}.tif")
        entries.append(
            {"image": image, "plane": "", "mask": f"{name}_mask.tif", "maps": f"{name}_maps.zarr", "status": "done"}
            | {"pixel_size_um": None}
        )
    document = {
        "schema": "cellmonai.run.infer/1",
        "operating_point": {"threshold": 0.5, "min_area_px": 10},
        "images": entries,
    }
    (folder / "run.json").write_text(json.dumps(document | record))
    return folder


def run(folder: Path, *inputs: Path, reporter: Silent | None = None, **options: object) -> CountResult:
    settings = CountSettings(output=folder / "counts", **options)  # type: ignore[arg-type]
    return count(inputs or [folder / "masks"], settings=settings, reporter=reporter)


def counted(result: CountResult) -> dict[str, int]:
    return {image.image: image.count for image in result.images}


def test_only_the_masks_of_infer_are_counted_under_the_names_of_the_images(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", {"a": 3, "b": 5})
    result = run(tmp_path)
    assert counted(result) == {"a": 3, "b": 5}
    assert (tmp_path / "counts" / "a_labels.tif").is_file()


def test_a_single_mask_of_infer_brings_its_operating_point(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", {"a": 3}, operating_point={"min_area_px": 37})
    assert counted(run(tmp_path, tmp_path / "masks" / "a_mask.tif")) == {"a": 0}


def test_a_shells_star_over_the_folder_of_infer_counts_its_masks_only(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", {"a": 3})
    assert counted(run(tmp_path, *sorted(folder.iterdir()))) == {"a": 3}


def test_the_operating_point_is_the_default_and_options_win(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", {"a": 3}, operating_point={"min_area_px": 37, "border": "exclude"})
    result = run(tmp_path)
    assert (result.total, result.parameters["min_area_px"], result.parameters["border"]) == (0, 37, "exclude")
    result = run(tmp_path, min_area="36px", overwrite=True)
    assert (result.total, result.parameters["min_area_px"], result.parameters["border"]) == (3, 36, "exclude")


def test_a_step_of_the_operating_point_can_be_switched_off(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", {"a": 1}, operating_point={"fill_holes": True})
    ring = squares(1, side=9)
    ring[7:9, 7:9] = False
    write_mask(folder / "a_mask.tif", ring, pixel_size_um=None, overwrite=True)
    assert run(tmp_path).images[0].area_mean_px == 81
    assert run(tmp_path, fill_holes="none", overwrite=True).images[0].area_mean_px == 77


def test_a_threshold_cuts_the_maps_again(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", {"a": 3})
    assert counted(run(tmp_path, threshold=0.3)) == {"a": 4}
    assert counted(run(tmp_path, threshold=0.95, overwrite=True)) == {"a": 0}


def test_a_threshold_without_maps_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(3))
    with pytest.raises(InputError, match="no probability maps"):
        run(tmp_path, threshold=0.3)


def test_masks_of_two_operating_points_are_not_mixed(tmp_path: Path) -> None:
    one = inferred(tmp_path / "one", {"a": 3}, operating_point={"min_area_px": 10})
    other = inferred(tmp_path / "other", {"b": 3}, operating_point={"min_area_px": 20})
    with pytest.raises(InputError, match="another operating point"):
        run(tmp_path, one, other)


def test_an_image_that_infer_could_not_do_is_listed_as_failed(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", {"a": 3})
    document = json.loads((folder / "run.json").read_text())
    document["images"].append({"image": "bad.tif", "plane": "", "status": "failed"})
    (folder / "run.json").write_text(json.dumps(document))
    result = run(tmp_path)
    assert (counted(result), list(result.failures)) == ({"a": 3}, ["bad.tif"])


def test_a_mask_that_the_record_names_and_is_gone_is_a_failure(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", {"a": 3, "b": 2})
    (folder / "b_mask.tif").unlink()
    result = run(tmp_path)
    assert (counted(result), list(result.failures)) == ({"a": 3}, ["b"])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        pytest.param({"schema": "cellmonai.run.infer/2"}, "format", id="a later format"),
        pytest.param({"images": [{"status": "done"}]}, "damaged", id="without names"),
        pytest.param({"images": 3}, "damaged", id="no list"),
        pytest.param({"operating_point": {"treshold": 1}}, "damaged", id="an unknown setting"),
        pytest.param({"operating_point": {"threshold": "high"}}, "damaged", id="a word for a number"),
        pytest.param(
            {"images": [{"image": "a", "mask": "../secret.tif", "status": "done"}]}, "damaged", id="a file elsewhere"
        ),
        pytest.param(
            {"images": [{"image": "a", "mask": "a_mask.tif", "status": "done", "pixel_size_um": [0, 1]}]},
            "damaged",
            id="an impossible pixel size",
        ),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, record: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(tmp_path, inferred(tmp_path / "masks", {"a": 3}, **record))


@pytest.mark.parametrize("content", ["no json", "[]", '{"schema": "cellmonai.run.fit/1"}', "[" * 100_000])
def test_a_record_of_something_else_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert read_infer_record(tmp_path) is None


def test_images_beside_masks_are_not_counted_and_that_is_said(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", np.arange(40 * 200).reshape(40, 200) % 251)
    save(tmp_path / "masks" / "a_mask.tif", squares(4))
    reporter = Listening()
    assert counted(run(tmp_path, reporter=reporter)) == {"a": 4}
    assert any("1 mask called *_mask" in note for note in reporter.notes)
    assert any("binary masks" in note for note in reporter.notes)
    assert (tmp_path / "counts" / "a_overlay.png").is_file()  # the image beside is known


def test_what_count_left_can_be_counted_again(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name, cells in (("a", 2), ("b", 1)):
        labels = label_components(squares(cells))
        write_labels(tmp_path / "masks" / f"{name}_labels.tif", labels, pixel_size_um=None, overwrite=False)
    first = run(tmp_path)
    assert counted(first) == {"a": 2, "b": 1}
    again = count([tmp_path / "counts"], settings=CountSettings(output=tmp_path / "again"))
    assert counted(again) == {"a": 2, "b": 1}


def test_the_same_file_named_twice_is_counted_once(tmp_path: Path) -> None:
    path = save(tmp_path / "masks" / "a.tif", squares(4))
    assert counted(run(tmp_path, path, tmp_path / "masks", path)) == {"a": 4}


def test_equal_names_in_two_folders_get_the_folder_in_front(tmp_path: Path) -> None:
    one, two = save(tmp_path / "p1" / "a.tif", squares(1)), save(tmp_path / "p2" / "a.tif", squares(2))
    assert counted(run(tmp_path, one, two)) == {"p1_a": 1, "p2_a": 2}
    assert (tmp_path / "counts" / "p2_a_labels.tif").is_file()


@pytest.mark.parametrize(
    ("paths", "stems", "names"),
    [
        pytest.param(["x/a.tif", "x/b.tif"], ["a", "b"], ["a", "b"], id="distinct"),
        pytest.param(["p/x/a.tif", "q/x/a.tif"], ["a", "a"], ["p_x_a", "q_x_a"], id="equal parents"),
        pytest.param(["x/a.tif", "x/a.png"], ["a", "a"], ["a_tif", "a_png"], id="other suffix"),
        pytest.param(["x/a.tif", "y/A.tif"], ["a", "A"], ["x_a", "y_A"], id="equal but for case"),
        pytest.param(["p/a.tif", "q/a.tif", "q/p_a.tif"], ["a", "a", "p_a"], None, id="a name that looks made"),
    ],
)
def test_names_of_outputs_are_distinct_whatever_the_order(
    paths: list[str], stems: list[str], names: list[str] | None
) -> None:
    found = distinct_names([Path(path) for path in paths], stems)
    assert len({name.casefold() for name in found}) == len(paths)
    assert names is None or found == names
    backwards = distinct_names([Path(path) for path in reversed(paths)], stems[::-1])
    assert backwards == found[::-1]


def test_named_images_give_overlays_and_intensities(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(2))
    save(tmp_path / "images" / "a.tif", squares(2) * 100 + 7)
    run(tmp_path, images=tmp_path / "images")
    assert (tmp_path / "counts" / "a_overlay.png").is_file()
    head, first = (tmp_path / "counts" / "cells.csv").read_text().splitlines()[:2]
    means = [float(v) for n, v in zip(head.split(","), first.split(","), strict=True) if n.startswith("intensity_mean")]
    assert means == [107.0]


def test_pictures_can_be_left_out(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(2))
    save(tmp_path / "images" / "a.tif", squares(2))
    run(tmp_path, images=tmp_path / "images", pictures="none")
    assert not (tmp_path / "counts" / "a_overlay.png").exists()


def test_pictures_without_an_image_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(2))
    with pytest.raises(InputError, match="--images"):
        run(tmp_path, pictures="overlay")


def test_the_image_of_the_record_is_drawn_on_when_it_is_still_there(tmp_path: Path) -> None:
    inferred(tmp_path / "masks", {"a": 3, "b": 1})
    save(tmp_path / "images" / "a.tif", squares(3) * 100)
    run(tmp_path)
    assert (tmp_path / "counts" / "a_overlay.png").is_file()
    assert not (tmp_path / "counts" / "b_overlay.png").exists()


def test_a_mask_of_one_plane_keeps_the_name_of_its_plane_and_is_drawn_on_it(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", {"a": 3})
    (tmp_path / "images").mkdir()
    stack = np.stack([squares(1), squares(3)]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "images" / "a.ome.tif", stack, metadata={"axes": "TYX"})
    document = json.loads((folder / "run.json").read_text())
    with open_image(tmp_path / "images" / "a.ome.tif") as image:
        document["images"][0] |= {"image": str(tmp_path / "images" / "a.ome.tif"), "plane": image.planes[1]}
    (folder / "run.json").write_text(json.dumps(document))
    (row,) = run(tmp_path).images
    assert (row.image, row.plane) == ("a", document["images"][0]["plane"])
    assert "intensity_mean" in (tmp_path / "counts" / "cells.csv").read_text()
    means = [line.split(",") for line in (tmp_path / "counts" / "cells.csv").read_text().splitlines()]
    column = next(i for i, name in enumerate(means[0]) if name.startswith("intensity_mean"))
    assert [float(line[column]) for line in means[1:]] == [1.0, 1.0, 1.0]  # of the second plane


def test_a_named_image_of_another_size_is_a_failure(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "masks" / f"{name}.tif", squares(2))
        save(tmp_path / "images" / f"{name}.tif", squares(2)[:, : 200 if name == "a" else 100])
    result = run(tmp_path, images=tmp_path / "images")
    assert (counted(result), list(result.failures)) == ({"a": 2}, ["b"])


def test_an_image_beside_that_does_not_fit_is_left_out_with_a_warning(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", np.zeros((7, 7)))
    save(tmp_path / "masks" / "a_mask.tif", squares(4))
    reporter = Listening()
    assert counted(run(tmp_path, reporter=reporter)) == {"a": 4}
    assert [warning.code for warning in reporter.warnings] == ["image_unused"]


def test_a_folder_of_images_without_any_of_the_names_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(2))
    save(tmp_path / "images" / "z.tif", squares(2))
    with pytest.raises(InputError, match="name images as the masks"):
        run(tmp_path, images=tmp_path / "images")


def test_two_images_of_one_name_are_not_guessed(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(2))
    save(tmp_path / "images" / "a.tif", squares(2))
    write_png(tmp_path / "images" / "a.png", np.zeros((40, 200, 3), np.uint8), overwrite=False)
    with pytest.raises(UsageError, match="could both be the image"):
        run(tmp_path, images=tmp_path / "images")


def test_a_mask_without_its_image_is_counted_with_a_warning(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "masks" / f"{name}.tif", squares(2))
    save(tmp_path / "images" / "a.tif", squares(2))
    reporter = Listening()
    assert run(tmp_path, images=tmp_path / "images", reporter=reporter).total == 4
    assert [(warning.code, warning.image) for warning in reporter.warnings] == [("image_missing", "b")]


def test_label_images_among_the_masks_of_infer_are_refused(tmp_path: Path) -> None:
    folder = inferred(tmp_path / "masks", {"a": 3})
    labels = save(tmp_path / "labels" / "z.tif", squares(2) + 2 * np.roll(squares(1), 20, axis=0))
    with pytest.raises(InputError, match="by themselves"):
        run(tmp_path, folder, labels)


@pytest.mark.parametrize("given", ["nothing", "masks/*.png", "empty"])
def test_nothing_to_count_is_said(tmp_path: Path, given: str) -> None:
    save(tmp_path / "masks" / "a.tif", squares(2))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        run(tmp_path, tmp_path / given)


def test_a_pattern_is_expanded(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1"):
        save(tmp_path / "masks" / f"{name}.tif", squares(2))
    assert counted(run(tmp_path, tmp_path / "masks" / "a*.tif")) == {"a1": 2, "a2": 2}
