"""Folders as inputs: what is left out is said, folders inside are taken where asked for, one odd file fails alone."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from painting import Disc, paint
from random_networks import write_random_model

from cellmonai.core.errors import InputError
from cellmonai.core.progress import Silent
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.evaluate import evaluate
from cellmonai.workflows.evaluating.result import EvaluateSettings
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring.repeat import repeated_run
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

DISCS = [Disc(14, 14, 6), Disc(14, 44, 7), Disc(42, 30, 8)]
"""Three cells far apart."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "model.safetensors")


def mask(cells: int = 3) -> NDArray[np.uint8]:
    return np.where(paint(DISCS[:cells], (60, 64)) > 0, 255, 0).astype(np.uint8)


def save(name: str, pixels: NDArray[np.uint8] | None = None) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:  # tifffile takes some names for something else
        tifffile.imwrite(stream, mask() if pixels is None else pixels, photometric="minisblack")
    return path


def otsu(*inputs: str, **settings: object) -> dict[str, object]:
    done = infer([Path(name) for name in inputs], settings=InferSettings(method="otsu", **settings))  # type: ignore[arg-type]
    return done.as_json()


def counted(*inputs: str, **settings: object) -> dict[str, int]:
    settings = {"report": False, **settings}
    result = count([Path(name) for name in inputs], settings=CountSettings(**settings))  # type: ignore[arg-type]
    return {row.image: row.count for row in result.images}


def codes(warnings: object) -> list[str]:
    assert isinstance(warnings, list)
    return [warning["code"] for warning in warnings]


def test_programs_see_what_was_left_out_of_a_folder() -> None:
    for name in ("in/b.czi", "in/c.lif", "in/inner/d.tif"):
        save(name)
    save("in/a.tif")
    document = otsu("in")
    assert codes(document["warnings"]) == ["left_out", "left_out"]
    assert codes(json.loads(Path("masks/run.json").read_bytes())["warnings"]) == ["left_out", "left_out"]
    result = count([Path("in")], settings=CountSettings(report=False))
    assert [warning.code for warning in result.warnings] == ["left_out", "left_out"]
    reporter = Silent()
    evaluate(Path("in"), Path("in"), reporter=reporter)
    assert "left_out" in {warning.code for warning in reporter.warnings}


def test_infer_takes_folders_inside_under_distinct_names_and_never_its_own_results() -> None:
    for name in ("in/a.tif", "in/p1/a.tif", "in/p2/a.tif", "in/p2/deep/b.tif"):
        save(name)
    settings = {"recursive": True, "output": Path("in/results")}
    first = otsu("in", **settings)
    names = sorted(path.name for path in Path("in/results").glob("*_mask.tif"))
    assert names == ["b_mask.tif", "in_a_mask.tif", "p1_a_mask.tif", "p2_a_mask.tif"]
    again = otsu("in", recursive=True, output=Path("elsewhere"))
    assert [row["image"] for row in again["images"]] == [row["image"] for row in first["images"]]  # type: ignore[index, attr-defined]
    inputs, repeated = repeated_run(Path("elsewhere/run.json"), [], InferSettings(output=Path("third")))
    assert (inputs, repeated.recursive) == ([Path("in")], True)


def test_count_takes_folders_inside_with_what_infer_left_in_them() -> None:
    save("in/a.tif", mask(3))
    save("in/p1/a.tif", mask(1))
    save("in/p2/x_mask.tif", mask(2))
    save("in/p2/x.tif", mask(3))
    save("pictures/q.tif")
    otsu("pictures", output=Path("in/p3"))
    assert counted("in/a.tif", "in/p2") == {"a": 3, "x": 2}
    cells = {"in_a": 3, "p1_a": 1, "x": 2, "q": 3}
    assert counted("in", recursive=True, output=Path("in/counts")) == cells
    assert counted("in", recursive=True, output=Path("all")) == cells  # without the label images of the other count


def test_evaluate_pairs_files_of_folders_inside_by_folder_and_name() -> None:
    for side, cells in (("found", 2), ("true", 3)):
        save(f"{side}/p1/a.tif", mask(3))
        save(f"{side}/p2/a.tif", mask(cells))
    settings = EvaluateSettings(recursive=True)
    result = evaluate(Path("found"), Path("true"), settings=settings)
    assert [(row.image, row.scores.true_count, row.scores.predicted_count) for row in result.images] == [
        ("p1/a", 3, 3),
        ("p2/a", 3, 2),
    ]
    Path("true.csv").write_text("image,count\np1/a.tif,3\np2/a.tif,3\n")
    result = evaluate(Path("found"), Path("true.csv"), settings=settings)
    assert result.totals["predicted_count"] == 5
    save("true/p3/a.tif")
    with pytest.raises(InputError, match="no prediction for 'p3/a'"):
        evaluate(Path("found"), Path("true"), settings=settings)


