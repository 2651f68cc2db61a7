"""The demo paints what it says, runs the real commands, and touches nothing that is not its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InterruptedRunError, OutputError, UsageError
from cellmonai.core.progress import Silent, Stage
from cellmonai.images.labels import read_mask
from cellmonai.images.layouts import find_pairs
from cellmonai.images.open import open_image
from cellmonai.recipe.load import load_recipe
from cellmonai.workflows import demo as module
from cellmonai.workflows.demo import DemoResult, demo


class Listener(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def heard() -> Listener:
    return Listener()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, heard: Listener) -> DemoResult:
    """A demo of a few training steps: everything is there, the cells are found badly."""
    return demo(tmp_path_factory.mktemp("demo") / "it's a demo", minutes=0.04, reporter=heard)


@pytest.fixture
def painted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the demo after painting a few small fields."""
    monkeypatch.setattr(module, "TRAIN_FIELDS", 2)
    monkeypatch.setattr(module, "TEST_FIELDS", 1)
    monkeypatch.setattr(module, "LARGE_SHAPE", (300, 300))

    def stop(*_: object, **__: object) -> None:
        raise InterruptedRunError("stopped by the test")

    monkeypatch.setattr(module, "_run_commands", stop)


def test_the_true_counts_are_those_of_the_painted_labels(finished: DemoResult) -> None:
    masks = finished.folder / "test" / "masks"
    assert {image.image: image.true_count for image in finished.images} == {
        path.stem: len(np.unique(read_mask(path).array)) - 1 for path in masks.iterdir()
    }
    assert finished.true_total == sum(image.true_count for image in finished.images) > 500


def test_the_counts_are_those_of_the_count_command(finished: DemoResult) -> None:
    counts = json.loads((finished.folder / "counts" / "counts.json").read_text())
    assert finished.predicted_total == counts["total"]
    assert {image.image: image.predicted_count for image in finished.images} == {
        image["image"].removesuffix("_mask.tif").removesuffix(".tif"): image["count"] for image in counts["images"]
    }


def test_the_folder_holds_two_normal_data_sets(finished: DemoResult) -> None:
    assert len(find_pairs("pairs", finished.folder / "train").pairs) == module.TRAIN_FIELDS
    test = find_pairs("pairs", finished.folder / "test").pairs
    assert [pair.name for pair in test][-1] == "large_field"
    assert len(test) == module.TEST_FIELDS + 1


def test_the_images_know_their_pixel_size(finished: DemoResult) -> None:
    with open_image(finished.folder / "test" / "images" / "large_field.tif") as source:
        assert source.shape == (1, 1024, 1024)
        assert source.pixel_size_um == pytest.approx((0.65, 0.65))
    assert read_mask(finished.folder / "test" / "masks" / "large_field.tif").pixel_size_um == pytest.approx(
        (0.65, 0.65)
    )


def test_the_recipe_is_one_that_users_may_change(finished: DemoResult) -> None:
    recipe = load_recipe(finished.recipe).recipe
    assert recipe.data.root == finished.folder / "train"
    assert recipe.training.max_minutes == pytest.approx(0.04)


def test_every_output_exists(finished: DemoResult) -> None:
    assert [name for name in finished.outputs if not Path(name).exists()] == []
    assert len(finished.overlays) == module.TEST_FIELDS + 1
    assert all(path.is_file() for path in finished.overlays)


@pytest.mark.usefixtures("finished")
def test_each_step_is_announced_by_a_line(heard: Listener) -> None:
    steps = [note for note in heard.notes if not note.startswith(" ")]
    assert [step.split(":")[0] for step in steps] == ["1/5 paint", "2/5 fit", "3/5 infer", "4/5 count", "5/5 evaluate"]


def test_the_document_is_json_with_the_agreed_keys(finished: DemoResult) -> None:
    document = json.loads(json.dumps(finished.as_json(), allow_nan=False))
    assert document["schema"] == "cellmonai.demo/1"
    assert {"version", "command", "inputs", "outputs", "warnings", "seconds", "images", "summary"} <= set(document)
    assert document["summary"]["f1_50"] is not None


@pytest.mark.usefixtures("painted_only")
def test_the_seed_decides_every_painted_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        with pytest.raises(InterruptedRunError):
            demo(tmp_path / name, seed=seed)
    a, b, c = (b"".join(p.read_bytes() for p in sorted((tmp_path / name / "train").rglob("*.tif"))) for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.usefixtures("painted_only")
def test_an_older_demo_is_replaced_only_when_told(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        demo(tmp_path / "d", seed=1)
    image = tmp_path / "d" / "train" / "images" / "field_01.tif"
    before = tifffile.imread(image)
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        demo(tmp_path / "d", seed=2)
    assert np.array_equal(tifffile.imread(image), before)
    with pytest.raises(InterruptedRunError):
        demo(tmp_path / "d", seed=2, overwrite=True)
    assert not np.array_equal(tifffile.imread(image), before)


@pytest.mark.usefixtures("painted_only")
def test_an_empty_folder_is_welcome(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        demo(tmp_path)
    assert (tmp_path / "recipe.toml").is_file()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_the_user_is_left_alone(tmp_path: Path, overwrite: bool) -> None:  # noqa: FBT001 - a test case
    (tmp_path / "recipe.toml").write_text("# my own\n")
    with pytest.raises(OutputError):
        demo(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
    assert (tmp_path / "recipe.toml").read_text() == "# my own\n"


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(OutputError, match="is not a folder"):
        demo(tmp_path / "x", overwrite=True)


@pytest.mark.parametrize(("seed", "minutes"), [(-1, 1.0), (2**32, 1.0), (0, 0.0), (0, -1.0), (0, float("nan"))])
def test_numbers_out_of_range_are_refused(tmp_path: Path, seed: int, minutes: float) -> None:
    with pytest.raises(UsageError):
        demo(tmp_path / "d", seed=seed, minutes=minutes)
    assert not (tmp_path / "d").exists()


def test_ctrl_c_stops_between_two_fields(tmp_path: Path) -> None:
    class Impatient(Silent):
        def stage(self, title: str, total: float) -> Stage:
            signal.raise_signal(signal.SIGINT)
            return super().stage(title, total)

    with pytest.raises(InterruptedRunError, match=r"stopped by Ctrl-C.*--overwrite"):
        demo(tmp_path / "d", reporter=Impatient())
    assert list(tmp_path.rglob("*.tmp*")) == []
