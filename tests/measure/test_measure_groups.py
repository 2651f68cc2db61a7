"""Groups of fields: their numbers, their unit of replication, and how often the intervals hold the truth."""

from __future__ import annotations

import json
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.measure.replicates.groups import FieldCount, GroupLevel, summarise_groups
from cellmonai.measure.replicates.intervals import INTERVAL_KINDS, mean_interval, ratio_interval
from cellmonai.measure.replicates.wells import parse_well, plate_format, well_name
from cellmonai.measure.replicates.words import group_warnings, natural_order

WELL = GroupLevel("well", ("well",), "field")
TREATMENT = GroupLevel("treatment", ("treatment",), "well", ("well",))


def field(count: int, well: str = "A01", treatment: str = "x", *, area: float | None = None, **more: str) -> FieldCount:
    return FieldCount({"well": well, "treatment": treatment, **more}, count, area)


def test_a_well_has_sum_mean_and_standard_deviation_over_its_fields() -> None:
    (well,) = summarise_groups([field(10), field(14), field(18)], [WELL])
    assert (well.fields, well.units, well.unit, well.sum, well.mean) == (3, 3, "field", 42, 14.0)
    assert well.sd == pytest.approx(4.0)
    assert well.warning is None


def test_a_treatment_is_replicated_by_its_wells_however_many_fields_they_have() -> None:
    fields = [field(n, "A01") for n in (10, 10, 10, 10)] + [field(20, "A02"), field(30, "A03")]
    (treatment,) = summarise_groups(fields, [TREATMENT])
    assert (treatment.fields, treatment.units, treatment.unit) == (6, 3, "well")
    assert (treatment.sum, treatment.mean, treatment.sd) == (90, 20.0, pytest.approx(10.0))
    assert treatment.field_sd == pytest.approx(np.std([10] * 4 + [20, 30], ddof=1))


def test_many_fields_of_one_well_are_no_evidence_on_a_treatment() -> None:
    (treatment,) = summarise_groups([field(n) for n in range(50, 80)], [TREATMENT])
    assert (treatment.units, treatment.sd, treatment.sampling_low, treatment.interval_kind) == (1, None, None, None)
    assert treatment.warning is not None
    assert "treatment x has one well with 30 fields" in treatment.warning
    assert treatment.density_low is None


def test_planes_of_one_image_are_one_unit() -> None:
    planes = [FieldCount({"well": "A01"}, n, image=image) for image, n in (("a", 4), ("a", 6), ("b", 9))]
    (well,) = summarise_groups(planes, [WELL])
    assert (well.fields, well.units, well.mean, well.sum) == (3, 2, 7.0, 19)


def test_the_interval_is_that_of_a_log_linear_model_with_students_t() -> None:
    counts = np.array([40.0, 80.0, 120.0])
    interval = mean_interval(counts, total=240, fields=3)
    assert interval is not None
    factor = math.exp(4.302652729911275 * 40 / math.sqrt(3) / 80)  # t of 2 degrees of freedom
    assert (interval.low, interval.high) == (pytest.approx(80 / factor), pytest.approx(80 * factor))
    assert interval.kind == "log_t"


def test_units_that_agree_by_chance_get_the_poisson_floor_with_its_label() -> None:
    interval = mean_interval(np.array([50.0, 50.0, 50.0]), total=150, fields=3)
    assert interval is not None
    assert interval.kind == "poisson_floor"
    # Garwood's interval of 150: 126.96 to 176.02
    assert (interval.low, interval.high) == (pytest.approx(126.96 / 3, abs=0.01), pytest.approx(176.02 / 3, abs=0.01))


def test_no_cell_at_all_still_leaves_room_for_some() -> None:
    (well,) = summarise_groups([field(0, area=0.5), field(0, area=0.5)], [WELL])
    assert (well.mean, well.sampling_low, well.interval_kind) == (0.0, 0.0, "poisson_floor")
    assert well.sampling_high == pytest.approx(3.689 / 2, abs=1e-3)  # -ln 0.025, over two fields
    assert (well.density_per_mm2, well.density_high) == (0.0, pytest.approx(3.689, abs=1e-3))


