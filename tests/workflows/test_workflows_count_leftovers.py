"""What an earlier run left, what failed, and what cannot be drawn: folders and tables that tell one story."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.progress import Silent
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting import outputs as story
from cellmonai.workflows.counting.settings import CountSettings

if TYPE_CHECKING:
    from pathlib import Path


def squares(cells: int, *, values: bool = False) -> np.ndarray:
    mask = np.zeros((40, 200), np.uint8)
    for i in range(cells):
        mask[4:12, 4 + 12 * i : 12 + 12 * i] = i + 1 if values else 255
    return mask


def masks(folder: Path, **cells: int) -> Path:
    for part in ("masks", "images"):
        (folder / part).mkdir(exist_ok=True)
        for name, number in cells.items():
            tifffile.imwrite(folder / part / f"{name}.tif", squares(number))
    return folder


def run(folder: Path, *inputs: Path, reporter: Silent | None = None, **options: object) -> CountResult:
    settings = CountSettings(output=folder / "counts", **options)  # type: ignore[arg-type]
    return count(inputs or [folder / "masks"], settings=settings, reporter=reporter)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_overwriting_leaves_nothing_of_the_older_run_and_all_of_others(tmp_path: Path) -> None:
    masks(tmp_path, P_A01_1=2, P_A01_2=3)
    run(
        tmp_path,
        images=tmp_path / "images",
        save=("geojson", "rois"),
        name_pattern="{plate}_{well}_{site}",
        audit=2,
        audit_unit="fields",
    )
    counts = tmp_path / "counts"
    assert {"groups.csv", "report.html", "P_A01_1.geojson", "audit/audit.csv", "plate.png"} <= files(counts)
    (counts / "notes.txt").write_text("mine")
    (counts / "other.geojson").write_text("{}")
    (tmp_path / "masks" / "P_A01_2.tif").unlink()
    run(tmp_path, report=False, overwrite=True)
    tables = {"counts.csv", "cells.csv", "counts.json", "run.json"}
    assert files(counts) == {*tables, "P_A01_1_labels.tif", "notes.txt", "other.geojson"}


def test_overwriting_keeps_an_audit_that_somebody_fills(tmp_path: Path) -> None:
    masks(tmp_path, a=2, b=3)
    run(tmp_path, images=tmp_path / "images", audit=2, audit_unit="fields")
    sheet = tmp_path / "counts" / "audit" / "audit.csv"
    lines = sheet.read_text("utf-8").splitlines()
    lines[1] = lines[1].replace(",,", ",7,", 1)
    sheet.write_text("\n".join(lines) + "\n", "utf-8")
    before = files(tmp_path / "counts" / "audit")
    run(tmp_path, overwrite=True)
    assert files(tmp_path / "counts" / "audit") == before


def test_what_the_run_reads_is_never_removed(tmp_path: Path) -> None:
    masks(tmp_path, A01_1=2)
    counts = tmp_path / "counts"
    run(tmp_path, name_pattern="{well}_{site}")
    (counts / "groups.csv").write_text("image,treatment\nA01_1,drug\n")
    with pytest.raises((InputError, UsageError)):  # a sheet in the output folder, refused for what it says
        run(tmp_path, sheet=counts / "none.csv", overwrite=True)
    document = json.loads((counts / "counts.json").read_text())
    document["outputs"].append((counts / "sheet_overlay.png").as_posix())
    (counts / "counts.json").write_text(json.dumps(document))
    (counts / "sheet_overlay.png").write_text("image,treatment\nA01_1,drug\n")
    run(tmp_path, sheet=counts / "sheet_overlay.png", group_by=("treatment",), overwrite=True)
    assert (counts / "sheet_overlay.png").is_file()


def test_a_failed_image_has_a_row_without_a_count(tmp_path: Path) -> None:
    masks(tmp_path, A01_1=2, A01_2=3, B01_1=1)
    (tmp_path / "masks" / "A01_3.tif").write_text("no image")
    reporter = Silent()
    result = run(tmp_path, name_pattern="{well}_{site}", reporter=reporter)
    table = rows(tmp_path / "counts" / "counts.csv")
    assert [(row["image"], row["well"], row["count"], row["partial"]) for row in table] == [
        ("A01_1", "A01", "2", "false"),
        ("A01_2", "A01", "3", "false"),
        ("B01_1", "B01", "1", "false"),
        ("A01_3", "A01", "", "true"),
    ]
    warned = {group.group["well"]: group.warning or "" for group in result.groups if group.level == "well"}
    assert "1 field of this group could not be counted" in warned["A01"]
    assert "could not be counted" not in warned["B01"]
    assert any("1 group by well" in warning.message for warning in reporter.warnings)
    group = next(row for row in rows(tmp_path / "counts" / "groups.csv") if "A01" in row.values())
    assert "1 field of this group could not be counted" in group["warning"]


@pytest.mark.parametrize(
    "options",
    [
        {"audit": 3, "audit_unit": "fields", "audit_strata": 2},
        {"audit": 1, "audit_unit": "fields"},
        {"audit": 3, "audit_tile": 20, "audit_strata": 2},
        {"audit": 1},
    ],
    ids=str,
)
def test_an_audit_that_cannot_be_drawn_is_refused_before_the_count(tmp_path: Path, options: dict[str, Any]) -> None:
    masks(tmp_path, a=1, b=2, c=3, d=4)
    with pytest.raises(UsageError, match="each needs two"):
        run(tmp_path, images=tmp_path / "images", **options)
    assert not (tmp_path / "counts").exists()


def test_a_draw_that_fails_after_the_count_loses_no_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> object:
        raise InputError("cannot be drawn", where="image.tif")

    monkeypatch.setattr(story, "drawn_audit", fails)
    masks(tmp_path, a=1, b=2)
    reporter = Silent()
    with pytest.raises(InputError, match=r"cannot be drawn"):
        run(tmp_path, images=tmp_path / "images", audit=2, audit_unit="fields", reporter=reporter)
    document = json.loads((tmp_path / "counts" / "counts.json").read_text())
    assert document["total"] == 3
    assert [warning["code"] for warning in document["warnings"]] == ["audit"]
    assert "report.html" in files(tmp_path / "counts")


def test_a_length_of_nothing_is_no_distance(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    for text in ("0px", "0", "0.0um"):
        with pytest.raises(UsageError, match="is 0"):
            run(tmp_path, split="markers", min_distance=text)


def test_allow_partial_where_nothing_is_partial_is_told(tmp_path: Path) -> None:
    masks(tmp_path, a=2)
    told: list[str] = []

    class Listening(Silent):
        def note(self, text: str) -> None:
            told.append(text)

    run(tmp_path, allow_partial=True, reporter=Listening())
    assert any("--allow-partial changes nothing" in note for note in told)
