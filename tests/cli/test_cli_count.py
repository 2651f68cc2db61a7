"""`cellmonai count` as a user types it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner
from waiting import wait_for_line

from cellmonai.cli.app import app
from cellmonai.workflows import count as workflow


def squares(cells: int, *, shape: tuple[int, int] = (64, 200)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for i in range(cells):
        mask[4:12, 4 + 12 * i : 12 + 12 * i] = 255
    return mask


def masks(folder: Path, **cells: int) -> Path:
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    for name, number in cells.items():
        tifffile.imwrite(folder / "masks" / f"{name}.tif", squares(number))
    return folder


def cellmonai(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cellmonai", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """Exit code, one sentence with the words in it, nothing on stdout, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert "Traceback" not in done.stderr


def test_a_folder_of_masks_gives_a_table_files_and_what_to_do_next(tmp_path: Path) -> None:
    done = cellmonai(masks(tmp_path, a=2, b=3), "count", "masks/")
    assert done.returncode == 0, done.stderr
    lines = {words[0]: words for line in done.stdout.splitlines() if (words := line.split())}
    assert (lines["a"][1], lines["b"][1], lines["total"][1]) == ("2", "3", "5")
    assert "binary masks" in done.stderr
    assert "next:\n  cellmonai count masks --images IMAGES --output counts_2" in done.stderr
    names = {path.name for path in (tmp_path / "counts").glob("[!.]*")}
    tables = {"counts.csv", "cells.csv", "counts.json", "run.json", "report.html"}
    assert names == {*tables, "a_labels.tif", "b_labels.tif"}


def test_one_is_not_several(tmp_path: Path) -> None:
    done = cellmonai(masks(tmp_path, a=2), "count", "masks", "-o", "-there")
    assert "written: counts.csv, cells.csv, counts.json, report.html, 1 label image in -there" in done.stderr
    assert "cellmonai evaluate ./-there TRUE_MASKS" in done.stderr.replace("\\", "/")