def test_names_that_differ_in_capitals_or_accents_alone_belong_together() -> None:
    for found, true in (("F01.tif", "f01.TIF"), ("e\u0301.tif", "\u00e9.tif"), ("a.tif", "a.tif")):
        save(f"found/{found}", mask(2))
        save(f"true/{true}", mask(3))
    assert evaluate(Path("found"), Path("true")).totals["images"] == 3
    count([Path("found")], settings=CountSettings(images=Path("true"), pictures="overlay"))
    assert len(list(Path("counts").glob("*_overlay.png"))) == 3


def test_images_of_masks_in_several_folders_are_told_apart_by_folder() -> None:
    for plate in ("p1", "p2"):
        save(f"masks/{plate}/a.tif")
        save(f"images/{plate}/a.tif")
    settings = CountSettings(images=Path("images"), recursive=True, pictures="overlay")
    count([Path("masks")], settings=settings)
    assert sorted(path.name for path in Path("counts").glob("*_overlay.png")) == [
        "p1_a_overlay.png",
        "p2_a_overlay.png",
    ]


def test_a_link_to_a_mask_is_counted_and_two_names_of_one_mask_are_counted_once() -> None:
    save("data/a.tif", mask(3))
    save("in/b.tif", mask(1))
    Path("in/linked.tif").symlink_to(Path("../data/a.tif"))
    assert counted("in") == {"b": 1, "linked": 3}
    assert counted("in/linked.tif", output=Path("alone")) == {"linked": 3}
    Path("in/twin.tif").symlink_to("b.tif")
    result = count([Path("in")], settings=CountSettings(report=False, output=Path("twice")))
    assert (result.total, [warning.code for warning in result.warnings]) == (4, ["same_file"])
    assert Path("data/a.tif").read_bytes() == save("data/b.tif", mask(3)).read_bytes()


def test_links_that_cannot_be_followed_fail_beside_good_files() -> None:
    save("in/a.tif")
    Path("in/broken.tif").symlink_to("gone.tif")
    Path("in/loop.tif").symlink_to("loop.tif")
    os.mkfifo("pipe")
    Path("in/pipe.tif").symlink_to("../pipe")
    document = otsu("in")
    assert {Path(failure["image"]).name for failure in document["failures"]} == {  # type: ignore[attr-defined]
        "broken.tif",
        "loop.tif",
        "pipe.tif",
    }
    assert counted("in") == {"a": 3}


def test_results_do_not_fall_among_images_or_among_what_links_point_to() -> None:
    save("data/a.tif")
    Path("in").mkdir()
    Path("in/a.tif").symlink_to("../data/a.tif")
    for output in ("in", "data"):
        with pytest.raises(InputError, match="the output folder holds the images"):
            otsu("in", output=Path(output))


NAMES = [
    pytest.param("L" * 246, id="246 letters"),
    pytest.param("L" * 251, id="251 letters"),
    pytest.param("é" * 123, id="246 bytes in 123 letters"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_too_long_for_its_results_fails_alone_in_infer(name: str, model: Path) -> None:
    save(f"in/{name}.tif")
    save("in/good.tif")
    for settings in (
        InferSettings(method="otsu"),
        InferSettings(model, Path("with_model"), engine="torch", window=128),
    ):
        document = infer([Path("in")], settings=settings).as_json()
        assert [Path(row["image"]).name for row in document["images"]] == ["good.tif"]
        (failure,) = document["failures"]
        assert "its name is too long" in failure["reason"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_too_long_for_its_results_fails_alone_in_count(name: str) -> None:
    save(f"in/{name}.tif")
    save("in/good.tif")
    assert counted("in") == {"good": 3}
    (failure,) = json.loads(Path("counts/counts.json").read_bytes())["failures"]
    assert "its name is too long" in failure["reason"]


@pytest.mark.parametrize(
    "name",
    [
        *("a b", "new\nline", "-dash", "dot.", "😀", "👩‍🔬", "[red]", "=cmd", "tab\tb", " "),
        pytest.param(b"bad\xff".decode("utf-8", "surrogateescape"), id="no UTF-8"),
    ],
)
def test_names_may_hold_anything(name: str) -> None:
    save(f"in/{name}.tif")
    assert not otsu("in")["failures"]
    assert list(counted("masks").values()) == [3]


def test_names_that_differ_in_case_or_form_alone_stay_apart() -> None:
    names = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")] + ["a", "A"]
    for name in names:
        save(f"in/{name}.tif")
    if len(list(Path("in").iterdir())) < len(names):
        pytest.skip("this file system takes these names for one")
    otsu("in")
    written = [path.name for path in Path("masks").glob("*_mask.tif")]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in written}) == len(names)


@pytest.mark.parametrize("shape", [(1, 256), (256, 1), (1, 1), (2, 300)])
def test_images_a_pixel_wide_are_done_or_fail_alone(shape: tuple[int, int], model: Path) -> None:
    save("in/thin.tif", np.full(shape, 9, np.uint8))
    save("in/good.tif")
    for settings in (
        InferSettings(method="otsu"),
        InferSettings(model, Path("with_model"), engine="torch", window=128),
    ):
        done = infer([Path("in")], settings=settings)
        assert "in/good.tif" in {str(image.job.path) for image in done.images}
    assert counted("in")["good"] == 3
