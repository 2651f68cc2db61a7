"""An audit from the draw to the total: what is drawn, what is written, what a filled sheet gives, what is refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import paint, scattered_discs
from PIL import Image

from cellmonai.core.errors import InputError, OutputError, UsageError
from cellmonai.core.progress import Silent
from cellmonai.images.rows import ArrayRows
from cellmonai.images.write import write_png
from cellmonai.measure.audits.estimates import StratumSample, guaranteed_interval
from cellmonai.measure.objects import measure_objects
from cellmonai.report.audit import TileView, contrast_limits, overlay_picture, plain_picture
from cellmonai.workflows.auditing import pictures as audit_pictures
from cellmonai.workflows.auditing.draw import AuditDraw, AuditField, AuditSettings, draw_audit, file_image, read_audit
from cellmonai.workflows.auditing.frame import draw_order, draw_units, make_frame, sample_sizes, usual_tile_px
from cellmonai.workflows.auditing.record import SCHEMA, _digest, read_record
from cellmonai.workflows.auditing.sheet import read_sheet

SHAPE = (240, 320)
CELLS = 60


def owners(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table = measure_objects(labels, pixel_size_um=None)
    return table["centroid_x_px"], table["centroid_y_px"]


@cache
def true_labels(seed: int) -> np.ndarray:
    return paint(scattered_discs(CELLS, SHAPE, radius_px=(5, 7), cells_per_cluster=2, seed=seed), SHAPE)


def without_every(labels: np.ndarray, step: int) -> np.ndarray:
    """Lose the cells step, 2 step, … and number the others anew, as a model that misses cells."""
    kept = np.where(labels % step == 0, 0, labels)
    return np.unique(kept, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)


def field_of(
    labels: np.ndarray, name: str = "field", plane: str = "", *, truth: np.ndarray | None = None
) -> AuditField:
    x, y = owners(labels)
    picture = ((labels if truth is None else truth) > 0).astype(np.uint16) * 800 + 100

    def image(region: tuple[int, int, int, int]) -> np.ndarray:
        return picture[None, region[0] : region[2], region[1] : region[3]]

    return AuditField(name, plane, (labels.shape[0], labels.shape[1]), labels, image, x, y, 12.0)


def missing_cells(fields: int = 4, step: int = 10) -> tuple[list[AuditField], list[np.ndarray]]:
    """Give fields whose computer count lacks every tenth cell, and their true label images."""
    truth = [true_labels(seed) for seed in range(fields)]
    return [field_of(without_every(labels, step), f"field {i}", truth=labels) for i, labels in enumerate(truth)], truth


def drawn(folder: Path, fields: list[AuditField], draws: int = 12, **settings: Any) -> AuditDraw:  # noqa: ANN401
    """Draw an audit with pictures of a few pixels, which are quickly made."""
    black = np.zeros((8, 8, 3), np.uint8)
    with (
        patch.object(audit_pictures, "plain_picture", lambda _: black),
        patch.object(audit_pictures, "overlay_picture", lambda *_, words: black),
    ):
        return drawn_in_full(folder, fields, draws, **settings)


def drawn_in_full(folder: Path, fields: list[AuditField], draws: int = 12, **settings: Any) -> AuditDraw:  # noqa: ANN401
    settings = {"tile_px": 80, **settings}
    return draw_audit(fields, settings=AuditSettings(folder=folder / "audit", draws=draws, **settings))


def sheet_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def fill(draw: AuditDraw, counts: dict[int, object]) -> Path:
    """Write counts, by unit, into the sheet."""
    rows = sheet_rows(draw.sheet)
    with draw.sheet.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(row | {"true_count": str(counts.get(int(row["unit"]), ""))} for row in rows)
    return draw.sheet


def true_counts(draw: AuditDraw, truth: list[np.ndarray]) -> dict[int, int]:
    """Count as a careful person would: cells whose middle lies inside the frame."""
    counts = {}
    for number, unit in enumerate(draw.record.drawn, start=1):
        at, top, left, bottom, right = draw.record.frame.boxes[unit]
        x, y = (np.floor(values + 0.5) for values in owners(truth[at]))
        counts[number] = int(np.count_nonzero((y >= top) & (y < bottom) & (x >= left) & (x < right)))
    return counts


# the frame


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 120),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40),
)
def test_the_counts_of_all_tiles_add_up_to_the_whole(
    rows: int, columns: int, tile_px: int, points: list[tuple[float, float]]
) -> None:
    x, y = np.array([p[0] * (columns - 1) for p in points]), np.array([p[1] * (rows - 1) for p in points])
    field = AuditField("f", "", (rows, columns), np.zeros((rows, columns), np.int32), None, x, y)
    frame = make_frame([field], tile_px=tile_px)
    assert frame.counts.sum() == len(points)
    covered = np.zeros((rows, columns), int)
    for _, top, left, bottom, right in frame.boxes:
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()


def test_an_object_belongs_to_the_tile_that_holds_its_middle() -> None:
    x, y = np.array([9.4, 9.5, 0.0]), np.array([3.0, 3.0, 19.0])
    frame = make_frame([AuditField("f", "", (20, 20), np.zeros((20, 20)), None, x, y)], tile_px=10)
    assert frame.counts.tolist() == [1, 1, 1, 0]


def test_tiles_hold_about_thirty_cells() -> None:
    fields, _ = missing_cells()
    tile_px = usual_tile_px(fields)
    frame = make_frame(fields, tile_px=tile_px)
    assert 20 <= frame.counts.mean() <= 40
    empty = AuditField("f", "", (100, 100), np.zeros((100, 100)), None, np.zeros(0), np.zeros(0))
    assert usual_tile_px([empty]) == 256


def test_whole_fields_can_be_the_units() -> None:
    fields, _ = missing_cells(3)
    frame = make_frame(fields, tile_px=None)
    assert frame.boxes.tolist() == [[i, 0, 0, *SHAPE] for i in range(3)]
    assert frame.counts.tolist() == [54, 54, 54]


@given(st.integers(0, 2**64), st.integers(1, 300))
def test_the_shuffle_takes_every_unit_once(seed: int, units: int) -> None:
    assert sorted(draw_order(seed, units)) == list(range(units))


def test_the_shuffle_never_changes() -> None:
    assert draw_order(7, 8) == [4, 7, 3, 2, 1, 5, 6, 0]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(1, 5))
def test_strata_go_from_few_to_many_and_none_is_left_alone(counts: list[int], wished: int) -> None:
    x = np.concatenate([np.full(n, i) for i, n in enumerate(counts)])
    field = AuditField("f", "", (1, len(counts)), np.zeros((1, len(counts))), None, x, np.zeros(x.size))
    frame = make_frame([field], tile_px=1, strata=wished)
    assert frame.counts.tolist() == counts
    sizes = frame.stratum_units
    assert len(sizes) == max(1, min(wished, len(counts) // 2))
    assert len(sizes) == 1 or min(sizes) >= 2
    ends = [(frame.counts[frame.strata == h].min(), frame.counts[frame.strata == h].max()) for h in range(len(sizes))]
    assert all(one[1] <= other[0] for one, other in pairwise(ends))
    draws = min(len(counts), 2 * len(sizes) + 3)
    taken = draw_units(frame, sample_sizes(frame, draws), seed=1)
    assert len(set(taken)) == len(taken) == draws


# what is written


def test_a_draw_leaves_pictures_a_sheet_a_record_and_instructions(tmp_path: Path) -> None:
    fields, _ = missing_cells()
    draw = drawn(tmp_path, fields)
    names = {path.relative_to(draw.folder).as_posix() for path in draw.folder.rglob("*") if path.is_file()}
    pictures = {f"{i:03d}.png" for i in range(1, 13)}
    overlays = {f"overlays/{i:03d}_overlay.png" for i in range(1, 13)}
    assert names == {"audit.csv", "audit.json", "README.txt"} | pictures | overlays
    assert {path.relative_to(draw.folder).as_posix() for path in draw.outputs} == names
    assert draw.ai_total == sum(len(field.owner_x) for field in fields) == 216
    text = (draw.folder / "README.txt").read_text("utf-8")
    assert "12 of 48 tiles were drawn by lot" in text
    assert draw.record.digest in text
    assert "off by no more than 10 cells in any tile" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 88


def test_the_sheet_and_the_pictures_do_not_tell_what_the_computer_found(tmp_path: Path) -> None:
    truth = true_labels(0)
    everything, nothing = truth, np.zeros_like(truth)
    x, y = owners(truth)
    for folder, labels in (("a", everything), ("b", nothing)):
        field = field_of(everything)
        field = AuditField("f", "", SHAPE, labels, field.image, x[: labels.max()], y[: labels.max()], 12.0)
        drawn_in_full(tmp_path / folder, [field], draws=12, tile_px=160)
    assert list(sheet_rows(tmp_path / "a" / "audit" / "audit.csv")[0]) == [
        "unit",
        "picture",
        "true_count",
        "note",
        "audit",
    ]
    boxes = [read_record(tmp_path / folder / "audit" / "audit.json") for folder in "ab"]
    for number, unit in enumerate(boxes[0].drawn, start=1):
        other = boxes[1].drawn.index(unit) + 1
        pictures = [
            np.array(Image.open(tmp_path / folder / "audit" / f"{n:03d}.png"))[60:]
            for folder, n in (("a", number), ("b", other))
        ]
        assert np.array_equal(*pictures)


def test_the_same_masks_give_the_same_draw_and_other_masks_another(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    one, again = drawn_in_full(tmp_path / "1", fields, 2), drawn_in_full(tmp_path / "2", fields, 2)
    assert one.record.digest == again.record.digest
    assert not one.record.seed_given
    for path, twin in zip(one.outputs, again.outputs, strict=True):
        assert path.read_bytes() == twin.read_bytes()
    other = drawn(tmp_path / "3", [field_of(labels) for labels in truth], 2)
    assert other.record.seed != one.record.seed


def test_a_seed_that_was_given_is_told(tmp_path: Path) -> None:
    draw = drawn(tmp_path, missing_cells()[0], seed=5)
    assert (draw.record.seed, draw.record.seed_given) == (5, True)
    assert draw.record.drawn[0] == draw_order(5, 48)[0]


def test_fewer_units_than_draws_are_all_drawn(tmp_path: Path) -> None:
    draw = drawn(tmp_path, missing_cells(1)[0], draws=30)
    assert len(draw.record.drawn) == 12
    assert draw.half_width == 0
    assert "counting them gives the total itself" in draw.sentence


def test_the_promise_at_the_draw_is_kept_when_no_error_is_found(tmp_path: Path) -> None:
    fields, _ = missing_cells()
    draw = drawn(tmp_path, fields)
    frame = draw.record.frame
    result = read_audit(fill(draw, {n: int(frame.counts[u]) for n, u in enumerate(draw.record.drawn, 1)}))
    assert result.interval is not None
    low, high = result.interval
    assert result.total == draw.ai_total
    assert high - draw.ai_total == pytest.approx(draw.half_width, abs=1)
    assert low >= draw.ai_total - draw.half_width
    assert result.most_wrong > 0
    assert (result.normal, result.wrong) == ((draw.ai_total, draw.ai_total), 0)


@pytest.mark.parametrize(("bound", "expected"), [(None, (10, 27)), (15, (15, 15))])
def test_each_stratum_declares_half_of_its_fullest_unit(
    tmp_path: Path, bound: int | None, expected: tuple[int, int]
) -> None:
    few = field_of(paint(scattered_discs(8, SHAPE, radius_px=(5, 7), seed=9), SHAPE))
    fields = [*missing_cells(2)[0], *[few] * 6]
    draw = drawn(tmp_path, fields, draws=5, unit="fields", tile_px=None, strata=2, bound=bound)
    assert draw.record.bounds == expected
    assert all(size >= 2 for size in draw.record.sizes)


def test_larger_cells_get_more_surroundings_and_the_frame_hides_no_pixel() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (1, 60, 70), dtype=np.uint16)
    view = TileView(image, (10, 10, 50, 60), ((0.0, 254.0),), "tile 1")
    picture = plain_picture(view)
    scale = 8
    assert picture.shape[0] >= 60 * scale
    blue = (picture == (86, 200, 255)).all(axis=2)
    orange = (picture == (255, 176, 0)).all(axis=2)
    top = int(np.flatnonzero(blue.sum(axis=1) > 300)[-1]) + 1
    left = int(np.flatnonzero(blue.sum(axis=0) > 200)[-1]) + 1
    bottom = int(np.flatnonzero(orange.sum(axis=1) > 150)[0])
    right = int(np.flatnonzero(orange.sum(axis=0) > 120)[0])
    assert (bottom - top, right - left) == (40 * scale, 50 * scale)
    inside = picture[top:bottom, left:right]
    assert not (blue | orange)[top:bottom, left:right].any()
    assert inside.mean() > 1.6 * picture[top - 40 : top - 10, left:right].mean()


def test_the_overlay_colours_what_is_counted_and_greys_its_neighbours() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[20:30, 20:30], labels[0:8, 20:30] = 9001, 9002
    view = TileView(np.full((1, 60, 60), 50, np.uint8), (10, 10, 50, 50), ((0.0, 255.0),), "tile 1")
    picture = overlay_picture(view, labels, np.array([9001]), words="the computer counted 1")
    grey = (picture == (140, 140, 140)).all(axis=2)
    coloured = (picture.max(axis=2).astype(int) - picture.min(axis=2)) > 60
    assert grey.any()
    rows = np.flatnonzero(coloured[:, 300:].sum(axis=1))
    assert rows.size
    assert np.flatnonzero(grey.any(axis=1)).max() < 60 * 8 / 2 + 80


def test_contrast_is_that_of_the_field_so_that_empty_tiles_stay_empty() -> None:
    assert contrast_limits([np.zeros((1, 4, 4)), np.full((1, 4, 4), 10.0)]) == ((0.0, 10.0),)
    assert contrast_limits([np.full((2, 4, 4), 3)]) == ((3.0, 4.0), (3.0, 4.0))
    bright = [np.stack([np.linspace(low, 250, 400).reshape(20, 20) ** 0.5 for low in (10, 50, 90)])]
    assert len(set(contrast_limits(bright))) == 1


def test_large_tiles_are_made_smaller_with_their_labels() -> None:
    labels = np.zeros((1000, 1700), np.int32)
    labels[500:900, 500:900] = 1
    view = TileView(np.zeros((1, 1000, 1700), np.uint8), (0, 0, 1000, 1700), ((0.0, 1.0),), "field 1")
    assert overlay_picture(view, labels, np.array([1]), words="1").shape[1] < 900


def test_images_come_from_files_and_labels_from_rows(tmp_path: Path) -> None:
    labels = true_labels(0)
    write_png(tmp_path / "f.png", np.repeat((labels > 0)[:, :, None] * np.uint8(200), 3, axis=2), overwrite=False)
    x, y = owners(labels)
    field = AuditField("f", "", SHAPE, ArrayRows(labels), file_image(tmp_path / "f.png"), x, y)
    assert len(drawn_in_full(tmp_path, [field], 2).record.drawn) == 2


# what a filled sheet gives


@pytest.mark.parametrize("strata", [1, 3])
def test_counting_the_drawn_tiles_gives_the_true_total(tmp_path: Path, strata: int) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields, draws=24, strata=strata)
    result = read_audit(fill(draw, true_counts(draw, truth)))
    assert (result.ai_total, sum(int(labels.max()) for labels in truth)) == (216, 240)
    assert result.interval is not None
    assert result.normal is not None
    assert result.interval[0] <= 240 <= result.interval[1]
    assert abs(result.total - 240) < 12
    assert result.interval[0] >= sum(unit.true_count for unit in result.counted)
    assert (result.units, result.partial, len(result.counted)) == (48, False, 24)


def test_counting_every_tile_is_exact_whatever_the_bound(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields, draws=48)
    result = read_audit(fill(draw, true_counts(draw, truth)))
    assert result.total == 240
    assert result.interval == (240, 240)
    assert result.normal == (240, 240)
    assert result.most_wrong == result.wrong


@pytest.mark.parametrize("strata", [1, 3])
def test_drawing_many_times_the_estimate_is_right_on_average_and_the_interval_covers(strata: int) -> None:
    fields, truth = missing_cells()
    frame = make_frame(fields, tile_px=80, strata=strata)
    true_frame = make_frame([field_of(labels) for labels in truth], tile_px=80)
    errors = (true_frame.counts - frame.counts).astype(np.float64)
    assert (errors.sum(), np.abs(errors).max() <= 10) == (24, True)
    sizes, estimates, covered = sample_sizes(frame, 15), [], 0
    for seed in range(200):
        units = np.array(draw_units(frame, sizes, seed))
        samples = [
            StratumSample(whole, size, 10, errors[units[frame.strata[units] == h]])
            for h, (whole, size) in enumerate(zip(frame.stratum_units, sizes, strict=True))
        ]
        estimates.append(sum(s.units * s.errors.mean() for s in samples))
        low, high = guaranteed_interval(samples) or (0.0, -1.0)
        covered += low <= 24 <= high
    assert np.mean(estimates) == pytest.approx(24, abs=4 * np.std(estimates) / 200**0.5)
    assert covered >= 0.95 * 200


def test_stopping_early_uses_the_first_tiles_and_says_so(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields, draws=24)
    counts = true_counts(draw, truth)
    whole = read_audit(fill(draw, counts))
    part = read_audit(fill(draw, {n: counts[n] for n in range(1, 11)}))
    assert (part.partial, len(part.counted)) == (True, 10)
    assert part.interval is not None
    assert whole.interval is not None
    assert part.interval[0] <= 240 <= part.interval[1]
    assert part.interval[1] - part.interval[0] > whole.interval[1] - whole.interval[0]


def test_an_error_beyond_the_bound_voids_the_interval_and_leaves_the_estimate(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields, bound=10)
    counts = true_counts(draw, truth)
    ai_count = int(draw.record.frame.counts[draw.record.drawn[2]])
    result = read_audit(fill(draw, counts | {3: ai_count + 11}))
    assert result.interval is None
    assert result.interval_reason is not None
    assert "tile 3 is off by 11 cells, beyond the bound of 10" in result.interval_reason
    assert result.normal is not None
    assert result.as_json()["interval"] is None
    assert [unit.number for unit in result.beyond_bound] == [3]
    assert all(size.betting is None for size in result.sizes)


def test_a_wished_half_width_tells_how_many_tiles_it_takes(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields)
    path = fill(draw, true_counts(draw, truth))
    narrow, wide = (read_audit(path, half_width=wish).sizes for wish in ("5%", "100"))
    assert len(narrow) == len(wide) == 1
    assert wide[0].half_width == 100
    assert narrow[0].half_width == pytest.approx(read_audit(path).total / 20)
    assert None not in (narrow[0].betting, wide[0].betting)
    assert (narrow[0].betting or 0) > (wide[0].betting or 0)
    assert read_audit(path, half_width="+-100").sizes == read_audit(path, half_width=" ±100 ").sizes == wide
    for wish in ("0", "-5", "much", "nan", "inf", "%"):
        with pytest.raises(UsageError, match="half-width"):
            read_audit(path, half_width=wish)


def test_the_document_for_programs_holds_everything(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields)
    document = json.loads(json.dumps(read_audit(fill(draw, true_counts(draw, truth))).as_json(), allow_nan=False))
    assert document["schema"] == "cellmonai.audit/1"
    assert document["interval"]["method"] == "betting"
    assert document["normal_interval"]["label"] == "approximate, too short when errors are rare"
    assert document["wrong_units"]["at_most"] >= document["wrong_units"]["seen"]
    assert document["digest"] == draw.record.digest == json.loads((draw.folder / "audit.json").read_text())["digest"]
    assert len(document["audited"]) == document["counted"] == 12


@pytest.mark.parametrize("where", ["audit/audit.csv", "audit", "."])
def test_the_sheet_is_found_by_its_folders_too(tmp_path: Path, where: str) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields)
    fill(draw, true_counts(draw, truth))
    assert read_audit(tmp_path / where).sheet == draw.sheet


# what spreadsheets make of a sheet


@pytest.fixture(scope="module")
def one_draw(tmp_path_factory: pytest.TempPathFactory) -> AuditDraw:
    return drawn(tmp_path_factory.mktemp("draw"), missing_cells()[0], draws=3)


@pytest.fixture
def sheet(one_draw: AuditDraw) -> Any:  # noqa: ANN401 - a function
    def write(content: str | bytes) -> Path:
        """Write a sheet; MARK stands for the draw's mark."""
        if isinstance(content, str):
            content = content.replace("MARK", one_draw.record.mark).encode()
        one_draw.sheet.write_bytes(content)
        return one_draw.sheet

    return write


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("unit,picture,true_count,note,audit\n1,001.png,4,,MARK\n2,,5,,MARK\n3,,6,,MARK\n", id="as drawn"),
        pytest.param("\ufeffunit;true_count;note;audit\r\n1;4;;MARK\r\n2;5;;MARK\r\n3;6,0;;MARK\r\n", id="Excel"),
        pytest.param('"unit","true_count","audit"\n"3","6.0","MARK"\n"1"," 4.00","MARK"\n"2","5.","MARK"\n', id="text"),
        pytest.param("unit\ttrue_count\taudit\n1\t4\tMARK\n2\t5\tMARK\n3\t6\tMARK\n\t\t\n", id="tabs"),
        pytest.param('Unit,true_count,note,Audit\n1,4,"a, b\nc",MARK\n2,5,=1+1,MARK\n3,6,<b>,MARK\n', id="notes"),
    ],
)  # fmt: skip
def test_a_sheet_is_read_whatever_the_spreadsheet_made_of_it(sheet: Any, content: str) -> None:  # noqa: ANN401
    assert [unit.true_count for unit in read_audit(sheet(content)).counted] == [4, 5, 6]