def test_density_is_all_cells_over_all_analysed_area() -> None:
    (well,) = summarise_groups([field(10, area=0.1), field(60, area=0.3)], [WELL])
    assert well.area_mm2 == pytest.approx(0.4)
    assert well.density_per_mm2 == pytest.approx(70 / 0.4)
    assert well.density_low is not None
    assert well.density_low < 70 / 0.4 < (well.density_high or 0)


@pytest.mark.parametrize("area", [None, 0.0, float("nan")])
def test_density_is_unknown_as_soon_as_one_area_is(area: float | None) -> None:
    (well,) = summarise_groups([field(10, area=0.1), field(60, area=area)], [WELL])
    assert (well.area_mm2, well.density_per_mm2, well.density_high) == (None, None, None)


def test_density_of_equal_areas_has_the_interval_of_the_mean() -> None:
    counts = np.array([30.0, 80.0, 70.0])
    ratio, mean = ratio_interval(counts, np.full(3, 0.5)), mean_interval(counts, total=180, fields=3)
    assert ratio is not None
    assert mean is not None
    assert (ratio.low, ratio.high) == (pytest.approx(2 * mean.low), pytest.approx(2 * mean.high))


def test_levels_follow_each_other_with_groups_in_natural_order() -> None:
    fields = [field(1, w, t) for w, t in (("B01", "10"), ("A02", "2"), ("A10", "2"))]
    groups = summarise_groups(fields, [WELL, TREATMENT])
    assert [next(iter(g.group.values())) for g in groups] == ["A02", "A10", "B01", "2", "10"]
    assert groups[0].attributes == {"well": "A02", "treatment": "2"}


def test_names_with_numbers_are_ordered_by_value() -> None:
    names = ["s10", "s2", "10", "9.5", "", "S2", "-1", "x" * 5 + "9" * 5000]
    assert sorted(names, key=lambda name: natural_order([name])) == [
        "-1", "9.5", "10", "", "S2", "s2", "s10", "x" * 5 + "9" * 5000,
    ]  # fmt: skip


def test_the_json_is_plain_and_names_its_keys() -> None:
    entry = summarise_groups([field(1), field(2)], [WELL])[0].as_json()
    wanted = {"level", "group", "fields", "units", "sum", "mean", "sd", "low", "high", "interval_kind"}
    assert wanted | {"density_per_mm2", "warning"} <= set(json.loads(json.dumps(entry, allow_nan=False)))
    assert entry["interval_kind"] in INTERVAL_KINDS
    assert entry["interval_level"] == 0.95


def test_a_lower_level_gives_shorter_intervals_and_is_recorded() -> None:
    fields = [field(10, area=0.5), field(14, area=0.5), field(18, area=0.5)]
    wells = [summarise_groups(fields, [WELL], confidence=level)[0].as_json() for level in (0.8, 0.95)]
    for low, high in (("low", "high"), ("density_low", "density_high")):
        assert wells[1][low] < wells[0][low] < wells[0][high] < wells[1][high]
    assert [well["interval_level"] for well in wells] == [0.8, 0.95]
    assert wells[0]["density_interval_kind"] in INTERVAL_KINDS


def test_a_field_without_the_attribute_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no attribute 'well'"):
        summarise_groups([FieldCount({}, 1, image="a")], [WELL])


def test_warnings_of_many_groups_become_one_sentence() -> None:
    alone = summarise_groups([field(1, "A01"), field(2, "A02"), field(3, "A02")], [WELL])
    assert group_warnings(alone) == (alone[0].warning,)
    many = summarise_groups([field(n, f"A{n:02}") for n in range(1, 10)], [WELL])
    (sentence,) = group_warnings(many)
    assert sentence.startswith("9 of 9 groups by well have one field each")


counts = st.lists(
    st.tuples(st.sampled_from(["A01", "A02", "A03"]), st.integers(0, 10_000), st.floats(0.01, 5)),
    min_size=1,
    max_size=12,
)


