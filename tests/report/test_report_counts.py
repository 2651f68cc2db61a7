"""counts.csv, cells.csv and the table on the console."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from cellmonai.report.counts import CellRows, ImageCount, write_cells, write_counts
from cellmonai.report.tables import count_table

if TYPE_CHECKING:
    from pathlib import Path


def row(image: str = "a", *, count: int = 2, um: bool = False, plane: str = "", **more: object) -> ImageCount:
    values: dict = {
        "density_per_mm2": 1234.5 if um else None,
        "area_mean_px": 50.0 if count else None,
        "area_median_px": 49.0 if count else None,
        "area_mean_um2": 12.5 if um and count else None,
        "area_median_um2": 12.25 if um and count else None,
        "removed": {"min_area": 0, "max_area": 0, "border": 0},
        "flags": {"touches_border": 0},
    }
    return ImageCount(image=image, plane=plane, count=count, **(values | more))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def shown(counts: list[ImageCount], failures: dict[str, str] | None = None) -> str:
    console = Console(file=io.StringIO(), width=160, markup=False, highlight=False)
    console.print(count_table(counts, failures=failures or {}, where_all="counts/counts.csv"))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_counts_csv_has_a_row_per_image_with_units_in_the_names(tmp_path: Path) -> None:
    write_counts(tmp_path / "c.csv", [row("a", um=True), row("b", count=0)], overwrite=False)
    a, b = read(tmp_path / "c.csv")
    assert (a["image"], a["count"], a["density_per_mm2"], a["area_mean_um2"]) == ("a", "2", "1234.500", "12.500")
    assert (b["count"], b["area_mean_px"], b["density_per_mm2"], b["interval_low"]) == ("0", "", "", "")


def test_removed_objects_and_flags_are_columns(tmp_path: Path) -> None:
    counts = [row(removed={"min_area": 3}, flags={"touches_border": 1}), row("b", flags={"odd_shape": 2})]
    write_counts(tmp_path / "c.csv", counts, overwrite=False)
    a, b = read(tmp_path / "c.csv")
    assert (a["removed_min_area"], a["removed_border"], a["touches_border"], a["odd_shape"]) == ("3", "0", "1", "")
    assert b["odd_shape"] == "2"


def test_an_interval_fills_its_two_columns(tmp_path: Path) -> None:
    write_counts(tmp_path / "c.csv", [row(interval=(1, 4))], overwrite=False)
    assert [read(tmp_path / "c.csv")[0][name] for name in ("interval_low", "interval_high")] == ["1", "4"]


def test_cells_csv_joins_images_with_different_columns(tmp_path: Path) -> None:
    one = CellRows("a", "", {"label": np.array([1, 2]), "area_px": np.array([5, 6])})
    none = CellRows("empty", "", {"label": np.zeros(0, int), "area_px": np.zeros(0, int)})
    other = CellRows("b", "t1", {"label": np.array([1]), "area_px": np.array([7]), "intensity_mean_0": np.array([0.5])})
    write_cells(tmp_path / "c.csv", [one, none, other], overwrite=False)
    rows = read(tmp_path / "c.csv")
    assert [(r["image"], r["plane"], r["label"]) for r in rows] == [("a", "", "1"), ("a", "", "2"), ("b", "t1", "1")]
    assert [r["intensity_mean_0"] for r in rows] == ["", "", "0.500"]


def test_the_table_has_a_total_and_thousands_separators() -> None:
    text = shown([row(count=1_500), row("b", count=1_000)])
    assert "1,500" in text
    assert "2,500" in text
    assert "2 images" in text


def test_the_mean_area_of_all_is_over_cells_not_over_images() -> None:
    text = shown([row(count=3, area_mean_px=10.0), row("b", count=1, area_mean_px=50.0)])
    assert "20 px" in text.splitlines()[-2]


def test_micrometres_are_shown_only_where_all_images_know_them() -> None:
    assert "12.5 µm²" in shown([row(um=True)])
    mixed = shown([row(um=True), row("b")])
    assert "µm²" not in mixed
    assert "50 px" in mixed


def test_flags_removed_objects_and_failures_are_told() -> None:
    counts = [row(flags={"touches_border": 2, "unusually_large": 0}, removed={"min_area": 4})]
    text = shown(counts, {"broken": "is not a TIFF file"})
    assert "2 at the border; removed: 4 too small" in text
    assert "unusually large" not in text
    assert "is not a TIFF file" in text
    assert "1 failed" in text


def test_names_with_markup_and_control_characters_are_shown_as_they_are() -> None:
    text = shown([row("[red]x"), row("a\nb\x1b[2J")])
    assert "[red]x" in text
    assert "a\\x0ab\\x1b[2J" in text


def test_a_long_list_is_cut_and_says_where_the_rest_is() -> None:
    text = shown([row(f"i{n:03}") for n in range(100)])
    assert "i039" in text
    assert "i040" not in text
    assert "60 more in counts/counts.csv" in text
