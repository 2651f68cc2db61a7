from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from painting import Disc, paint

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (48, 64)
THREE = paint([Disc(10, 10, 6), Disc(10, 30, 6), Disc(32, 40, 9)], SHAPE)
TWO = np.where(THREE == 2, 0, THREE)
TOUCHING = paint([Disc(24, 18, 9), Disc(24, 34, 9)], SHAPE)
FOUND_OFF, TRUE_OFF = (paint([Disc(24, x, 3) for x in places], SHAPE) for places in ((22, 40), (12, 30)))


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the command in `folder` as a user would who has it on the path."""
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", "")))  # noqa: PTH120
    return subprocess.run(
        [shutil.which("cellmonai", path=path) or "cellmonai", "evaluate", *words],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def document(folder: Path, *words: str) -> dict[str, Any]:
    done = run(folder, *words, "--json")
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One sentence on stderr that says `words`, nothing on stdout, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.rstrip("\n").splitlines()[-1]
    assert all(word in last for word in words), last


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working folder: predictions `p` (one cell missed), the truth `t`, and the truth as a table."""
    for folder, image in (("p", TWO), ("t", THREE)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", image.astype(np.uint16))
        tifffile.imwrite(tmp_path / folder / "b.tif", THREE.astype(np.uint16))
    (tmp_path / "counts.csv").write_text("image,count\na,3\nb,3\n")
    return tmp_path


def test_a_person_sees_the_images_worst_first_and_every_formula(work: Path) -> None:
    done = run(work, "p", "t")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rows = [line.split() for line in lines]
    assert ["a", "3", "2", "-1", "2", "0", "1", "0.800"] in [row[:8] for row in rows]
    assert rows.index(next(r for r in rows if r[:1] == ["a"])) < rows.index(next(r for r in rows if r[:1] == ["b"]))
    assert ["all", "6", "5", "-1", "5", "0", "1", "0.909"] in [row[:8] for row in rows]
    assert "2 TP / (2 TP + FP + FN), matched one to one at IoU >= 0.5" in done.stdout
    accuracy = next(i for i, line in enumerate(lines) if " accuracy  " in line)
    assert "accuracy floor" in lines[accuracy + 1]
    assert "what calling every pixel background would get" in lines[accuracy + 1]
    assert "predictions: label images" in done.stderr
    assert "next:\n  cellmonai evaluate p t --bootstrap 1000" in done.stderr


def test_a_program_reads_one_document(work: Path) -> None:
    found = document(work, "p", "t")
    assert found["schema"] == "cellmonai.evaluate/1"
    assert (found["inputs"], found["outputs"], found["partial"]) == (["p", "t"], [], False)
    assert found["summary"]["f1_50"] == pytest.approx(10 / 11)
    assert (found["summary"]["count_r2"], found["totals"]["images"]) == (None, 2)
    assert [image["fn_50"] for image in found["images"]] == [1, 0]


def test_quiet_leaves_the_tables_alone(work: Path) -> None:
    done = run(work, "p", "t", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "F1 at IoU 0.5" in done.stdout


def test_output_and_overwrite(work: Path) -> None:
    assert document(work, "p", "t", "--output", "out")["outputs"] == [
        "out/evaluation.csv",
        "out/evaluation.json",
        "out/run.json",
    ]
    table = (work / "out" / "evaluation.csv").read_text().splitlines()
    assert table[0].startswith("image,plane,prediction,truth,true_count,predicted_count,count_error,tp_50,fp_50,fn_50")
    assert table[1].startswith("a,,a.tif,a.tif,3,2,-1,2,0,1,0.8")
    assert json.loads((work / "out" / "evaluation.json").read_text())["summary"]["f1_50"] == pytest.approx(10 / 11)
    assert json.loads((work / "out" / "run.json").read_text())["schema"] == "cellmonai.run.evaluate/1"
    assert_refused(run(work, "p", "t", "--output", "out"), 5, "evaluation.csv", "exists already", "--overwrite")
    assert run(work, "t", "t", "--output", "out", "--overwrite").returncode == 0
    assert json.loads((work / "out" / "evaluation.json").read_text())["summary"]["f1_50"] == 1.0


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        pytest.param((), (2, 2), id="auto: a mask is split"),
        pytest.param(("--kind", "labels", "--truth-kind", "binary"), (1, 2), id="predictions as labels"),
        pytest.param(("--kind", "binary", "--truth-kind", "labels"), (2, 1), id="truth as labels"),
    ],
)
def test_kind_and_truth_kind_say_what_a_file_is(work: Path, words: tuple[str, ...], counts: tuple[int, int]) -> None:
    tifffile.imwrite(work / "mask.tif", (TOUCHING > 0).astype(np.uint8) * 255)
    image = document(work, "mask.tif", "mask.tif", *words)["images"][0]
    assert (image["predicted_count"], image["true_count"]) == counts


