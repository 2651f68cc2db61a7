"""counts.csv, cells.csv and the table on the console."""

from __future__ import annotations

import csv
import errno
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from cellmonai.core.errors import OutputError
from cellmonai.report.counts import CellsFile, ImageCount, write_counts
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


def shown(
    counts: list[ImageCount], failures: dict[str, str] | None = None, *, width: int = 160, level: float | None = None
) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    table = count_table(counts, failures=failures or {}, where_all="counts/counts.csv", interval_level=level)
    console.print(table)
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
    with CellsFile(tmp_path / "c.csv", ["label", "area_px", "intensity_mean_0"], overwrite=False) as cells:
        cells.add("a", "", {"label": np.array([1, 2]), "area_px": np.array([5, 6])})
        cells.add("empty", "", {"label": np.zeros(0, int), "area_px": np.zeros(0, int)})
        intensity = {"intensity_mean_0": np.array([0.5])}
        cells.add("b", "t1", {"label": np.array([1]), "area_px": np.array([7]), **intensity})
        assert not (tmp_path / "c.csv").exists()
    rows = read(tmp_path / "c.csv")
    assert [(r["image"], r["plane"], r["label"]) for r in rows] == [("a", "", "1"), ("a", "", "2"), ("b", "t1", "1")]
    assert [r["intensity_mean_0"] for r in rows] == ["", "", "0.500"]


class _Full(io.FileIO):
    """A file on a disk that is full from the first byte on."""

    def write(self, content: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fails", ["open", "head", "rows", "end"])
def test_a_full_disk_is_an_error_that_names_the_table_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def open_full(path: Path, mode: str) -> io.BufferedWriter:
        if fails == "open":
            raise OSError(errno.ENOSPC, "No space left on device")
        return io.BufferedWriter(_Full(path, mode), buffer_size={"head": 1, "rows": 30, "end": 10_000}[fails])

    monkeypatch.setattr(type(tmp_path), "open", open_full)
    cells = CellsFile(tmp_path / "c.csv", ["label"], overwrite=False)
    with pytest.raises(OutputError, match=r"c\.csv: cannot be written \(No space left on device\)") as error, cells:
        cells.add("a", "", {"label": np.arange(100)})
    assert error.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_a_total_and_thousands_separators() -> None:
    text = shown([row(count=1_500), row("b", count=1_000)])
    assert "1,500" in text
    assert "2,500" in text
    assert "2 images" in text


def test_the_mean_area_of_all_is_over_cells_not_over_images() -> None:
    text = shown([row(count=3, area_mean_px=10.0), row("b", count=1, area_mean_px=50.0)])
    assert text.splitlines()[-2].split() == ["total", "4", "20", "2", "images"]


def test_micrometres_are_shown_only_where_all_images_know_them() -> None:
    assert "(µm²)" in shown([row(um=True)])
    assert "12.5" in shown([row(um=True)])
    mixed = shown([row(um=True), row("b")])
    assert "µm²" not in mixed
    assert "(px)" in mixed
    assert " 50 " in mixed


def test_flags_removed_objects_and_failures_are_told() -> None:
    counts = [row(flags={"touches_border": 2, "unusually_large": 0}, removed={"min_area": 4})]
    text = shown(counts, {"broken": "is not a TIFF file"})
    assert "2 at border; removed: 4 too small" in text
    assert " large" not in text
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


BUSY = [
    row(
        f"experiment/plate_01/A{n:02}_a_long_name_of_a_field_of_view.tif",
        count=12_345 + n,
        um=True,
        interval=(12_000, 13_000 + n),
        flags={"touches_border": 120, "unusually_large": 3},
        removed={"min_area": 12},
    )
    for n in range(3)
]


def test_the_table_fits_eighty_columns_and_cuts_nothing() -> None:
    text = shown(BUSY, {"broken_field.tif": "is not a TIFF file"}, width=80, level=0.95)
    assert max(len(line) for line in text.splitlines()) <= 80
    for value in ("12,345", "12,000\u201313,002", "1,234", "12.5", "37,038", "95 %", "interval"):
        assert value in text
    assert "…" not in text
    letters = "".join("".join(line[:24].split()) for line in text.splitlines())
    assert "a_long_name_of_a_field_of_view.tif" in letters  # folded over lines, whole


@pytest.mark.parametrize(("width", "gone"), [(64, "mean area"), (54, "/mm²")])
def test_a_narrow_terminal_keeps_counts_and_intervals_whole(width: int, gone: str) -> None:
    text = shown(BUSY, width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "12,345" in text
    assert "12,000\u201313,000" in text
    assert gone not in text


def test_intervals_have_a_column_where_there_are_any_and_the_total_has_none() -> None:
    assert "interval" not in shown([row()])
    text = shown([row(interval=(1, 4)), row("b", count=7)])
    assert "1\u20134" in text
    assert text.splitlines()[-2].split() == ["total", "9", "50", "2", "images"]


def test_a_pipe_gets_no_colour_codes() -> None:
    assert "\x1b" not in shown(BUSY, {"x": "failed"})
