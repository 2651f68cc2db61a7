"""From a calibrated model through infer's record to the interval of a count, or the reason why there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.core.errors import InputError
from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.measure.intervals.features import count_features, image_features
from cellmonai.models.calibration import Calibration, CalibrationImage, make_calibration
from cellmonai.models.file import ModelCard, read_card, write_model
from cellmonai.workflows.counting.intervals import (
    NO_TOTAL,
    CountedImage,
    CountInterval,
    KnownCalibration,
    count_interval,
    find_calibration,
    folder_warning,
)
from cellmonai.workflows.inferring.record import RecordedModel, read_infer_record

POINT = InstanceSettings(threshold=0.4)
SHAPE = (60, 80)
SIZE = (0.5, 0.5)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture(seed: int, *, brightness: float = 100.0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(brightness + rng.normal(0, 4), 10, shape).clip(0, 255).astype(np.uint8)


def areas(seed: int, count: int = 100) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(80, 120, count) + rng.integers(0, 6)


def calibration_image(
    seed: int, *, group: object, pixel_size_um: tuple[float, float] | None = SIZE
) -> CalibrationImage:
    rng = np.random.default_rng(1000 + seed)
    cells = areas(seed, int(rng.integers(80, 120)))
    features = image_features(picture(seed), pixel_size_um=pixel_size_um) | count_features(cells, SHAPE)
    true = max(0, cells.size + int(rng.integers(-6, 7)))
    return CalibrationImage(cells.size, true, group, SHAPE, pixel_size_um, features)


def calibration(
    groups: int = 25, *, pixel_size_um: tuple[float, float] | None = SIZE, point: InstanceSettings = POINT
) -> Calibration:
    images = [
        calibration_image(2 * group + i, group=f"slide {group}", pixel_size_um=pixel_size_um)
        for group in range(groups)
        for i in range(2)
    ]
    how: dict[str, str | bool] = {"stitch": "exact", "invert": False}
    return make_calibration(images, phi=0.05, operating_point=point.as_json(), inference=how)


def write_card(path: Path, block: object, **card: object) -> Path:
    """A model file whose tensors nobody will run."""
    values: dict[str, Any] = {
        "network": "monai_attention_unet",
        "parameters": {},
        "channels": 1,
        "channel_names": ("nuclei",),
        "normalisation": Normalisation(),
        "operating_point": POINT.as_json(),
        "radius_px": 10,
        "divisor": 8,
        "tile_exact": True,
        "calibration": block.as_json() if isinstance(block, Calibration) else block,
    }
    write_model(path, ModelCard(**(values | card)), {"weight": np.zeros(3, np.float32)}, overwrite=True)
    return path


def recorded(path: Path, **how: str | bool) -> RecordedModel:
    from cellmonai.core.files import sha256_of

    return RecordedModel(path, sha256_of(path), tuple({"stitch": "exact", "invert": False, **how}.items()))


def known(block: object = None, *, level: float = 0.95, **how: str | bool) -> KnownCalibration:
    path = write_card(Path("model.safetensors"), calibration() if block is None else block)
    return find_calibration(recorded(path, **how), level=level)


PICTURE = picture(999)
GOOD = CountedImage(POINT, areas(999), SHAPE, SIZE, PICTURE)


def test_a_count_like_the_calibration_gets_an_interval() -> None:
    found = known()
    assert found.reason is None
    assert found.warnings == ()
    interval = count_interval(found, GOOD)
    assert interval.reason is None
    assert interval.ends is not None
    assert interval.conservative is not None
    assert interval.conservative[0] <= interval.ends[0] < 100 < interval.ends[1] <= interval.conservative[1]
    assert interval.method == "one_per_group"
    assert interval.level == 0.95
    assert interval.conservative_line == f"conservative: {interval.conservative[0]} to {interval.conservative[1]}"
    document = interval.as_json()
    json.dumps(document, allow_nan=False)
    assert document["interval"] == list(interval.ends)


def test_the_interval_is_that_of_the_rule() -> None:
    block = calibration()
    scores = sorted(block.counts.scores()[image] for image in block.counts.drawn())
    reach = scores[24] * max(1.0, (100 + (0.05 * 100) ** 2) ** 0.5)  # rank ceil(26 * 0.95) = 25 of 25
    interval = count_interval(known(block), GOOD)
    assert interval.ends == (int(np.ceil(100 - reach - 1e-6)), int(np.floor(100 + reach + 1e-6)))


def test_a_lower_level_is_narrower() -> None:
    block = calibration(60)
    ends = [count_interval(known(block, level=level), GOOD).ends for level in (0.8, 0.9, 0.95)]
    widths = [high - low for low, high in filter(None, ends)]
    assert len(widths) == 3
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_from_40_groups_on_the_interval_is_hierarchical() -> None:
    found = known(calibration(40))
    interval = count_interval(found, GOOD)
    assert interval.method == "hierarchical"
    assert interval.ends == interval.conservative
    assert found.sentence is not None
    assert "of intervals from one image per group, one calibration in 20 covers less than 88.7 %" in found.sentence


def test_the_promise_is_a_sentence() -> None:
    assert known(calibration(20)).sentence == (
        "intervals cover the true count in 95 % of images of new groups like the 20 that the model was calibrated on, "
        "on average over calibrations; one calibration in 20 covers less than 86.1 %"
    )
    assert known({}).sentence is None


def test_masks_without_a_record_have_no_interval() -> None:
    found = find_calibration(None)
    interval = count_interval(found, GOOD)
    assert interval.ends is None
    assert interval.conservative_line is None
    assert "do not come from cellmonai infer" in (interval.reason or "")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        pytest.param(lambda path: path.unlink(), "is not there any more", id="moved"),
        pytest.param(lambda path: write_card(path, None), "was never calibrated", id="never calibrated"),
        pytest.param(lambda path: write_card(path, calibration(26)), "is not the one that made", id="another model"),
        pytest.param(lambda path: path.write_bytes(b"\x00" * 40), "train or copy the model again", id="damaged"),
        pytest.param(lambda path: os.truncate(path, 200), "cut off", id="cut off"),
    ],
)
def test_the_model_must_be_the_one_that_made_the_masks(break_it: Callable[[Path], object], words: str) -> None:
    model = recorded(write_card(Path("model.safetensors"), calibration()))
    break_it(model.path)
    found = find_calibration(model)
    assert found.calibration is None
    assert "model.safetensors" in (found.reason or "")
    assert words in (found.reason or "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a named pipe")
def test_a_model_that_is_no_file_is_not_read() -> None:
    os.mkfifo("model.safetensors")
    assert "not there any more" in (find_calibration(RecordedModel(Path("model.safetensors"))).reason or "")


def test_hostile_names_are_escaped() -> None:
    reason = find_calibration(RecordedModel(Path("a\n\x1b[31m\u202e.safetensors"))).reason or ""
    assert reason.isprintable()


@pytest.mark.parametrize(
    ("groups", "level", "words"),
    [
        (9, 0.95, "calibrated on 9 groups and a 95 % interval needs 19; 10 more are missing"),
        (18, 0.95, "1 more is missing"),
        (9, 0.9, "calibrated on 9 groups and 19 are needed to tell whether an image is like theirs"),
        (20, 0.99, "a 99 % interval needs 99"),
    ],
)
def test_too_few_groups_give_no_interval(groups: int, level: float, words: str) -> None:
    assert words in (known(calibration(groups), level=level).reason or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "group"}, "calibrated for counts per group"),
        ({"counting": 0}, "counted in another way"),
    ],
)
def test_another_unit_or_way_of_counting_gives_no_interval(change: dict[str, Any], words: str) -> None:
    assert words in (known(replace(calibration(), **change)).reason or "")


def test_a_calibration_without_pictures_gives_no_interval() -> None:
    document = calibration().as_json()
    names = document["references"]["names"]
    kept = [names.index("density")]
    document["references"] = {
        "names": ["density"],
        "values": [[row[i] for i in kept] for row in document["references"]["values"]],
    }
    assert "what its images looked like" in (known(document).reason or "")


def test_masks_made_in_another_way_have_no_interval() -> None:
    reason = known(stitch="gaussian").reason or ""
    assert "made with stitch gaussian and the model was calibrated with stitch exact" in reason
    assert "invert on" in (known(invert=True).reason or "")
    assert known(tta="flips").reason is None  # what the calibration does not name is free
    assert known(precision="bf16").reason is None
    assert "made in 8-bit integers" in (known(precision="int8").reason or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"threshold": 0.6}, "threshold 0.6 instead of 0.4", id="threshold"),
        pytest.param({"split": "none"}, "split none instead of auto", id="split"),
        pytest.param({"min_area_px": 25}, "min area 25 instead of 10", id="filter"),
        pytest.param({"max_area_px": 500}, "max area 500 instead of none", id="a limit where there was none"),
        pytest.param({"border": "exclude"}, "border exclude instead of keep", id="border"),
        pytest.param({"fill_holes": "all"}, "fill holes all instead of small", id="holes"),
        pytest.param(
            {"fill_holes": "all", "opening": 1, "closing": 2, "threshold": 0.5}, "and 1 more", id="many at once"
        ),
    ],
)
def test_another_operating_point_gives_no_interval(change: dict[str, Any], words: str) -> None:
    interval = count_interval(known(), replace(GOOD, settings=replace(POINT, **change)))
    assert interval.ends is None
    assert "another operating point" in (interval.reason or "")
    assert words in (interval.reason or "")


def test_what_takes_the_place_of_the_operating_point_gives_no_interval() -> None:
    reason = count_interval(known(), replace(GOOD, instead="--kind labels")).reason or ""
    assert reason.startswith("counted with --kind labels, as the model was not calibrated")


@pytest.mark.parametrize(("calibrated", "counted"), [(None, "centre map"), ("centre map", "distance transform")])
def test_an_interval_holds_only_for_what_cells_were_split_along(calibrated: str | None, counted: str) -> None:
    block = calibration()
    if calibrated is not None:
        block = replace(block, inference={**block.inference, "landscape": calibrated})
    interval = count_interval(known(block), replace(GOOD, split_along=counted))
    assert interval.ends is None
    assert f"split along the {counted} and the model was calibrated along the" in (interval.reason or "")
    assert count_interval(known(block), replace(GOOD, split_along=calibrated or "distance transform")).ends


def test_an_operating_point_of_the_future_gives_no_interval() -> None:
    block = replace(calibration(), operating_point={"threshold": 0.4, "telepathy": True})
    assert "update it" in (count_interval(known(block), GOOD).reason or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"shape": (600, 800)}, "0.48 Mpx and those the model was calibrated on have 0.0048", id="larger"),
        pytest.param({"shape": (20, 80)}, "more than a factor of two away", id="smaller"),
        pytest.param({"pixel_size_um": (0.25, 0.25)}, "pixel size is 0.25 x 0.25 µm", id="another magnification"),
        pytest.param({"pixel_size_um": None}, "give it with --pixel-size", id="unknown pixel size"),
        pytest.param({"image": None}, "--images", id="no image"),
        pytest.param({"channels": (3,)}, "other channels", id="channel that is not there"),
    ],
)
def test_another_kind_of_image_gives_no_interval(change: dict[str, Any], words: str) -> None:
    interval = count_interval(known(), replace(GOOD, **change))
    assert interval.ends is None
    assert words in (interval.reason or "")


def test_pixel_sizes_within_ten_percent_are_alike() -> None:
    assert count_interval(known(), replace(GOOD, pixel_size_um=(0.46, 0.54))).ends is not None


def test_where_the_calibration_knows_no_pixel_size_it_is_not_compared_and_said_once() -> None:
    found = known(calibration(pixel_size_um=None))
    assert count_interval(found, replace(GOOD, pixel_size_um=(9.0, 9.0))).ends is not None
    assert count_interval(found, replace(GOOD, pixel_size_um=None)).ends is not None
    assert "pixel size of the images the model was calibrated on is unknown" in found.warnings[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"image": picture(7, brightness=200.0)}, "intensity is", id="brighter image"),
        pytest.param({"areas_px": areas(7) * 9}, "cell area", id="larger cells"),
    ],
)
def test_an_image_unlike_the_calibration_set_gives_no_interval(change: dict[str, Any], words: str) -> None:
    interval = count_interval(known(), replace(GOOD, **change))
    assert interval.ends is None
    assert interval.shift is not None
    assert interval.shift.alarm
    assert "unlike the calibration set" in (interval.reason or "")
    assert words in (interval.reason or "")
    assert "MAD above" in (interval.reason or "")
    assert "(p = 0.038)" in (interval.reason or "")
    json.dumps(interval.as_json(), allow_nan=False)


def test_the_channels_that_the_model_saw_are_compared() -> None:
    colour = np.stack([picture(5, brightness=220.0), PICTURE, PICTURE])
    assert count_interval(known(), replace(GOOD, image=colour, channels=(1,))).ends is not None
    assert count_interval(known(), replace(GOOD, image=colour, channels=(0,))).ends is None
    grey = np.stack([PICTURE] * 3)
    assert count_interval(known(), replace(GOOD, image=grey, channels=(0, 1, 2))).ends is not None


def test_zero_cells_are_a_count_too() -> None:
    images = [replace(calibration_image(i, group=i), predicted=i % 3, true=i % 2) for i in range(20)]
    images = [
        replace(image, features={**image.features, **count_features(areas(i, i % 3), SHAPE)})
        for i, image in enumerate(images)
    ]
    block = make_calibration(images, phi=0.0, operating_point=POINT.as_json())
    assert Calibration.from_json(block.as_json()).as_json() == block.as_json()  # undefined areas survive
    interval = count_interval(known(block), replace(GOOD, areas_px=areas(0, 0)))
    assert interval.ends is not None
    assert interval.ends[0] == 0


def test_good_images_keep_their_interval_and_true_counts_lie_inside() -> None:
    found = known(calibration(60))
    given_intervals = covered = 0
    for seed in range(500, 700):
        image = calibration_image(seed, group=seed)
        interval = count_interval(found, CountedImage(POINT, areas(seed, image.predicted), SHAPE, SIZE, picture(seed)))
        if interval.ends is not None:
            given_intervals += 1
            covered += interval.ends[0] <= image.true <= interval.ends[1]
    assert given_intervals > 175
    assert covered / given_intervals > 0.9


def test_a_folder_of_odd_images_is_said_once() -> None:
    found = known()
    good = [count_interval(found, replace(GOOD, image=picture(seed))) for seed in range(300, 310)]
    odd = [count_interval(found, replace(GOOD, image=picture(s, brightness=200.0))) for s in range(310, 325)]
    assert folder_warning([]) is None
    assert folder_warning([count_interval(find_calibration(None), GOOD)]) is None
    assert folder_warning(good) is None
    assert (folder_warning(odd + odd) or "").startswith("30 of 30 images are unlike")


def test_totals_say_why_they_have_no_interval() -> None:
    assert "do not add up" in NO_TOTAL


def test_the_block_survives_the_model_file() -> None:
    block = calibration()
    card = read_card(write_card(Path("model.safetensors"), block))
    again = Calibration.from_json(card.calibration)
    assert again == block
    assert again.summary()["groups"] == 25
    assert again.summary()["half_width_at_median"] > 0
    assert calibration(9).summary()["half_width_at_median"] is None


def test_a_large_calibration_fits_the_card() -> None:
    rng = np.random.default_rng(1)
    features = calibration_image(0, group=0).features
    images = [
        CalibrationImage(
            int(rng.integers(0, 10**5)),
            int(rng.integers(0, 10**5)),
            int(rng.integers(1000)),
            SHAPE,
            SIZE,
            {name: float(f"{value + rng.random():.6g}") for name, value in features.items()},
        )
        for _ in range(10_000)
    ]
    block = make_calibration(images, phi=0.1, operating_point=POINT.as_json())
    assert read_card(write_card(Path("model.safetensors"), block)).calibration == block.as_json()


ABSENT = object()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2),
        ("version", ABSENT),
        ("unit", 5),
        ("unit", "x" * 101),
        ("counting", "1"),
        ("digest", "0" * 64),
        ("phi", float("nan")),
        ("phi", -1),
        ("phi", 10**400),
        ("phi", True),
        ("groups", [0]),
        ("groups", "012"),
        ("predicted", ABSENT),
        ("predicted", []),
        ("predicted", [1.5] * 50),
        ("predicted", [True] * 50),
        ("true", [-1] * 50),
        ("true", [10**10] * 50),
        ("true", {}),
        ("operating_point", []),
        ("operating_point", {"x": "y" * 20_000}),
        ("operating_point", {"x": float("inf")}),
        ("inference", None),
        ("image_px", [1]),
        ("image_px", [9, 3]),
        ("image_px", [0, 3]),
        ("image_px", None),
        ("pixel_size_um", [0.5, float("inf")]),
        ("pixel_size_um", "ab"),
        ("references", None),
        ("references", {"names": ["density"], "values": [[1.0]]}),
        ("references", {"names": ["density"], "values": [["a"]] * 25}),
        ("references", {"names": ["density"], "values": [[1e300]] * 25}),
        ("references", {"names": ["density"], "values": [[1.0, 2.0]] * 25}),
        ("references", {"names": ["colour"], "values": [[1.0]] * 25}),
        ("references", {"names": [["density"]], "values": [[1.0]] * 25}),
        ("references", {"names": [], "values": [[]] * 25}),
        ("references", {"names": ["density"] * 600, "values": [[1.0] * 600] * 25}),
    ],
)
def test_a_calibration_with_bad_values_is_refused(key: str, value: object) -> None:
    document = calibration().as_json()
    document[key] = value
    if value is ABSENT:
        del document[key]
    with pytest.raises(InputError, match="calibration cannot be read"):
        Calibration.from_json(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BLOCK = calibration(20).as_json()


@given(st.sampled_from(sorted(BLOCK)), json_values)
def test_whatever_a_block_holds_it_is_read_or_refused(key: str, value: object) -> None:
    try:
        block = Calibration.from_json(BLOCK | {key: value})
    except InputError:
        return
    assert isinstance(count_interval_of(block), CountInterval)


@given(json_values)
def test_what_is_no_block_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        Calibration.from_json(value)


def count_interval_of(block: Calibration) -> CountInterval:
    return count_interval(KnownCalibration(0.95, None, block, block.counts.rule(0.95), 1), GOOD)


def test_a_block_that_is_sorted_otherwise_is_refused() -> None:
    document = calibration().as_json()
    document["true"] = document["true"][::-1]
    with pytest.raises(InputError, match=r"canonical order|digest"):
        Calibration.from_json(document)


def test_a_damaged_calibration_is_never_written() -> None:
    with pytest.raises(InputError, match=r"calibration cannot be read \('digest' is missing\)"):
        known({k: v for k, v in BLOCK.items() if k != "digest"})


def test_a_damaged_model_is_a_reason_not_a_failure() -> None:
    path = write_card(Path("model.safetensors"), calibration())
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = find_calibration(recorded(path), level=0.95)
    assert found.calibration is None
    assert "damaged" in (found.reason or "")


def test_a_model_that_infer_ran_gives_its_calibration_through_the_record() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from random_networks import write_random_model  # type: ignore[import-not-found, unused-ignore] # beside the tests

    from cellmonai.workflows.infer import infer
    from cellmonai.workflows.inferring.settings import InferSettings

    path = write_random_model(
        Path("model.safetensors"),
        operating_point=POINT.as_json(),
        calibration=calibration(pixel_size_um=None).as_json(),
    )
    for name, brightness in (("good", 100.0), ("odd", 220.0)):
        tifffile.imwrite(f"{name}.tif", picture(999, brightness=brightness), photometric="minisblack")
    infer([Path("good.tif"), Path("odd.tif")], settings=InferSettings(model=path))
    record = read_infer_record(Path("masks"))
    assert record is not None
    assert record.made_by is not None
    assert record.made_by.path == path
    assert dict(record.made_by.inference) == {
        "stitch": "exact",
        "invert": False,
        "tta": "none",
        "precision": "f32",
    }
    found = find_calibration(record.made_by)
    assert found.reason is None
    intervals = {}
    for mask in record.masks:
        assert mask.channels == (0,)
        counted = CountedImage(
            record.operating_point, areas(999), SHAPE, mask.pixel_size_um, tifffile.imread(mask.image), mask.channels
        )
        intervals[mask.image.stem] = count_interval(found, counted)
    assert intervals["good"].ends is not None
    assert "unlike the calibration set" in (intervals["odd"].reason or "")
    infer([Path("good.tif")], settings=InferSettings(model=path, threshold=0.7, output=Path("other")))
    other = read_infer_record(Path("other"))
    assert other is not None
    reason = count_interval(found, replace(GOOD, settings=other.operating_point)).reason or ""
    assert "threshold 0.7 instead of 0.4" in reason


def test_intervals_need_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, cellmonai.workflows.counting.intervals;"
        "sys.exit(', '.join(m for m in ('torch', 'monai', 'scipy', 'skimage', 'safetensors', 'pandas', 'zarr',"
        " 'pydantic', 'matplotlib') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == ""