@given(counts, st.integers())
def test_the_order_of_files_changes_no_bit(rows: list[tuple[str, int, float]], seed: int) -> None:
    fields = [field(n, well, area=area) for well, n, area in rows]
    shuffled = fields.copy()
    Random(seed).shuffle(shuffled)
    assert summarise_groups(fields, [WELL, TREATMENT]) == summarise_groups(shuffled, [WELL, TREATMENT])


@given(counts)
def test_ends_lie_around_the_mean_and_sums_add_up(rows: list[tuple[str, int, float]]) -> None:
    groups = summarise_groups([field(n, well, area=area) for well, n, area in rows], [WELL, TREATMENT])
    for group in groups:
        if group.units > 1:
            assert 0 <= (group.sampling_low or 0) <= group.mean * (1 + 1e-12)
            assert group.mean <= (group.sampling_high or 0) * (1 + 1e-12)
        assert (group.warning is None) == (group.units > 1)
    assert sum(g.sum for g in groups if g.level == "well") == groups[-1].sum


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        mean_interval(np.array([1.0, 2.0]), total=3, fields=2, confidence=confidence)


def coverage(wells: int, *, size: float, mean: float, draws: int, density: bool = False) -> float:
    """Give how often the interval holds the mean of gamma wells of `size`, with four Poisson fields each."""
    generator = np.random.default_rng([wells, int(size * 10), int(mean)])
    rates = generator.gamma(size, mean / size, (draws, wells))
    fields = generator.poisson(generator.gamma(20, rates[..., None] / 20, (draws, wells, 4)))
    held = 0
    for draw in fields:
        if density:
            interval = ratio_interval(draw.sum(axis=1).astype(float), np.full(wells, 4.0))
        else:
            interval = mean_interval(draw.mean(axis=1), total=int(draw.sum()), fields=draw.size)
        assert interval is not None
        held += interval.low <= mean <= interval.high
    return held / draws


@pytest.mark.parametrize("wells", [3, 6, 12])
def test_intervals_hold_the_truth_about_as_often_as_they_say(wells: int) -> None:
    assert 0.92 <= coverage(wells, size=10, mean=50, draws=1000) <= 0.98


@pytest.mark.long
@pytest.mark.parametrize("wells", range(3, 13))
@pytest.mark.parametrize(
    ("size", "mean", "lowest"),
    [
        pytest.param(25, 200, 0.94, id="wells differ by 20 percent"),
        pytest.param(10, 50, 0.94, id="wells differ by 32 percent"),
        pytest.param(2, 50, 0.93, id="wells differ by 71 percent"),
        pytest.param(1, 20, 0.92, id="exponential wells"),
        pytest.param(2, 1, 0.94, id="one cell per field"),
        pytest.param(1e6, 50, 0.94, id="equal wells"),
    ],
)
def test_coverage_in_full(wells: int, size: float, mean: float, lowest: float) -> None:
    assert coverage(wells, size=size, mean=mean, draws=10_000) >= lowest
    assert coverage(wells, size=size, mean=mean, draws=2_000, density=True) >= lowest - 0.02


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A1", (0, 0)), ("a01", (0, 0)), ("A001", (0, 0)), ("H12", (7, 11)), ("P24", (15, 23)), ("AF48", (31, 47)),
        ("b-3", (1, 2)), ("r02c03", (1, 2)), ("R2C3", (1, 2)), ("row2_col3", (1, 2)),
        ("A0", None), ("A49", None), ("AG1", None), ("BA1", None), ("1A", None), ("", None), ("A", None),
        ("A\u0661", None), ("r0c1", None), ("A1 ", None), ("A" * 99 + "1", None),
    ],
)  # fmt: skip
def test_wells_are_understood_in_their_usual_spellings(text: str, place: tuple[int, int] | None) -> None:
    assert parse_well(text) == place


@given(st.integers(0, 31), st.integers(0, 47))
def test_the_name_of_a_well_reads_back(row: int, column: int) -> None:
    assert parse_well(well_name(row, column)) == (row, column)


def test_a_plate_is_the_smallest_that_has_all_wells() -> None:
    assert [plate_format([place]) for place in ((0, 0), (2, 3), (7, 11), (8, 0), (31, 47))] == [
        (2, 3), (3, 4), (8, 12), (16, 24), (32, 48),
    ]  # fmt: skip