def test_other_encodings_are_read(sheet: Any, one_draw: AuditDraw) -> None:  # noqa: ANN401
    text = f"unit,true_count,note,audit\n1,4,größer,{one_draw.record.mark}\n"
    for encoding in ("utf-8", "utf-16", "latin-1"):
        assert read_audit(sheet(text.encode(encoding))).counted[0].true_count == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("unit,true_count,audit\n1,4,MARK\n2,many,MARK\n", "row 3, unit 2: the count is 'many'", id="text"),
        pytest.param("unit,true_count,audit\n1,=3+4,MARK\n", "row 2, unit 1: the count is '=3+4'", id="formula"),
        pytest.param("unit,true_count,audit\n1,-4,MARK\n", "'-4'", id="negative"),
        pytest.param("unit,true_count,audit\n1,4.5,MARK\n", "'4.5'", id="half a cell"),
        pytest.param('unit,true_count,audit\n1,"1,000",MARK\n', "row 2, unit 1: the count is '1,000'", id="thousand"),
        pytest.param("unit;true_count;audit\n1;4;MARK\n2;1.000;MARK\n", "unit 2: the count is '1.000'", id="1.000"),
        pytest.param("unit,true_count,audit\n1,1e3,MARK\n", "'1e3'", id="exponent"),
        pytest.param("unit,true_count,audit\n1,٤,MARK\n", "expected a whole number", id="other digits"),
        pytest.param("unit,true_count,audit\n1,99999999999999999999,MARK\n", "expected a whole number", id="huge"),
        pytest.param('unit,true_count,audit\n1,"4\x1b[31m",MARK\n', r"\x1b", id="control characters"),
        pytest.param("unit,true_count,audit\n1,4,MARK\n1,5,MARK\n", "rows 2 and 3 are both for unit 1", id="twice"),
        pytest.param("unit,true_count,audit\n1,4,MARK\n9,5,MARK\n", "row 3 is for unit 9, and 3 were", id="no unit"),
        pytest.param("unit,true_count,audit\n,4,MARK\n", "row 2 does not say which unit", id="unit lost"),
        pytest.param("unit,true_count,audit\n1,4,audit-000000000000\n", "belongs to another audit", id="mixed up"),
        pytest.param("unit,true_count,audit\n1,,MARK\n2,5,MARK\n", "missing for unit 1", id="gap"),
        pytest.param("unit,true_count,audit\n3,5,MARK\n", "missing for unit 1, 2", id="rows deleted"),
        pytest.param("unit,true_count,audit\n1,,MARK\n2,,MARK\n", "no count is filled in yet", id="nothing filled"),
        pytest.param("unit,count,audit\n1,4,MARK\n", "no column true_count", id="column renamed"),
        pytest.param("unit,true_count,true_count,audit\n1,4,5,MARK\n", "more than one", id="column doubled"),
        pytest.param("", "no column unit", id="empty"),
        pytest.param(b"PK\x03\x04 and more", "it is a workbook", id="xlsx"),
        pytest.param(b"\x00\x01\x02\xff" * 50, "no column unit", id="binary"),
        pytest.param('unit,true_count,audit\n1,"' + "4" * 200_000 + '",MARK\n', "it is no table", id="endless cell"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_row(sheet: Any, content: str | bytes, words: str) -> None:  # noqa: ANN401
    with pytest.raises(InputError) as refusal:
        read_audit(sheet(content))
    assert words in refusal.value.sentence
    assert "audit.csv: " in refusal.value.sentence


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_reader_fail_otherwise(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.csv"
        path.write_bytes(b"unit,true_count,audit\n" + content)
        try:
            read_sheet(path)
        except InputError:
            return


# what was frozen stays frozen


def changed(draw: AuditDraw, change: Any, *, sign_again: bool) -> Path:  # noqa: ANN401 - a function
    path = draw.folder / "audit.json"
    document = json.loads(path.read_text("utf-8"))
    change(document)
    if sign_again:
        document["digest"] = _digest({key: value for key, value in document.items() if key != "digest"})
    path.write_text(json.dumps(document), "utf-8")
    return draw.sheet


def other_count(document: dict[str, Any]) -> None:
    document["units"][0][-1] += 1


def other_bound(document: dict[str, Any]) -> None:
    document["bounds"] = [1]


def other_draw(document: dict[str, Any]) -> None:
    document["drawn"][0], document["drawn"][1] = document["drawn"][1], document["drawn"][0]


def wild_stratum(document: dict[str, Any]) -> None:
    document["units"][0][5] = 2**62


def wild_box(document: dict[str, Any]) -> None:
    document["units"][0][3] = 2**40


def wild_side(document: dict[str, Any]) -> None:
    document["fields"][0][2] = document["units"][0][3] = 2**62


def wild_counts(document: dict[str, Any]) -> None:
    document["units"][0][6] = document["units"][1][6] = 2**62


def no_units(document: dict[str, Any]) -> None:
    document["units"] = []


def wild_field(document: dict[str, Any]) -> None:
    document["units"][0][0] = 99


@pytest.mark.parametrize(
    ("change", "sign_again", "words"),
    [
        pytest.param(other_count, False, "changed after the draw", id="a count"),
        pytest.param(other_bound, False, "changed after the draw", id="the bound"),
        pytest.param(other_draw, True, "not those that the seed draws", id="the draw, signed again"),
        pytest.param(no_units, True, "not what count --audit writes", id="no units"),
        pytest.param(wild_field, True, "not what count --audit writes", id="a field that is not there"),
        pytest.param(wild_stratum, True, "not what count --audit writes", id="a stratum beyond memory"),
        pytest.param(wild_box, True, "not what count --audit writes", id="a box beyond its field"),
        pytest.param(wild_side, True, "not what count --audit writes", id="a field beyond memory"),
        pytest.param(wild_counts, True, "not what count --audit writes", id="counts beyond numbers"),
        pytest.param(lambda d: d.update(bounds=[10**400]), True, "not what count --audit writes", id="endless bound"),
        pytest.param(lambda d: d.pop("sizes"), True, "not what count --audit writes", id="a key lost"),
        pytest.param(lambda d: d.update(schema="x"), True, "not what count --audit writes", id="another schema"),
        pytest.param(lambda d: d.update(bounds=["1"]), True, "belongs to another audit", id="the bound, signed again"),
    ],
)
def test_a_changed_record_is_refused(tmp_path: Path, change: Any, sign_again: bool, words: str) -> None:  # noqa: ANN401, FBT001
    draw = drawn(tmp_path, missing_cells(1)[0], draws=3)
    fill(draw, {1: 4})
    with pytest.raises(InputError, match=words):
        read_audit(changed(draw, change, sign_again=sign_again))


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"{" * 5000, b"[" * 100_000], ids=range(5))
def test_a_damaged_record_is_refused(tmp_path: Path, content: bytes) -> None:
    draw = drawn(tmp_path, missing_cells(1)[0], draws=3)
    fill(draw, {1: 4})
    (draw.folder / "audit.json").write_bytes(content)
    with pytest.raises(InputError, match="not what count --audit writes"):
        read_audit(draw.sheet)
    (draw.folder / "audit.json").unlink()
    with pytest.raises(InputError, match=r"keep audit.csv and audit.json in one folder"):
        read_audit(draw.sheet)


