from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from painting import Disc, paint
from PIL import Image

from cellmonai.core.errors import InputError, LockedError, OutputError, UsageError
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Silent
from cellmonai.instances.find import find_instances
from cellmonai.instances.settings import InstanceSettings
from cellmonai.report.evaluation import CENTRE_MEANINGS, GREATER_IS_BETTER, MEANINGS
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.evaluate import OUTPUTS, evaluate
from cellmonai.workflows.evaluating.pairs import plain_name, read_true_counts
from cellmonai.workflows.evaluating.result import EvaluateSettings

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (48, 64)
THREE = paint([Disc(10, 10, 6), Disc(10, 30, 6), Disc(32, 40, 9)], SHAPE)
TOUCHING = paint([Disc(24, 18, 9), Disc(24, 34, 9)], SHAPE)
# the first found cell is 8 px from the second true one and 10 px from the first; the second one 10 px from the second
FOUND_OFF, TRUE_OFF = (paint([Disc(24, x, 3) for x in places], SHAPE) for places in ((22, 40), (12, 30)))


def without(labels: NDArray[Any], label: int) -> NDArray[np.int32]:
    return np.where(labels == label, 0, labels).astype(np.int32)


def save(folder: Path, **images: NDArray[Any]) -> Path:
    """Write label images as uint16 and masks as 0/255, named by keyword."""
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        stored = image.astype(np.uint8) * 255 if image.dtype == bool else image.astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", stored)
    return folder


def compare(predictions: Path, truth: Path, **settings: Any) -> Any:  # noqa: ANN401 - settings of any type
    return evaluate(predictions, truth, settings=EvaluateSettings(**settings), reporter=Silent())


def test_a_truth_compared_with_itself_is_perfect(tmp_path: Path) -> None:
    truth = save(tmp_path / "truth", a=THREE, b=TOUCHING)
    summary = compare(truth, truth).summary
    assert {summary[name] for name in ("f1_50", "f1_75", "ap_mean", "pq", "dice", "iou", "accuracy", "count_r2")} == {
        1.0
    }
    assert (summary["count_mae"], summary["count_bias_percent"]) == (0.0, 0.0)


@pytest.mark.parametrize("kind", ["binary", "labels"])
def test_masks_compared_with_themselves_are_perfect_too(tmp_path: Path, kind: str) -> None:
    specks = np.zeros(SHAPE, bool)
    specks[2, 60] = True
    truth = save(tmp_path / "truth", a=(THREE > 0) | specks, b=TOUCHING > 0)
    summary = compare(truth, truth, kind=kind, truth_kind=kind).summary
    assert (summary["f1_50"], summary["dice"]) == (1.0, 1.0)


def test_a_missed_cell_and_an_invented_one_are_counted(tmp_path: Path) -> None:
    invented = THREE.copy()
    invented[40:46, 4:10] = 9
    found = save(tmp_path / "found", a=without(THREE, 2), b=invented)
    result = compare(found, save(tmp_path / "truth", a=THREE, b=THREE))
    first, second = (image.as_json() for image in result.images)
    assert [first[name] for name in ("true_count", "predicted_count", "tp_50", "fp_50", "fn_50")] == [3, 2, 2, 0, 1]
    assert [second[name] for name in ("true_count", "predicted_count", "tp_50", "fp_50", "fn_50")] == [3, 4, 3, 1, 0]
    assert result.summary["f1_50"] == pytest.approx(10 / 12)
    assert (result.summary["count_mae"], result.summary["count_bias"]) == (1.0, 0.0)
    assert result.totals["true_count"] == 6


def test_images_without_cells_are_undefined_and_counted_right(tmp_path: Path) -> None:
    blank = np.zeros(SHAPE, np.int32)
    result = compare(save(tmp_path / "p", a=blank), save(tmp_path / "t", a=blank))
    assert result.summary["f1_50"] is None
    assert result.summary["count_mae"] == 0.0
    assert result.totals["images_without_cells"] == 1
    assert json.loads(json.dumps(result.as_json(), allow_nan=False))["summary"]["pq"] is None


def test_names_are_matched_without_their_endings(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a_labels=THREE, b_labels=THREE)
    truth = save(tmp_path / "t", a_masks=THREE, b_masks=THREE)
    assert [image.image for image in compare(found, truth).images] == ["a", "b"]


