"""Patterns of names and sample sheets: what they give, and the sentences where they do not fit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.core.errors import CellmonaiError, InputError, UsageError
from cellmonai.measure.replicates.groups import summarise_groups
from cellmonai.workflows.grouping.names import read_pattern
from cellmonai.workflows.grouping.plan import plan_groups

PATTERN = "{plate}_{well}_{site}"
NAMES = ["P1_A1_1", "P1_A1_2", "P1_B2_1", "P1_B2_2"]


def sheet(folder: Path, text: str | bytes, name: str = "sheet.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("pattern", "name", "fields"),
    [
        pytest.param(PATTERN, "P1_a1_s3", {"plate": "P1", "well": "A01", "site": "s3"}, id="plain"),
        pytest.param(
            PATTERN, "my_plate_A01_1", {"plate": "my_plate", "well": "A01", "site": "1"}, id="only one reading"
        ),
        pytest.param("{well}*", "B03", {"well": "B03"}, id="star takes nothing too"),
        pytest.param("*_{well}_*", "x_y_B03_z_1", {"well": "B03"}, id="stars"),
        pytest.param("{treatment}/{well}_*", "c/drug (1)/A1_s1", {"treatment": "drug (1)", "well": "A01"}, id="folder"),
        pytest.param("{well}_{site}", "plate/x/A1_2", {"well": "A01", "site": "2"}, id="folders not asked for"),
        pytest.param("{well}_{site}", "plate\\A1_2", {"well": "A01", "site": "2"}, id="Windows folders"),
        pytest.param("{well}_s{site:d}.tif", "A1_s07", {"well": "A01", "site": "07"}, id="suffix in the pattern"),
        pytest.param("{a} [x]+({b})$", "1 [x]+(2)$", {"a": "1", "b": "2"}, id="all else stands for itself"),
        pytest.param(
            "r{row:d}c{column:d}f*", "r02c03f01p01", {"row": "02", "column": "03", "well": "B03"}, id="Operetta"
        ),
        pytest.param("{Plate}-{WELL}", "p-r1c2", {"plate": "p", "well": "A02"}, id="upper case fields"),
        pytest.param(
            r"_(?P<well>[A-P]\d{2})_(?:s(?P<site>\d+))?", "x_A01_s2", {"well": "A01", "site": "2"}, id="regex"
        ),
        pytest.param(r"^(?P<a>.+)\.*_.*_(?P<b>[.*]*)_[^_]+$", "x_y_._z", {"a": "x", "b": "."}, id="open regex"),
        pytest.param("{drug}_{site}", "[red]=1+1\n\udcff_1", {"drug": "[red]=1+1\n\udcff", "site": "1"}, id="hostile"),
    ],
)
def test_a_pattern_reads_a_name(pattern: str, name: str, fields: dict[str, str]) -> None:
    assert read_pattern(pattern).read(name) == fields


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (PATTERN, "P1_A01"), (PATTERN, "P1_Z99_1"), (PATTERN, ""), (PATTERN, "__"), ("{well}", "A01x"),
        ("{site:d}", "s1"), ("x{well}", "A01"), ("{a}/{b}", "x"), (r"(?P<well>.+)", "no well"), ("{a}", "a" * 2000),
    ],
)  # fmt: skip
def test_a_pattern_does_not_fit_another_name(pattern: str, name: str) -> None:
    assert read_pattern(pattern).read(name) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        pytest.param("", "has no field", id="empty"),
        pytest.param("plate", "has no field; write one in braces", id="no field"),
        pytest.param("*", "has no field", id="star alone"),
        pytest.param("{well", "a brace of '{well' has no partner", id="open brace"),
        pytest.param("{a}_{A}", "'a' stands twice", id="field twice"),
        pytest.param("{my well}", "'my well' is no name of a field", id="no word"),
        pytest.param("{a}{b}", "follow each other directly", id="nothing between"),
        pytest.param("{a:x}", "asks for 'x'", id="unknown kind"),
        pytest.param("(?P<well>[A-P", "is no regular expression", id="bad expression"),
        pytest.param("(?P<well>[[A-P])", "is no regular expression (Possible nested set", id="doubtful expression"),
        pytest.param("(?P<a>x)(?P<a>y)", "is no regular expression", id="group twice"),
        pytest.param("(?P<a>(x+)+)$", "can take for ever", id="catastrophic"),
        pytest.param("(?P<a>(x|x)*)$", "can take for ever", id="catastrophic choice"),
        pytest.param(r"(?P<a>.*.*.*.*.*.*.*.*.*)$", "can take for ever", id="too many repeats"),
        pytest.param(r"(?P<a>.*)_.*_\w+_.*$", "can take for ever", id="too much of anything"),
        pytest.param(r"(?P<well>[A-P]\d\d)" + "[^_]*" * 7 + "!", "can take for ever", id="classes beside each other"),
        pytest.param("(?P<a>" + "x*" * 7 + ")!", "can take for ever", id="letters beside each other"),
        pytest.param("(?P<a>" + "x?" * 30 + "x" * 30 + ")", "can take for ever", id="many times perhaps"),
        pytest.param("(?P<a>" + "(x|x)" * 30 + ")!", "can take for ever", id="many choices"),
        pytest.param("(?P<a>(x?){30})x", "can take for ever", id="repeated perhaps"),
        pytest.param("(?=x*x*x*x*!)(?P<a>x)", "can take for ever", id="in a look ahead"),
        pytest.param("(?i:X*X*X*X*!)(?P<a>x)", "can take for ever", id="flags within"),
        pytest.param("(?x)(?P<a>x* x* x* x*)!", "can take for ever", id="spaces that count not"),
        pytest.param("(?P<a>x+)(?#c)x+(?#)x+x+!", "can take for ever", id="comments"),
        pytest.param("(?P<a>x*)(y*x*)(y*x*)(y*x*)!", "can take for ever", id="nothing certain between"),
        pytest.param("{a}" + "x" * 500, "503 characters", id="long"),
    ],
)
def test_a_bad_pattern_is_refused_in_a_sentence(pattern: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        plan_groups(["x"], pattern=pattern, sheet=None)
    assert str(error.value).startswith("--name-pattern: ")
    assert words in str(error.value)


def test_names_that_do_not_fit_are_counted_and_a_pattern_that_fits_is_offered() -> None:
    with pytest.raises(UsageError) as error:
        plan_groups(["P1_A1_1", "P1-A1-1", "P1-A2-1"], pattern=PATTERN, sheet=None)
    sentence = str(error.value)
    assert "2 of 3 names do not fit '{plate}_{well}_{site}', the first is 'P1-A1-1'" in sentence
    assert sentence.endswith("try '{plate}-{well}-{site}'.")


def test_a_name_of_more_pieces_gets_a_pattern_for_its_well() -> None:
    with pytest.raises(UsageError, match=r"try '\*_\{well\}_\*'"):
        plan_groups(["exp_1_A01_w1"], pattern="{well}_{site}", sheet=None)


def test_two_ways_to_read_a_name_are_an_error_not_a_guess() -> None:
    with pytest.raises(UsageError) as error:
        plan_groups(["drug_a_1"], pattern="{treatment}_{site}", sheet=None)
    assert "treatment could be 'drug' or 'drug_a'" in str(error.value)
    assert plan_groups(["drug_a_1"], pattern="{treatment}_{site:d}", sheet=None).attributes["drug_a_1"]["site"] == "1"


def test_reading_ends_in_time_whatever_the_name() -> None:
    start = time.process_time()
    for pattern in ("*a" * 8 + "{well}b", "{a}_" * 10 + "{b}", r"(?P<a>[^_]+)_(?P<b>[^_]+)_(?P<c>\d+)$"):
        with pytest.raises(UsageError):
            plan_groups(["a" * 250, "_" * 250], pattern=pattern, sheet=None)
    assert time.process_time() - start < 60


@pytest.mark.parametrize(
    "pattern",
    [
        "_".join(f"(?P<f{i}>[^_]+)" for i in range(7)), r"(?P<plate>.+)_(?P<well>[A-P]\d{1,2})_s?(?P<site>\d+)",
        r"(?P<drug>ctrl|a|b|c|d|e|f|g|h|dmso)_(?P<site>\d+)", r"r(?P<row>\d+)c(?P<col>\d+)f(?P<site>\d+)p\d+-ch\d+",
        r"(?P<a>.*)_(?P<b>.*)_(?P<c>.*)", r"(?i)(?P<well>[a-p]\d\d).*ch(?P<c>\d)$", r"(?P<a>.*?)_(?P<b>\w+?)-x",
    ],
)  # fmt: skip
def test_expressions_as_names_need_them_are_taken(pattern: str) -> None:
    assert read_pattern(pattern).fields


@given(st.text("x_[^]*+?{1,2}()|:.\\d$=!b", max_size=24), st.sampled_from("x_1!"))
def test_no_expression_that_is_taken_keeps_a_name_busy(rest: str, letter: str) -> None:
    try:
        pattern = read_pattern(f"(?P<a>x){rest}!")
    except UsageError:
        return
    start = time.process_time()
    pattern.read(letter * 99 + "_")
    assert time.process_time() - start < 60  # for ever, where the guard fails


def test_an_expression_is_tried_on_names_of_files_only() -> None:
    assert read_pattern("(?P<a>x+)").read("x" * 255) == {"a": "x" * 255}
    assert read_pattern("(?P<a>x+)").read("x" * 256) is None


@given(st.text(max_size=40), st.text(max_size=30))
def test_any_pattern_and_name_give_fields_or_a_sentence(pattern: str, name: str) -> None:
    sentence = ""
    try:
        plan = plan_groups([name], pattern=pattern, sheet=None)
    except CellmonaiError as error:
        sentence = error.sentence
    assert "\n" not in sentence
    assert sentence or set(plan.attributes) == {name}


word = st.text(st.characters(blacklist_characters="_/\\", blacklist_categories=[]), min_size=1, max_size=12)


@given(word, st.integers(0, 15), st.integers(1, 24), word)
def test_what_a_name_was_made_of_is_read_back(plate: str, row: int, column: int, site: str) -> None:
    name = f"{plate}_{chr(65 + row)}{column}_{site}"
    assert plan_groups([name], pattern=PATTERN, sheet=None).attributes[name] == {
        "plate": plate, "well": f"{chr(65 + row)}{column:02}", "site": site,
    }  # fmt: skip


def test_nothing_asked_for_is_an_empty_plan() -> None:
    assert plan_groups(NAMES, pattern=None, sheet=None).levels == ()
    with pytest.raises(UsageError, match="nothing tells the well"):
        plan_groups(NAMES, pattern=None, sheet=None, group_by=("well",))


def levels(names: list[str], pattern: str, group_by: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...], str]]:
    plan = plan_groups(names, pattern=pattern, sheet=None, group_by=group_by)
    return [(level.name, level.columns, level.unit) for level in plan.levels]


def test_the_unit_of_a_plate_is_the_well_and_that_of_a_well_the_field() -> None:
    assert levels(NAMES, PATTERN) == [("plate", ("plate",), "well"), ("well", ("plate", "well"), "field")]


@pytest.mark.parametrize(
    ("pattern", "name", "unit"),
    [
        pytest.param("{treatment}_{animal}_{slide}_{site}", "x_1_2_3", "animal", id="animal"),
        pytest.param("{treatment}_{plate}_{well}_{site}", "x_1_A2_3", "well", id="well"),
        pytest.param("{treatment}_{slide}_{site}", "x_1_2", "slide", id="slide"),
        pytest.param("{treatment}_{site}", "x_1", "field", id="field"),
    ],
)
def test_the_unit_of_a_treatment_is_the_largest_thing_that_was_treated(pattern: str, name: str, unit: str) -> None:
    assert levels([name], pattern, ("treatment",)) == [("treatment", ("treatment",), unit)]


def test_conditions_make_one_level_together_and_places_one_each() -> None:
    found = levels(["x_5_P_A1"], "{treatment}_{dose}_{plate}_{well}", ("dose", "well", "treatment"))
    assert found == [("well", ("plate", "well"), "field"), ("dose+treatment", ("dose", "treatment"), "well")]


def test_times_are_kept_apart_and_never_replicate_each_other() -> None:
    names = [f"A1_{site}_{hour}" for site in (1, 2) for hour in (0, 24)]
    assert levels(names, "{well}_{site}_{time}") == [("well+time", ("well", "time"), "field")]
    plan = plan_groups(names, pattern="{well}_{site}_{time}", sheet=None, group_by=("well",))
    assert "pool 2 values of time" in plan.notes[0]
    (well,) = summarise_groups([plan.field_count(name, 5) for name in names], plan.levels)
    assert (well.fields, well.units) == (4, 2)


def test_a_site_of_another_replicate_is_another_field() -> None:
    names = ["x_r1_1", "x_r2_1"]
    plan = plan_groups(names, pattern="{treatment}_{batch}_{site}", sheet=None, group_by=("treatment",))
    assert summarise_groups([plan.field_count(n, 1) for n in names], plan.levels)[0].units == 2


def test_what_a_level_takes_for_granted_is_said() -> None:
    plan = plan_groups(["x_1", "x_2"], pattern="{treatment}_{site}", sheet=None)
    assert "take every field as a replicate" in plan.notes[0]
    names = ["x_P1_A1", "x_P2_A1"]
    plan = plan_groups(names, pattern="{treatment}_{plate}_{well}", sheet=None, group_by=("treatment",))
    assert "wells of all 2 plates as independent replicates" in plan.notes[0]


def test_an_unknown_column_to_group_by_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no image has a 'wel' to group by; did you mean 'well'\?"):
        plan_groups(NAMES, pattern=PATTERN, sheet=None, group_by=("wel",))
    with pytest.raises(UsageError, match="nothing to group by is known, only site"):
        plan_groups(["1"], pattern="{site}", sheet=None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("well,treatment\nA1,drug\nB02,control\n", id="commas"),
        pytest.param("Well;Treatment;\r\nA1;drug;\r\n;;\r\nb2;control;\r\n", id="semicolons and empty lines"),
        pytest.param("\ufeffwell\ttreatment\nA01\tdrug\nB02\tcontrol\nC03\tnone\n", id="tabs and byte order mark"),
        pytest.param("well,treatment\nA1,drug\nB02,control\n".encode("utf-16"), id="UTF-16"),
    ],
)
def test_a_sheet_by_well_adds_its_columns_to_every_image_of_the_well(tmp_path: Path, text: str | bytes) -> None:
    plan = plan_groups(NAMES, pattern=PATTERN, sheet=sheet(tmp_path, text))
    assert [known["treatment"] for known in plan.attributes.values()] == ["drug", "drug", "control", "control"]
    assert plan.columns == ("plate", "well", "site", "treatment")
    assert [level.name for level in plan.levels] == ["plate", "well", "treatment"]
    assert plan.levels[-1].unit_columns == ("plate", "well")


@pytest.mark.parametrize("names", [["a", "b.1"], ["p/a", "p/b.1"], ["p\\a", "p\\b.1"]])
@pytest.mark.parametrize(
    "written", ["a,x\nb.1,y", "a.tif,x\nb.1.OME.TIFF,y", "p/a.png,x\n./p/b.1,y", '"p\\a",x\np\\b.1,y']
)
def test_a_sheet_names_images_by_stem_file_or_path(tmp_path: Path, names: list[str], written: str) -> None:
    plan = plan_groups(names, pattern=None, sheet=sheet(tmp_path, f"file,treatment\n{written}\n"))
    assert list(plan.attributes.values()) == [{"treatment": "x"}, {"treatment": "y"}]


def test_numbers_that_lost_their_zeros_in_a_spreadsheet_still_join(tmp_path: Path) -> None:
    table = sheet(tmp_path, "plate,treatment\n7,x\n")
    plan = plan_groups(["007_A1"], pattern="{plate}_{well}", sheet=table)
    assert plan.attributes["007_A1"] == {"plate": "007", "well": "A01", "treatment": "x"}


def test_rows_about_no_image_are_told_and_empty_cells_too(tmp_path: Path) -> None:
    plan = plan_groups(NAMES, pattern=PATTERN, sheet=sheet(tmp_path, "well,treatment\nA1,x\nB2,\nC3,y\nC4,y\n"))
    assert plan.notes[0] == "2 rows of sheet.csv are about no image that was counted"
    assert plan.notes[1].startswith("2 images have no treatment")
    plan = plan_groups(NAMES, pattern=PATTERN, sheet=sheet(tmp_path, "well,treatment\nA1,x\nB2,x\nC3,y\n"))
    assert plan.notes == ("1 row of sheet.csv is about no image that was counted",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("\n , \n", "the sheet is empty", id="blank"),
        pytest.param("well,treatment\nA1,x\n", "2 of 4 images have no row, the first is 'P1_B2_1'", id="missing row"),
        pytest.param("well,treatment\nA1,x\na01,y\nB2,x\n", "lines 2 and 3 are both about well 'A01'", id="row twice"),
        pytest.param("well,treatment\nA1,x\nQ99,y\n", "line 3 has the well 'Q99'", id="no well"),
        pytest.param("well,a,a\nA1,x,y\n", "two columns are called 'a'", id="column twice"),
        pytest.param("well,,a\nA1,x,y\n", "column 2 has no name", id="column without name"),
        pytest.param("well,a\nA1,x,y\n", "line 2 has more cells", id="long row"),
        pytest.param("wells,treatment\nA1,x\n", "rename 'wells' to 'well'", id="column misspelt"),
        pytest.param("age,sex\n1,f\n", "add a column image", id="nothing to join"),
        pytest.param("image,treatment\nP1_A1_1,x\n,y\n", "line 3 names no image", id="no image name"),
        pytest.param("image,t\nP1_A1,x\n", "the nearest there is 'P1_A1'", id="image misspelt"),
        pytest.param("image,a\nP1_A1_1,x\nP1_A1_1.tif,y\n", "are both about the image", id="image twice"),
        pytest.param(b"well,dose\nA1,1 \xb5M\n", "is not in UTF-8; save it as CSV UTF-8", id="Latin 1"),
        pytest.param(b"PK\x03\x04 workbook", "this is no text table", id="workbook"),
        pytest.param("a" * 200_000 + ",b\n", "cannot read the sheet", id="giant cell"),
    ],
)
def test_a_bad_sheet_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(InputError) as error:
        plan_groups(NAMES, pattern=PATTERN, sheet=sheet(tmp_path, text))
    assert words in str(error.value)
    assert "sheet.csv" in str(error.value)


def test_a_sheet_that_contradicts_a_name_is_refused(tmp_path: Path) -> None:
    table = sheet(tmp_path, "image,well\nP1_A1_1,A2\n")
    with pytest.raises(InputError, match="gives image 'P1_A1_1' the well 'A02', its name says 'A01'"):
        plan_groups(["P1_A1_1"], pattern=PATTERN, sheet=table)


def test_one_row_for_two_images_of_the_same_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could be about 'p/a' and about 'q/a'; write images with their folders"):
        plan_groups(["p/a", "q/a"], pattern=None, sheet=sheet(tmp_path, "image,t\na,x\n"))


def test_a_missing_sheet_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        plan_groups(NAMES, pattern=None, sheet=tmp_path / "none.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_sheet_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = sheet(tmp_path_factory.getbasetemp(), b"image,t\nx,1\n" + content)
    sentence = ""
    try:
        plan_groups(["x"], pattern=None, sheet=path)
    except CellmonaiError as error:
        sentence = error.sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("rows", ["=a,x\n'=a,y\n", "'=a,x\n''=a,y\n", "'=a.tif,x\n''=a.tif,y\n"])
def test_names_of_formulas_join_as_they_are_and_as_our_tables_write_them(tmp_path: Path, rows: str) -> None:
    plan = plan_groups(["=a", "'=a"], pattern=None, sheet=sheet(tmp_path, "image,treatment\n" + rows))
    assert {name: told["treatment"] for name, told in plan.attributes.items()} == {"=a": "x", "'=a": "y"}