def test_a_record_survives_writing_and_reading_with_any_name(tmp_path: Path) -> None:
    name = "=cmd|'\n\u202e\udcff<b>[red]\""
    labels = true_labels(0)
    draw = drawn(tmp_path, [field_of(labels, name, "z\t1")], draws=5, strata=2)
    record = read_record(draw.folder / "audit.json")
    assert record.frame.fields == ((name, "z\t1", *SHAPE),)
    assert record.digest == draw.record.digest
    assert record.as_json()["schema"] == SCHEMA
    assert name not in (draw.folder / "README.txt").read_text("utf-8")


# refusals at the draw


def test_without_images_there_is_no_audit(tmp_path: Path) -> None:
    labels = true_labels(0)
    x, y = owners(labels)
    blind = AuditField("plate\n1", "", SHAPE, labels, None, x, y)
    with pytest.raises(InputError) as refusal:
        drawn(tmp_path, [field_of(labels), blind, blind])
    assert "no image is known for this mask (nor for 1 more)" in refusal.value.sentence
    assert "--images" in refusal.value.sentence
    assert not (tmp_path / "audit").exists()
    with pytest.raises(InputError, match="nothing was counted"):
        drawn(tmp_path, [])


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    labels = true_labels(0)
    x, y = owners(labels)
    field = AuditField("f", "", SHAPE, labels, lambda _: np.zeros((1, 5, 5), np.uint8), x, y)
    with pytest.raises(InputError, match="name its own image"):
        drawn(tmp_path, [field])