def test_a_drawn_audit_is_followed_by_its_own_steps(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", squares(2) // 2)
    done = cellmonai(tmp_path, "count", "masks", "--images", "images", "--audit", "1", "--audit-unit", "fields")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.replace("\\", "/").splitlines()
    assert any("1 label image and 1 overlay in counts" in line for line in lines)  # the audit's pictures are its own
    assert lines[-4].startswith("count the cells in counts/audit, as README.txt there says, into audit.csv")
    assert lines[-2:] == ["next:", "  cellmonai count --audit-result counts/audit/audit.csv"]


def test_what_is_wrong_with_the_input_is_told_before_what_is_in_the_way(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    assert cellmonai(tmp_path, "count", "masks", "--json").returncode == 0
    (tmp_path / "text.tif").write_text("no image")
    refused(cellmonai(tmp_path, "count", "text.tif"), 3, "text.tif")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT goes to a whole group there")
def test_ctrl_c_ends_with_130_and_one_sentence(tmp_path: Path) -> None:
    for n in range(60):
        masks(tmp_path, **{f"m{n}": 3})
    stack = np.stack([squares(9, shape=(800, 800))] * 40)
    tifffile.imwrite(tmp_path / "masks" / "m0.tif", stack, photometric="minisblack")
    words = [sys.executable, "-m", "cellmonai", "count", "masks"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_line(process, process.stderr, "counting")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors == "error: stopped by Ctrl-C; run the same command again, which continues.\n"
    assert not list((tmp_path / "counts").glob("[!.]*"))


@pytest.mark.skipif(os.name != "posix", reason="pipes end otherwise there")
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["table", "json"])
def test_a_reader_that_leaves_changes_neither_files_nor_exit_code(tmp_path: Path, words: tuple[str, ...]) -> None:
    masks(tmp_path, a=2)
    (tmp_path / "masks" / "bad.tif").write_text("not an image")
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "cellmonai", "count", "masks", *words]
    done = subprocess.run(line, cwd=tmp_path, stdout=write, stderr=write, check=False)
    os.close(write)
    assert done.returncode == 9
    assert (tmp_path / "counts" / "run.json").is_file()


def test_json_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    done = cellmonai(masks(tmp_path, a=2, b=3), "count", "masks", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["total"], document["inputs"]) == ("cellmonai.count/1", 5, ["masks"])
    assert json.loads((tmp_path / "counts" / "counts.json").read_text()) == document
    assert all((tmp_path / path).is_file() for path in document["outputs"])


@pytest.mark.parametrize(
    ("words", "counts"),
    [((), [("", 5, 2)]), (("--per-plane",), [(f"z{z}", None, 2) for z in range(5)])],
    ids=["volume", "per plane"],
)
def test_a_label_volume_is_counted_once_unless_planes_are_asked_for(
    tmp_path: Path, words: tuple[str, ...], counts: list[tuple[str, int | None, int]]
) -> None:
    plane = np.zeros((40, 60), np.uint16)
    plane[5:15, 5:15], plane[20:30, 30:40] = 3, 8
    stack = np.stack([plane] * 5)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    done = cellmonai(tmp_path, "count", "a.tif", "--json", "--no-report", *words)
    document = json.loads(done.stdout)
    assert [(row["plane"], row["planes"], row["count"]) for row in document["images"]] == counts
    assert document["parameters"]["stacks"] == ("plane by plane" if words else "label volumes, each id once")
    assert "--per-plane" in done.stderr


def test_one_bad_file_is_reported_and_the_others_are_counted(tmp_path: Path) -> None:
    masks(tmp_path, good=2)
    (tmp_path / "masks" / "bad.tif").write_text("not an image")
    done = cellmonai(tmp_path, "count", "masks", "--json")
    assert done.returncode == 9
    assert "Traceback" not in done.stderr
    assert "bad" in done.stderr
    document = json.loads(done.stdout)
    assert (document["total"], document["partial"]) == (2, True)
    assert document["failures"][0]["image"] == "bad"


def test_no_cells_is_done_with_three_likely_reasons(tmp_path: Path) -> None:
    done = cellmonai(masks(tmp_path, a=0), "count", "masks", "--quiet")
    assert done.returncode == 0
    assert "Three likely reasons" in done.stderr
    assert "next:" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot exist there")
def test_names_that_hold_anything_harm_neither_terminal_nor_table_nor_json(tmp_path: Path) -> None:
    name = "=cmd a\n[red]b <script> µ"
    done = cellmonai(masks(tmp_path, **{name: 2}), "count", "masks")
    assert done.returncode == 0, done.stderr
    assert "=cmd a\\x0a[red]b <script> µ" in done.stdout
    with (tmp_path / "counts" / "counts.csv").open(newline="", encoding="utf-8") as stream:
        assert next(csv.DictReader(stream))["image"] == "'" + name
    document = json.loads((tmp_path / "counts" / "counts.json").read_text())
    assert document["images"][0]["image"] == name
    assert (tmp_path / "counts" / f"{name}_labels.tif").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8 exist on Linux only")
def test_a_name_that_is_no_text_is_counted(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    (tmp_path / "masks" / "a.tif").rename(tmp_path / "masks" / os.fsdecode(b"caf\xe9.tif"))
    done = cellmonai(tmp_path, "count", "masks", LC_ALL="C.UTF-8")
    assert done.returncode == 0, done.stderr
    assert "caf\\udce9" in done.stdout
    assert "caf\\udce9" in (tmp_path / "counts" / "counts.csv").read_text()


def test_a_terminal_that_knows_no_unicode_gets_escapes(tmp_path: Path) -> None:
    masks(tmp_path, µ=1)
    done = cellmonai(tmp_path, "count", "masks", "--pixel-size", "0.5", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\xb5" in done.stdout


def test_what_exists_is_refused_then_replaced_when_asked(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    assert cellmonai(tmp_path, "count", "masks", "--json").returncode == 0
    refused(cellmonai(tmp_path, "count", "masks"), 5, "--overwrite")
    assert cellmonai(tmp_path, "count", "masks", "--overwrite", "--json").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["missing"], 3, "no such file or folder", id="a missing file"),
        pytest.param(["empty"], 3, "holds no image", id="a folder without images"),
        pytest.param(["text.tif"], 3, "text.tif", id="a text file called .tif"),
        pytest.param(["masks", "--threshold", "0.3"], 3, "no probability maps", id="a threshold without maps"),
        pytest.param(["masks", "--images", "missing"], 3, "no such file or folder", id="missing images"),
        pytest.param(["masks", "--pictures", "overlay"], 3, "--images", id="pictures without images"),
        pytest.param(["masks", "--min-area", "ten"], 2, "is no area", id="a word for an area"),
        pytest.param(["masks", "--min-area", "9px", "--max-area", "5px"], 2, "max_area_px", id="no area is left"),
        pytest.param(["masks", "--pixel-size", "-1"], 2, "--pixel-size", id="an impossible pixel size"),
        pytest.param(["masks", "--pixel-size", "1,2,3"], 2, "--pixel-size", id="three sides of a pixel"),
        pytest.param(["masks", "--save", "geojsn"], 2, "did you mean 'geojson'", id="an unknown format"),
        pytest.param(["masks", "--preset", "moreli2021"], 2, "did you mean 'morelli2021'", id="an unknown preset"),
        pytest.param(["masks", "--preset", "tashfeen", "--split", "none"], 2, "fixed by the preset", id="a fixed step"),
        pytest.param(["masks", "--min-distance", "7px"], 2, "--split markers", id="a distance without markers"),
        pytest.param(
            ["masks", "--split", "markers", "--min-distance", "far"], 2, "is no length", id="a word for a length"
        ),
        pytest.param(
            ["masks", "--split", "markers", "--min-distance", "3um"], 2, "pixel size is unknown", id="an unknown size"
        ),
        pytest.param(["masks", "--group-by", "well"], 2, "--name-pattern", id="groups of nothing"),
        pytest.param(["masks", "--name-pattern", "{plate}_{well}"], 2, "--name-pattern", id="a pattern that fits not"),
        pytest.param(["masks", "--sheet", "no.csv"], 3, "no.csv", id="a missing sheet"),
        pytest.param(["masks", "--level", "0.99"], 2, "--level", id="a level without calibration"),
        pytest.param(["masks", "--audit", "3"], 3, "--images", id="an audit without images"),
        pytest.param(["masks", "--audit-seed", "3"], 2, "--audit 30", id="a seed of no audit"),
        pytest.param(["masks", "--audit-tile", "64"], 2, "--audit 30", id="a tile of no audit"),
        pytest.param(
            ["masks", "--audit", "3", "--border", "exclude"], 2, "leaves cells out", id="an audit without border cells"
        ),
        pytest.param(["masks", "--audit-result", "a.csv"], 2, "leave the masks out", id="masks and an audit's result"),
        pytest.param(["--audit-result", "no.csv"], 3, "no.csv", id="a missing audit"),
        pytest.param(["--audit-half-width", "5%"], 2, "--audit-result", id="a width of no audit"),
        pytest.param(["masks", "--memory", "1kB"], 8, "--memory", id="too small a budget"),
        pytest.param(["masks", "--output", "masks"], 2, "another --output", id="output among the inputs"),
        pytest.param(["masks", "--output", "text.tif"], 5, "text.tif", id="a file where the output should be"),
    ],
)
def test_bad_input_gets_one_sentence_and_its_exit_code(
    tmp_path: Path, words: list[str], code: int, sentence: str
) -> None:
    masks(tmp_path, a=2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tif").write_text("no image")
    refused(cellmonai(tmp_path, "count", *words), code, sentence)
    assert not list((tmp_path / "counts").glob("[!.]*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    (tmp_path / "counts").mkdir(mode=0o555)
    refused(cellmonai(tmp_path, "count", "masks"), 5, "cannot be written")


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = cellmonai(tmp_path, "count", "missing", "--debug")
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_usage_errors_come_without_reading_anything(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["count"]).exit_code == 2
    assert CliRunner().invoke(app, ["count", "masks", "--split", "magic"]).exit_code == 2
    assert CliRunner().invoke(app, ["count", "masks", "--threshold", "1.5"]).exit_code == 2
    assert CliRunner().invoke(app, ["count", "masks", "--opening", "-1"]).exit_code == 2
    assert CliRunner().invoke(app, ["count", "masks", "--no-such-option"]).exit_code == 2


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--images", "i"], "images", Path("i")),
        (["--output", "o"], "output", Path("o")),
        (["-o", "o"], "output", Path("o")),
        (["--kind", "labels"], "kind", "labels"),
        (["--per-plane"], "per_plane", True),
        (["--split", "none"], "split", "none"),
        (["--split", "learned"], "split", "learned"),
        (["--split", "markers", "--min-distance", "3um"], "min_distance", "3um"),
        (["--preset", "morelli2021"], "preset", "morelli2021"),
        (["--save", "geojson, rois"], "save", ("geojson", "rois")),
        (["--no-report"], "report", False),
        (["--name-pattern", "{well}"], "name_pattern", "{well}"),
        (["--sheet", "s.csv"], "sheet", Path("s.csv")),
        (["--sheet", "s.csv", "--group-by", "plate,well"], "group_by", ("plate", "well")),
        (["--audit", "30"], "audit", 30),
        (["--audit", "30", "--audit-unit", "fields"], "audit_unit", "fields"),
        (["--audit", "30", "--audit-tile", "256"], "audit_tile", 256),
        (["--audit", "30", "--audit-strata", "3"], "audit_strata", 3),
        (["--audit", "30", "--audit-bound", "12"], "audit_bound", 12),
        (["--audit", "30", "--audit-seed", "7"], "audit_seed", 7),
        (["--allow-partial"], "allow_partial", True),
        (["--level", "0.9"], "level", 0.9),
        (["--threads", "3"], "threads", 3),
        (["--threshold", "0.25"], "threshold", 0.25),
        (["--opening", "2"], "opening", 2),
        (["--closing", "3"], "closing", 3),
        (["--fill-holes"], "fill_holes", "all"),
        (["--keep-holes"], "fill_holes", "none"),
        (["--min-area", "25um2"], "min_area", "25um2"),
        (["--max-area", "900"], "max_area", "900"),
        (["--border", "exclude"], "border", "exclude"),
        (["--border", "frame"], "border", "frame"),
        (["--pixel-size", "0.65,0.325"], "pixel_size_um", (0.325, 0.65)),
        (["--pixel-size", "0.65"], "pixel_size_um", (0.65, 0.65)),
        (["--pictures", "none"], "pictures", "none"),
        (["--memory", "2GiB"], "memory", 2**31),
        (["--overwrite"], "overwrite", True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_option_reaches_the_settings(
    monkeypatch: pytest.MonkeyPatch, words: list[str], name: str, value: object
) -> None:
    calls: list[Any] = []

    def listen(inputs: list[Path], *, settings: object, reporter: object) -> workflow.CountResult:
        calls.append((inputs, settings))
        return workflow.CountResult(("m",), Path("o"), (), {}, {}, (), (), 0.0)

    monkeypatch.setattr(workflow, "count", listen)
    result = CliRunner().invoke(app, ["count", "m", "--json", *words])
    assert result.exit_code == 0, result.output
    inputs, settings = calls[0]
    assert inputs == [Path("m")]
    assert getattr(settings, name) == value
    assert getattr(type(settings)(), name) != value


@pytest.mark.parametrize(
    "words",
    [
        ["--output", "o"], ["--overwrite"], ["--no-report"], ["--report"], ["--images", "i"], ["--kind", "auto"],
        ["--keep-holes"], ["--audit", "30"], ["--audit-unit", "tiles"], ["--audit-strata", "1"],
        ["--audit-seed", "7"], ["--allow-partial"], ["--threads", "1"], ["--memory", "2GiB"], ["--save", "rois"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_audit_that_was_counted_refuses_what_changes_nothing_about_it(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["count", "--audit-result", "audit.csv", *words])
    option = words[0].replace("--no-", "--")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"error: {option}: changes nothing about an audit" in result.stderr


def test_an_audit_that_was_counted_honours_the_others(tmp_path: Path) -> None:
    masks(tmp_path, a=2, b=3, c=4)
    (tmp_path / "images").mkdir()
    for name in "abc":
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", squares(2) // 2)
    drawn = cellmonai(tmp_path, "count", "masks", "--images", "images", "--audit", "2", "--audit-unit", "fields")
    assert drawn.returncode == 0, drawn.stderr
    sheet = tmp_path / "counts" / "audit" / "audit.csv"
    with sheet.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    with sheet.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(lines[0]))
        table.writeheader()
        table.writerows(line | {"true_count": "3"} for line in lines)
    words = ["count", "--audit-result", str(sheet), "--level", "0.8", "--quiet", "--debug"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["interval"]["level"], document["wrong_units"]["level"]) == (0.8, 0.8)
    assert "80 % interval" in CliRunner().invoke(app, words).stdout
    refusal = CliRunner().invoke(app, ["count", "--audit-result", str(sheet), "--level", "0.7"])
    assert refusal.exit_code == 2
    assert "--level: the level is 0.7; give one of 0.8, 0.9, 0.95" in refusal.stderr


HEAVY = {"torch", "monai", "ignite", "openvino", "scipy", "skimage", "zarr", "matplotlib", "pandas", "rich"}


@pytest.mark.parametrize("words", [(), ("--no-report",)], ids=["report", "no report"])
def test_counting_imports_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Ten masks take about a second: what slows that down is imports, so these are named."""
    masks(tmp_path, a=2, b=3)
    line = ["count", "masks", "--json", "--quiet", *words]
    code = (
        f"import sys; from cellmonai.cli.app import app; app({line}, standalone_mode=False); "
        "sys.stderr.write(','.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    modules = done.stderr.split(",")
    assert not {name.split(".")[0] for name in modules} & {*HEAVY, "PIL", "jinja2", "pyarrow"}
    # models and their calibration concern only masks that infer made
    assert not {".".join(name.split(".")[:2]) for name in modules} & {"cellmonai.models", "cellmonai.inference"}


def test_the_python_api_of_count_imports_nothing_heavy(tmp_path: Path) -> None:
    masks(tmp_path, a=2, b=3)
    code = (
        "import sys, cellmonai; from pathlib import Path; "
        "from cellmonai.workflows.counting.settings import CountSettings; "
        "print(cellmonai.count([Path('masks')], settings=CountSettings(report=False)).total); "
        "sys.stderr.write(','.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split(",")}
    assert done.stdout == "5\n"
    # typer from 0.20 on brings pydantic to the command line; here there is no typer
    assert not loaded & {*HEAVY, "PIL", "jinja2", "pyarrow", "pydantic", "typer"}


def test_the_next_command_keeps_every_option_and_takes_a_new_folder(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    (tmp_path / "counts_2").mkdir()
    words = ["--split", "none", "--pixel-size", "0.5", "--no-report", "--min-area", "5px", "--quiet"]
    assert "next:" not in cellmonai(tmp_path, "count", "masks", *words).stderr
    done = cellmonai(tmp_path, "count", "masks", *words[:-1], "--overwrite")
    line = next(line for line in done.stderr.splitlines() if "--images IMAGES" in line)
    typed = "--split none --min-area 5px --pixel-size 0.5 --no-report"
    assert line == f"  cellmonai count masks {typed} --images IMAGES --output counts_3"


@pytest.mark.parametrize("option", ["--output", "--group-by", "--save"])
def test_empty_options_are_refused(tmp_path: Path, option: str) -> None:
    masks(tmp_path, a=2)
    done = cellmonai(tmp_path, "count", "masks", option, "")
    assert done.returncode == 2
    assert "is empty" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"masks"}


def test_a_marker_distance_of_nothing_is_a_usage_error(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    refused(cellmonai(tmp_path, "count", "masks", "--split", "markers", "--min-distance", "0px"), 2, "is 0")