def test_label_images_are_preferred_to_masks_and_pictures_beside_them(tmp_path: Path) -> None:
    folder = save(tmp_path / "p", a_labels=THREE, a_mask=np.zeros(SHAPE, bool), a_overlay=np.ones(SHAPE, bool))
    result = compare(folder, save(tmp_path / "t", a=THREE))
    assert result.images[0].prediction == "a_labels.tif"
    assert result.summary["f1_50"] == 1.0


def test_two_files_belong_together_whatever_their_names(tmp_path: Path) -> None:
    found, truth = save(tmp_path / "p", prediction=THREE), save(tmp_path / "t", drawn_by_hand=THREE)
    assert compare(found / "prediction.tif", truth / "drawn_by_hand.tif").summary["f1_50"] == 1.0


def test_touching_cells_of_masks_are_split_on_both_sides(tmp_path: Path) -> None:
    result = compare(save(tmp_path / "p", a=TOUCHING > 0), save(tmp_path / "t", a=TOUCHING))
    assert (result.images[0].scores.predicted_count, result.parameters["kind"]) == (2, "binary")
    reporter = Silent()
    swapped = evaluate(tmp_path / "t", tmp_path / "p", settings=EvaluateSettings(), reporter=reporter)
    assert swapped.images[0].scores.true_count == 2
    assert [warning.code for warning in reporter.warnings] == ["truth_split"]


def test_a_single_cell_called_labels_is_not_taken_for_a_mask(tmp_path: Path) -> None:
    one = (TOUCHING > 0).astype(np.int32)  # one label in the shape of two cells
    assert compare(save(tmp_path / "p", a_labels=one), save(tmp_path / "t", a=TOUCHING)).parameters["kind"] == "labels"
    assert compare(save(tmp_path / "q", a=one), save(tmp_path / "t", a=TOUCHING)).parameters["kind"] == "binary"
    mask = save(tmp_path / "r", a_labels=TOUCHING > 0)  # 0 and 255
    assert compare(mask, save(tmp_path / "t", a=TOUCHING)).parameters["kind"] == "binary"


def test_one_label_image_among_two_valued_files_makes_all_of_them_label_images(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a=(TOUCHING > 0).astype(np.int32), b=THREE)
    result = compare(found, save(tmp_path / "t", a=TOUCHING, b=THREE))
    assert [image.scores.predicted_count for image in result.images] == [1, 3]


def test_masks_of_infer_are_split_at_the_operating_point_of_their_model(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a_mask=THREE > 0)
    entry = {"image": "a.tif", "plane": "", "mask": "a_mask.tif", "maps": None, "status": "done"}
    point = InstanceSettings(min_area_px=200)
    record = {"schema": "cellmonai.run.infer/1", "operating_point": point.as_json(), "images": [entry]}
    (found / "run.json").write_text(json.dumps(record))
    result = compare(found, save(tmp_path / "t", a=THREE))
    assert result.images[0].scores.predicted_count == find_instances(THREE > 0, point).labels.max() == 1
    assert result.images[0].predicted_removed == 2
    assert [warning.code for warning in result.warnings] == ["objects_removed"]


def test_an_instance_in_two_pieces_is_one(tmp_path: Path) -> None:
    torn = np.where(THREE == 3, 1, THREE)
    assert compare(save(tmp_path / "p", a=torn), save(tmp_path / "t", a=torn)).totals["true_count"] == 2


@pytest.mark.parametrize(
    ("crossed", "cells"),
    [
        pytest.param(paint([Disc(24, 10, 6), Disc(24, 44, 6)], SHAPE) > 0, 2, id="a cell at both sides of another"),
        pytest.param(paint([Disc(10, 10, 6), Disc(38, 44, 6), Disc(10, 50, 4)], SHAPE) > 0, 2, id="three pieces"),
    ],
)
def test_labels_in_pieces_count_as_in_count_and_are_told(
    tmp_path: Path, crossed: NDArray[np.bool_], cells: int
) -> None:
    labels = np.where(crossed, 1, 0)
    labels[:, 26:32] = 2
    truth = save(tmp_path / "truth", a=labels)
    reporter = Silent()
    result = evaluate(truth, truth, settings=EvaluateSettings(), reporter=reporter)
    (image,) = (image.as_json() for image in result.images)
    assert (image["true_count"], image["predicted_count"], image["tp_50"]) == (cells, cells, cells)
    assert [warning.code for warning in reporter.warnings] == ["extra_pieces"] * 2
    assert all("1 label lies in" in warning.message for warning in reporter.warnings)
    assert count([truth], settings=CountSettings(output=tmp_path / "counts", report=False)).total == cells