def test_an_audit_in_the_way_is_replaced_only_when_asked_and_never_once_begun(tmp_path: Path) -> None:
    fields, _ = missing_cells(1)
    drawn(tmp_path, fields, draws=6)
    with pytest.raises(OutputError, match="exists already"):
        drawn(tmp_path, fields, draws=3)
    draw = drawn(tmp_path, fields, draws=3, overwrite=True)
    assert len(list(draw.folder.glob("*.png"))) == 3
    fill(draw, {2: 0})
    with pytest.raises(OutputError, match="begun to fill"):
        drawn(tmp_path, fields, draws=6, overwrite=True)
    draw.sheet.write_bytes(b"PK\x03\x04")  # saved as a workbook: it may be filled, who knows
    with pytest.raises(OutputError, match="begun to fill"):
        drawn(tmp_path, fields, draws=6, overwrite=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"draws": 0}, "draws of the audit is 0"),
        ({"tile_px": -1}, "tile_px of the audit is -1"),
        ({"bound": 0}, "bound of the audit is 0"),
        ({"strata": 0}, "strata of the audit is 0"),
        ({"unit": "fields"}, "fields have no tile size"),
        ({"draws": 3, "strata": 2}, "3 units cannot be drawn from 2 strata"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        drawn(tmp_path, missing_cells(1)[0], **settings)


def test_the_draw_is_told_in_one_line(tmp_path: Path) -> None:
    class Listening(Silent):
        def note(self, text: str) -> None:
            said.append(text)

    said: list[str] = []
    settings = AuditSettings(folder=tmp_path / "audit", draws=2, tile_px=80)
    draw = draw_audit(missing_cells()[0], settings=settings, reporter=Listening())
    assert said == [draw.sentence]
    assert "2 of 48 tiles drawn; if they show no error, the total of 216 is known at 95 % to ±" in said[0]
    assert "no tile is off by more than 10" in said[0]
    assert draw.as_json()["half_width_without_errors"] == pytest.approx(draw.half_width, abs=0.1)


def test_fewer_strata_than_asked_for_are_told_and_frozen(tmp_path: Path) -> None:
    class Listening(Silent):
        def note(self, text: str) -> None:
            said.append(text)

    said: list[str] = []
    settings = AuditSettings(folder=tmp_path / "audit", draws=4, unit="fields", strata=5)
    draw = draw_audit(missing_cells(4)[0], settings=settings, reporter=Listening())
    assert said == ["audit: 2 strata instead of 5, as each needs two of the 4 units", draw.sentence]
    frozen = json.loads((draw.folder / "audit.json").read_text("utf-8"))
    assert (frozen["strata_asked"], len(frozen["sizes"])) == (5, 2)
    assert read_record(draw.folder / "audit.json").digest == draw.record.digest
    assert (draw.as_json()["strata"], draw.as_json()["strata_asked"]) == (2, 5)


def test_another_level_is_kept_to_and_told(tmp_path: Path) -> None:
    fields, truth = missing_cells()
    draw = drawn(tmp_path, fields)
    path = fill(draw, true_counts(draw, truth))
    usual, lower = read_audit(path), read_audit(path, level=0.8)
    assert usual.interval is not None
    assert lower.interval is not None
    assert lower.interval[1] - lower.interval[0] < usual.interval[1] - usual.interval[0]
    assert lower.most_wrong < usual.most_wrong
    document = lower.as_json()
    assert {document[key]["level"] for key in ("interval", "normal_interval", "wrong_units")} == {0.8}


def test_nothing_heavy_is_imported_to_draw() -> None:
    code = (
        "import sys, cellmonai.workflows.auditing.draw, cellmonai.cli.audit;"
        "print(*{'torch', 'scipy', 'skimage', 'zarr', 'PIL', 'pandas', 'pydantic', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