def test_fail_under_ends_with_code_1_after_the_result(work: Path) -> None:
    assert run(work, "p", "t", "--fail-under", "f1_50=0.9").returncode == 0
    done = run(work, "p", "t", "--fail-under", "f1_50=0.95", "--fail-under", "dice=0.5", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["missed"] == ["f1_50 is 0.9091, at least 0.95 was asked for"]
    assert done.stderr.endswith("error: --fail-under: f1_50 is 0.9091, at least 0.95 was asked for.\n")


def test_bootstrap_and_seed_give_intervals(work: Path) -> None:
    first = document(work, "p", "t", "--bootstrap", "50")
    assert first["summary"]["f1_50_low"] == pytest.approx(0.8)
    assert first["summary"]["f1_50_high"] == 1.0
    assert first["warnings"][0]["code"] == "bootstrap_few_images"
    again = document(work, "p", "t", "--bootstrap", "50", "--seed", "0")
    assert again["summary"] == first["summary"]
    few = [document(work, "p", "t", "--bootstrap", "3", "--seed", seed)["summary"] for seed in ("1", "3")]
    assert few[0] != few[1]
    assert "95 %" in run(work, "p", "t", "--bootstrap", "50").stdout


@pytest.mark.parametrize(
    ("words", "f1"),
    [
        pytest.param(("--centres", "10.5"), 1.0, id="as many pairs as possible"),
        pytest.param(("--centres", "10.5", "--centre-matching", "greedy"), 0.5, id="each takes the nearest"),
        pytest.param(("--centres", "8"), 0.0, id="a smaller radius"),
    ],
)
def test_centres_and_centre_matching_add_a_match_by_distance(work: Path, words: tuple[str, ...], f1: float) -> None:
    tifffile.imwrite(work / "found.tif", FOUND_OFF.astype(np.uint16))
    tifffile.imwrite(work / "true.tif", TRUE_OFF.astype(np.uint16))
    inputs = ("found.tif", "true.tif")
    found, plain = document(work, *inputs, *words), document(work, *inputs)
    added = found["summary"].keys() - plain["summary"].keys()
    assert added == {"centre_f1", "centre_precision", "centre_recall", "centre_accuracy"}
    assert found["summary"]["centre_f1"] == f1
    assert {name: found["summary"][name] for name in plain["summary"]} == plain["summary"]
    assert found["images"][0].keys() - plain["images"][0].keys() == {"centre_tp", "centre_fp", "centre_fn"}


def test_a_person_sees_how_centres_were_matched(work: Path) -> None:
    done = run(work, "p", "t", "--centres", "50", "--centre-matching", "greedy", "--output", "out")
    assert done.returncode == 0, done.stderr
    assert "F1 of centres" in done.stdout
    assert "matched one to one by their centres, less than 50 px apart (greedy)" in done.stdout
    assert ["a", "2/0/1"] in [line.split()[:1] + line.split()[-1:] for line in done.stdout.splitlines()]
    assert ["all", "5/0/1"] in [line.split()[:1] + line.split()[-1:] for line in done.stdout.splitlines()]
    head, first, _ = (line.split(",") for line in (work / "out" / "evaluation.csv").read_text().splitlines())
    row = dict(zip(head, first, strict=True))
    assert [row[f"centre_{name}"] for name in ("tp", "fp", "fn")] == ["2", "0", "1"]
    again = run(work, "p", "t", "--centres", "40").stderr
    assert "evaluate p t --centres 40 --centre-matching optimal --bootstrap 1000" in again
    assert "centre" not in run(work, "p", "t").stdout


def test_a_table_of_counts_is_a_truth(work: Path) -> None:
    found = document(work, "p", "counts.csv")
    assert (found["summary"]["count_mae"], found["summary"]["f1_50"]) == (0.5, None)
    assert "all of cells, all of outlines" in run(work, "p", "counts.csv").stdout


def test_one_bad_image_does_not_stop_the_others(work: Path) -> None:
    tifffile.imwrite(work / "p" / "b.tif", THREE[:-4].astype(np.uint16))
    done = run(work, "p", "t", "--json", "--fail-under", "f1_50=0.99")
    assert done.returncode == 9
    found = json.loads(done.stdout)
    assert (found["partial"], [image["image"] for image in found["images"]]) == (True, ["a"])
    assert "64 x 44 px" in found["failures"][0]["reason"]
    assert "1 of 2 images could not be evaluated ('b'); f1_50 is 0.8" in done.stderr
    assert "failed: " in run(work, "p", "t", "--quiet").stdout


def test_a_name_that_holds_anything_breaks_nothing(work: Path) -> None:
    name = "=cmd [red]<b>\n\x1b[31m"
    for folder in ("p", "t"):
        (work / folder / "a.tif").rename(work / folder / f"{name}.tif")
    done = run(work, "p", "t", "--output", "out")
    assert done.returncode == 0, done.stderr
    assert "=cmd [red]<b>\\x0a\\x1b[31m" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "\"'=cmd [red]<b>\n" in (work / "out" / "evaluation.csv").read_text()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(("p", "none"), 3, ("none", "no such file or folder"), id="missing truth"),
        pytest.param(("none", "t"), 3, ("none", "no such file or folder"), id="missing predictions"),
        pytest.param(("p", "none.csv"), 3, ("none.csv", "cannot be read"), id="missing table"),
        pytest.param(("empty", "t"), 3, ("empty", "no image"), id="folder without images"),
        pytest.param(("p/a.tif", "t"), 3, ("no prediction for 'b'",), id="image without prediction"),
        pytest.param(("p", "t/a.tif"), 3, ("no truth for 'b'",), id="image without truth"),
        pytest.param(("text.tif", "t/a.tif"), 3, ("text.tif",), id="text called tif"),
        pytest.param(("p", "counts.csv", "--truth-kind", "labels"), 2, ("--truth-kind",), id="kind of a table"),
        pytest.param(("p", "t", "--kind", "cells"), 2, ("cells",), id="unknown kind"),
        pytest.param(("p", "t", "--fail-under", "f1_50"), 2, ("'f1_50' is no limit", "f1_50=0.8"), id="no number"),
        pytest.param(("p", "t", "--fail-under", "f150=1"), 2, ("did you mean 'f1_50'",), id="unknown measure"),
        pytest.param(("p", "t", "--seed", "1"), 2, ("--seed", "--bootstrap"), id="seed for nothing"),
        pytest.param(("p", "t", "--centres", "0"), 2, ("--centres", "give pixels above 0"), id="no radius"),
        pytest.param(("p", "t", "--centres", "near"), 2, ("--centres", "number"), id="radius in words"),
        pytest.param(("p", "counts.csv", "--centres", "40"), 2, ("--centres", "no centres"), id="centres of a table"),
        pytest.param(("p", "t", "--centre-matching", "greedy"), 2, ("add --centres 40",), id="rule for nothing"),
        pytest.param(("p", "t", "--centres", "40", "--centre-matching", "hungry"), 2, ("hungry",), id="unknown rule"),
        pytest.param(("p", "t", "--output", "p"), 3, ("output folder is an input",), id="output among inputs"),
        pytest.param(("p", "t", "--output", "text.tif/x"), 5, ("text.tif", "is in the way"), id="file in the way"),
    ],
)
def test_bad_input_is_one_sentence_and_a_code(work: Path, words: tuple[str, ...], code: int, says: Any) -> None:  # noqa: ANN401 - words
    (work / "empty").mkdir()
    (work / "text.tif").write_text("this is no image")
    before = sorted(work.rglob("*"))
    assert_refused(run(work, *words), code, *says)
    assert sorted(work.rglob("*")) == before


def test_a_limit_given_twice_is_refused(work: Path) -> None:
    words = ("p", "t", "--fail-under", "dice=0.1", "--fail-under", "dice=0.2")
    assert_refused(run(work, *words), 2, "'dice' is given twice")


def test_debug_shows_where_it_failed(work: Path) -> None:
    done = run(work, "p", "none", "--debug")
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_nothing_heavy_is_imported(work: Path) -> None:
    code = (
        "import sys; sys.argv = ['cellmonai', 'evaluate', 'p', 't', '--output', 'out']\n"
        "from cellmonai.cli.app import app\n"
        "try: app()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'monai', 'scipy', 'skimage', 'zarr', 'matplotlib', 'nibabel'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