def test_every_plane_is_an_image(tmp_path: Path) -> None:
    for folder, last in (("p", without(THREE, 1)), ("t", THREE)):
        (tmp_path / folder).mkdir()
        stack = np.stack([TOUCHING, last]).astype(np.uint16)
        tifffile.imwrite(tmp_path / folder / "a.tif", stack, imagej=True, metadata={"axes": "TYX"})
    result = compare(tmp_path / "p", tmp_path / "t")
    assert [image.scores.predicted_count for image in result.images] == [2, 2]
    assert len({image.plane for image in result.images}) == 2


def test_a_table_of_counts_gives_count_errors_alone(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a=THREE, b_labels=TOUCHING)
    (tmp_path / "c.csv").write_text("image,count\nsub/a.tif,3.5\nb,1\n")
    with pytest.raises(InputError, match="no prediction for 'a'"):
        compare(found, tmp_path / "c.csv")  # b_labels is preferred, so a has no prediction
    (found / "b_labels.tif").rename(found / "b.tif")
    result = compare(found, tmp_path / "c.csv")
    assert result.summary["count_mae"] == pytest.approx(0.75)
    assert (result.summary["f1_50"], result.summary["dice"], result.images[0].as_json()["tp_50"]) == (None, None, None)


def test_planes_of_a_table_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    stack = np.stack([TOUCHING, THREE]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "p" / "a.tif", stack, imagej=True, metadata={"axes": "TYX"})
    planes = [image.plane for image in compare(tmp_path / "p", tmp_path / "p").images]
    (tmp_path / "c.csv").write_text(f"image,plane,count\na,{planes[1]},5\na,{planes[0]},2\n")
    assert [image.scores.true_count for image in compare(tmp_path / "p", tmp_path / "c.csv").images] == [2, 5]
    (tmp_path / "c.csv").write_text("image,count\na,5\n")
    with pytest.raises(InputError, match="counts of 1 planes"):
        compare(tmp_path / "p", tmp_path / "c.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("name,count\na,1\n", "column 'image' is missing", id="no image column"),
        pytest.param("image,cells\na,1\n", "column 'count' is missing", id="no count column"),
        pytest.param("image,count\na,many\n", "line 2: count is 'many'", id="a word"),
        pytest.param("image,count\na,-1\n", "count is '-1'", id="negative"),
        pytest.param("image,count\na,nan\n", "count is 'nan'", id="nan"),
        pytest.param("image,count\na\n", "count is ''", id="short row"),
        pytest.param("image,count\na.tif,1\na_mask.png,1\n", "'a' comes twice", id="twice"),
        pytest.param("image,count\n", "no rows", id="empty table"),
        pytest.param("", "column 'image' is missing", id="empty file"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "c.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=words):
        read_true_counts(table)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(InputError, match="no CSV table"):
        read_true_counts(tmp_path / "c.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_true_counts(tmp_path / "none.csv")


def test_missing_counterparts_are_named_on_both_sides_with_the_nearest(tmp_path: Path) -> None:
    found = save(tmp_path / "p", field_a1=THREE, extra=THREE)
    truth = save(tmp_path / "t", field_a01=THREE, other=THREE)
    with pytest.raises(InputError) as caught:
        compare(found, truth)
    for words in ("no truth for 'extra'", "'field_a1' (nearest: 'field_a01')", "no prediction for 'field_a01'"):
        assert words in caught.value.sentence


def test_many_missing_counterparts_are_cut_short(tmp_path: Path) -> None:
    truth = save(tmp_path / "t", **{f"x{i}": THREE for i in range(9)}, a=THREE)
    with pytest.raises(InputError, match="and 4 more"):
        compare(save(tmp_path / "p", a=THREE), truth)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a_label=THREE, a_labels=THREE)
    with pytest.raises(InputError, match="both named 'a'"):
        compare(found, save(tmp_path / "t", a=THREE))


def test_an_image_of_another_size_fails_and_the_others_go_on(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a=THREE[:-4], b=THREE)
    (found / "c.tif").write_text("no image at all")
    reporter = Silent()
    result = evaluate(
        found,
        save(tmp_path / "t", a=THREE, b=THREE, c=THREE),
        settings=EvaluateSettings(output=tmp_path / "out"),
        reporter=reporter,
    )
    assert [image.image for image in result.images] == ["b"]
    assert [name for name, _ in result.failures] == ["a", "c"]
    assert "64 x 44 px, its truth a.tif is 64 x 48 px" in result.failures[0][1]
    assert [warning.image for warning in reporter.warnings if warning.code == "failed"] == ["a", "c"]
    assert result.as_json()["partial"]
    table = (tmp_path / "out" / "evaluation.csv").read_text().splitlines()
    assert table[2].startswith("a,,,") and ",failed," in table[2]  # noqa: PT018 - one row
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [image["status"] for image in record["images"]] == ["failed", "done", "failed"]


def test_when_every_image_fails_the_first_reason_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not one of 1 images could be evaluated.*64 x 44"):
        compare(save(tmp_path / "p", a=THREE[:-4]), save(tmp_path / "t", a=THREE))


def test_results_are_written_whole_and_refused_where_they_exist(tmp_path: Path) -> None:
    found, truth = save(tmp_path / "p", a=THREE), save(tmp_path / "t", a=THREE)
    out = tmp_path / "out"
    result = compare(found, truth, output=out)
    assert result.outputs == tuple((out / name).as_posix() for name in OUTPUTS)
    before = {name: (out / name).read_bytes() for name in OUTPUTS}
    with pytest.raises(OutputError, match="exists already"):
        compare(found, truth, output=out)
    save(found, a=without(THREE, 1))
    compare(found, truth, output=out, overwrite=True)
    assert all((out / name).read_bytes() != content for name, content in before.items())


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    found, truth = save(tmp_path / "p", a=without(THREE, 3), b=TOUCHING), save(tmp_path / "t", a=THREE, b=TOUCHING)
    outputs = []
    for _ in range(2):
        compare(found, truth, output=tmp_path / "out", overwrite=True, bootstrap=20)
        outputs.append([(tmp_path / "out" / name).read_bytes() for name in OUTPUTS[:2]])
    assert outputs[0] == outputs[1]


def test_results_never_mix_with_inputs(tmp_path: Path) -> None:
    found, truth = save(tmp_path / "p", a=THREE), save(tmp_path / "t", a=THREE)
    for folder in (found, truth):
        with pytest.raises(InputError, match="the output folder is an input too"):
            compare(found, truth, output=folder)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    found, truth = save(tmp_path / "p", a=THREE), save(tmp_path / "t", a=THREE)
    with folder_lock(tmp_path / "out"), pytest.raises(LockedError):
        compare(found, truth, output=tmp_path / "out")


def test_every_measure_gets_two_ends_when_bootstrapped(tmp_path: Path) -> None:
    images = {f"x{i}": without(THREE, i % 4) for i in range(6)}
    truth = save(tmp_path / "t", **dict.fromkeys(images, THREE))
    result = compare(save(tmp_path / "p", **images), truth, bootstrap=100, seed=3)
    summary = result.summary
    assert summary["f1_50_low"] < summary["f1_50"] < summary["f1_50_high"]
    assert {f"{name}_low" for name in MEANINGS} - summary.keys() == {"limits_of_agreement_low"}
    assert [warning.code for warning in result.warnings] == ["bootstrap_few_images"]
    assert summary != compare(tmp_path / "p", truth, bootstrap=100, seed=4).summary
    assert "f1_50_low" not in compare(tmp_path / "p", truth).summary


@pytest.mark.parametrize(
    ("settings", "matches"),
    [
        pytest.param({"centre_radius_px": 10.5}, [2, 0, 0], id="optimal unless told"),
        pytest.param({"centre_radius_px": 10.5, "centre_matching": "optimal"}, [2, 0, 0], id="optimal"),
        pytest.param({"centre_radius_px": 10.5, "centre_matching": "greedy"}, [1, 1, 1], id="greedy takes the nearest"),
        pytest.param({"centre_radius_px": 10}, [1, 1, 1], id="exactly the radius is too far"),
        pytest.param({"centre_radius_px": 8}, [0, 2, 2], id="none is near"),
    ],
)
def test_centres_are_matched_within_the_radius_and_by_the_rule(
    tmp_path: Path, settings: dict[str, Any], matches: list[int]
) -> None:
    result = compare(save(tmp_path / "p", a=FOUND_OFF), save(tmp_path / "t", a=TRUE_OFF), **settings)
    tp, fp, fn = matches
    assert [result.images[0].as_json()[f"centre_{name}"] for name in ("tp", "fp", "fn")] == matches
    summary = result.summary
    assert summary["centre_precision"] == summary["centre_recall"] == summary["centre_f1"] == tp / 2
    assert summary["centre_accuracy"] == pytest.approx(tp / (tp + fp + fn))
    assert summary["f1_50"] == 0.0
    assert result.parameters["centre_radius_px"] == settings["centre_radius_px"]
    assert result.parameters["centre_matching"] == settings.get("centre_matching", "optimal")


def test_measures_of_centres_are_of_all_images_together_with_two_ends(tmp_path: Path) -> None:
    found = save(tmp_path / "p", **{f"x{i}": without(THREE, i % 4) for i in range(6)})
    truth = save(tmp_path / "t", **{f"x{i}": THREE for i in range(6)})
    summary = compare(found, truth, centre_radius_px=5, bootstrap=100).summary
    assert (summary["centre_precision"], summary["centre_recall"]) == (1.0, pytest.approx(14 / 18))
    assert summary["centre_recall_low"] < summary["centre_recall"] < summary["centre_recall_high"]
    assert set(summary) > {f"{name}_{end}" for name in CENTRE_MEANINGS for end in ("low", "high")}


def test_centres_of_images_without_cells_are_undefined(tmp_path: Path) -> None:
    blank = save(tmp_path / "t", a=np.zeros(SHAPE, np.int32))
    result = compare(blank, blank, centre_radius_px=5)
    assert {result.summary[name] for name in CENTRE_MEANINGS} == {None}
    assert result.images[0].as_json()["centre_tp"] == 0


def test_without_a_radius_nothing_speaks_of_matches_by_distance(tmp_path: Path) -> None:
    truth = save(tmp_path / "t", a=THREE)
    parameters = compare(truth, truth, output=tmp_path / "out", bootstrap=3).parameters
    assert not any("centre" in (tmp_path / "out" / name).read_text() for name in OUTPUTS[:2])
    assert not any("centre" in name for name in parameters)


def test_a_table_of_counts_has_no_centres(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("image,count\na,3\n")
    with pytest.raises(UsageError, match="no centres; leave the option out"):
        compare(save(tmp_path / "p", a=THREE), tmp_path / "c.csv", centre_radius_px=40)


def test_measures_of_centres_can_be_asked_to_reach_a_least_value(tmp_path: Path) -> None:
    found, truth = save(tmp_path / "p", a=without(THREE, 1)), save(tmp_path / "t", a=THREE)  # F1 = .8
    missed = compare(found, truth, centre_radius_px=5, fail_under={"centre_f1": 0.9, "centre_precision": 1.0}).missed
    assert missed == ("centre_f1 is 0.8000, at least 0.9 was asked for",)


def test_the_summary_has_every_measure_of_the_contract(tmp_path: Path) -> None:
    truth = save(tmp_path / "t", a=THREE)
    document = compare(truth, truth).as_json()
    assert set(MEANINGS) == set(document["summary"])
    assert set(GREATER_IS_BETTER) < set(MEANINGS)
    assert document["schema"] == "cellmonai.evaluate/1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"fail_under": {"f150": 0.8}}, "did you mean 'f1_50'", id="unknown measure"),
        pytest.param(
            {"fail_under": {"count_mae": 0.8}}, "'count_mae' has no least value.*use one of f1_50", id="an error"
        ),
        pytest.param({"bootstrap": -1}, "-1 draws", id="negative draws"),
        pytest.param({"seed": 1}, "add --bootstrap", id="a seed for nothing"),
        pytest.param({"seed": -1, "bootstrap": 3}, "seed is -1", id="negative seed"),
        pytest.param({"centre_radius_px": 0.0}, "radius of 0 px; give pixels above 0", id="no radius"),
        pytest.param({"centre_radius_px": -3.0}, "radius of -3 px", id="negative radius"),
        pytest.param({"centre_radius_px": float("nan")}, "radius of nan px", id="radius that is no number"),
        pytest.param({"centre_radius_px": float("inf")}, "radius of inf px", id="endless radius"),
        pytest.param({"centre_matching": "greedy"}, "add --centres 40", id="a rule for nothing"),
        pytest.param({"fail_under": {"centre_f1": 0.5}}, "'centre_f1' is measured with --centres", id="no centres"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        EvaluateSettings(**settings)


def test_a_kind_of_truth_makes_no_sense_for_a_table(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("image,count\na,3\n")
    with pytest.raises(UsageError, match="table of counts"):
        compare(save(tmp_path / "p", a=THREE), tmp_path / "c.csv", truth_kind="labels")


@pytest.mark.parametrize(
    ("value", "missed"),
    [pytest.param(0.8, 0, id="reached"), pytest.param(0.85, 1, id="under")],
)
def test_least_values_are_checked(tmp_path: Path, value: float, missed: int) -> None:
    found, truth = save(tmp_path / "p", a=without(THREE, 1)), save(tmp_path / "t", a=THREE)  # F1 = .8
    assert len(compare(found, truth, fail_under={"f1_50": value}).missed) == missed


def test_an_undefined_measure_reaches_no_least_value(tmp_path: Path) -> None:
    blank = save(tmp_path / "t", a=np.zeros(SHAPE, np.int32))
    assert compare(blank, blank, fail_under={"f1_50": 0.0}).missed == ("f1_50 is undefined, at least 0 was asked for",)


@given(st.text(st.sampled_from("ab_lmsk"), min_size=1, max_size=12), st.sampled_from(["_labels", "_mask", "_LABEL"]))
def test_an_ending_more_changes_no_name(stem: str, ending: str) -> None:
    assert plain_name(stem + ending) == plain_name(stem)
    assert plain_name(plain_name(stem)) == plain_name(stem) != ""


def test_defaults_serve_the_python_api(tmp_path: Path) -> None:
    truth = save(tmp_path / "t", a=THREE)
    assert evaluate(truth, truth).summary["f1_50"] == 1.0


def test_perfect_masks_of_real_nuclei_score_as_well_as_splitting_is_known_to(data_folder: Path, tmp_path: Path) -> None:
    truth, masks = tmp_path / "t", tmp_path / "m"
    truth.mkdir()
    masks.mkdir()
    for file in sorted((data_folder / "dsb2018_stage1_train" / "labels_fixed").glob("*.png"))[:40]:
        with Image.open(file) as picture:
            labels = np.array(picture)
        (truth / file.name).write_bytes(file.read_bytes())
        Image.fromarray((labels > 0).astype(np.uint8) * 255).save(masks / file.name)
    summary = compare(masks, truth).summary
    # on all 664 images F1 is .959, the bias -1.5 % and the error 1.77 cells per image
    assert summary["f1_50"] > 0.94
    assert abs(summary["count_bias_percent"]) < 4
    assert (summary["dice"], summary["accuracy"]) == (1.0, 1.0)
    assert 0.5 < summary["accuracy_background_floor"] < 1.0


def test_what_an_older_run_left_beside_the_last_one_is_not_evaluated(tmp_path: Path) -> None:
    counts = tmp_path / "counts"
    count([save(tmp_path / "masks", a=THREE)], settings=CountSettings(output=counts))
    save(counts, old_labels=THREE)  # of a run that was killed before it could say what it wrote
    result = compare(counts, save(tmp_path / "truth", a=THREE))
    assert [image.image for image in result.images] == ["a"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": "cellmonai.count/1", "images": [3]}'])
def test_a_file_called_counts_json_that_is_not_ours_is_left_alone(tmp_path: Path, content: str) -> None:
    found = save(tmp_path / "p", a=THREE)
    (found / "counts.json").write_text(content)
    assert compare(found, save(tmp_path / "truth", a=THREE)).summary["f1_50"] == 1.0


def test_a_record_names_no_files_elsewhere(tmp_path: Path) -> None:
    found = save(tmp_path / "p", a=THREE)
    save(tmp_path, b_labels=THREE)
    rows = [{"outputs": ["../b_labels.tif"]}]
    (found / "counts.json").write_text(json.dumps({"schema": "cellmonai.count/1", "images": rows}))
    assert [image.image for image in compare(found, save(tmp_path / "truth", a=THREE)).images] == ["a"]
