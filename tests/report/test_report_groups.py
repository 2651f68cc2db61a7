"""The tables of groups on the console and as CSV."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from cellmonai.measure.replicates.groups import FieldCount, GroupLevel, GroupSummary, summarise_groups
from cellmonai.report.groups import groups_table, write_groups

WELL = GroupLevel("well", ("plate", "well"), "field")
TREATMENT = GroupLevel("treatment", ("treatment",), "well", ("plate", "well"))


def summaries(
    wells: int = 4, *, plate: str = "P1", treatment: str = "drug", area: float | None = 0.25, confidence: float = 0.95
) -> tuple[GroupSummary, ...]:
    fields = [
        FieldCount(
            {"plate": plate, "well": f"A{well:02}", "treatment": treatment, "sum": "s"},
            900 + 40 * well + 9 * site,
            area,
        )
        for well in range(1, wells + 1)
        for site in (1, 2, 3)
    ]
    return summarise_groups(fields, [WELL, TREATMENT], confidence=confidence)


def shown(groups: tuple[GroupSummary, ...], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(groups_table(groups, where_all="counts/groups.csv"))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_level_has_a_table_that_names_its_unit() -> None:
    text = shown(summaries())
    assert "by well" in text
    assert "by treatment" in text
    lines = [line.split() for line in text.splitlines()]
    assert next(line[:5] for line in lines if line[:2] == ["P1,", "A01"]) == ["P1,", "A01", "3", "2,874", "958"]
    assert next(line[:4] for line in lines if line[:1] == ["drug"]) == ["drug", "4", "12,216", "1,018"]
    assert "sampling error alone" in text


def test_the_tables_fit_80_columns_with_long_names() -> None:
    text = shown(summaries(plate="a plate with a very long name " * 3, treatment="x" * 120))
    assert max(map(len, text.splitlines())) <= 80
    assert "x" * 10 in text
    assert "12,216" in text


def test_names_with_markup_and_control_characters_are_shown_as_they_are() -> None:
    text = shown(summaries(plate="[red]p", treatment="a\nb\x1b[2J"), width=160)
    assert "[red]p, A01" in text
    assert "a\\x0ab\\x1b[2J" in text
    assert "\x1b" not in text


def test_the_poisson_floor_is_marked_and_explained() -> None:
    same = [FieldCount({"plate": "P", "well": "A01"}, 50), FieldCount({"plate": "P", "well": "A01"}, 50)]
    text = shown(summarise_groups(same, [WELL]))
    assert "40.7 to 60.8*" in text
    assert "* widened to counting noise alone (Poisson)" in text
    assert "cells/mm²" not in text


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_the_level_of_the_intervals_is_said_and_no_other(tmp_path: Path, level: float) -> None:
    groups = summaries(confidence=level)
    text = shown(groups)
    assert f"SD and {100 * level:g} % between" in text
    assert f"{100 * level:g} %: sampling error alone" in text
    assert set(re.findall(r"[0-9.]+ %", text)) == {f"{100 * level:g} %"}
    write_groups(tmp_path / "groups.csv", groups, overwrite=False)
    assert {row["interval_level"] for row in read(tmp_path / "groups.csv")} == {f"{level:.3f}"}


def test_one_unit_shows_no_interval_and_warns() -> None:
    text = shown(summarise_groups([FieldCount({"plate": "P", "well": "A01"}, 50)], [WELL]), width=200)
    assert "has one field: no standard deviation" in text


def test_a_long_level_is_cut_and_says_where_the_rest_is() -> None:
    text = shown(summaries(wells=30))
    assert "A24" in text
    assert "A25" not in text
    assert "6 more in counts/groups.csv" in text


def test_no_groups_show_nothing() -> None:
    assert shown(()).strip() == ""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_csv_has_a_row_per_group_with_what_its_fields_have_in_common(tmp_path: Path) -> None:
    write_groups(tmp_path / "groups.csv", summaries(), overwrite=False)
    rows = read(tmp_path / "groups.csv")
    assert [row["level"] for row in rows] == ["well"] * 4 + ["treatment"]
    assert (rows[0]["plate"], rows[0]["well"], rows[0]["treatment"]) == ("P1", "A01", "drug")
    assert (rows[4]["well"], rows[4]["units"], rows[4]["unit"], rows[4]["fields"]) == ("", "4", "well", "12")
    assert (rows[0]["sum"], rows[0]["attribute_sum"], rows[0]["mean"], rows[0]["sd"]) == (
        "2874",
        "s",
        "958.000",
        "9.000",
    )
    assert float(rows[0]["sampling_low"]) < 958 < float(rows[0]["sampling_high"])
    assert (rows[0]["area_mm2"], rows[0]["density_per_mm2"]) == ("0.750000", "3832.000")


def test_a_csv_of_no_groups_has_its_head(tmp_path: Path) -> None:
    write_groups(tmp_path / "groups.csv", (), overwrite=False)
    assert (tmp_path / "groups.csv").read_text().startswith("level,fields,unit,units,sum,mean,sd,")


def test_formulas_in_treatments_are_disarmed(tmp_path: Path) -> None:
    write_groups(tmp_path / "groups.csv", summaries(treatment="=cmd()"), overwrite=False)
    assert read(tmp_path / "groups.csv")[0]["treatment"] == "'=cmd()"
