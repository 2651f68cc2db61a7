"""What a mask means is decided once: what one command refuses, all refuse, and what one counts, all count."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from painting import Disc, paint
from PIL import Image

from cellmonai.core.errors import CellmonaiError, InputError, UsageError
from cellmonai.core.progress import Silent
from cellmonai.data.truth import TruthReader
from cellmonai.images.labels import ValueChoice
from cellmonai.images.pair import Pair
from cellmonai.instances.mask_kind import look_at_mask
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.evaluate import evaluate
from cellmonai.workflows.evaluating.result import EvaluateSettings
from cellmonai.workflows.recipe_init import init_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (96, 128)
GRID = [Disc(12 + 24 * row, 16 + 24 * column, 7) for row in range(4) for column in range(5)]
TWENTY = paint(GRID, SHAPE)
INSIDE = TWENTY > 0
RIM = (paint([Disc(d.row, d.col, 9) for d in GRID], SHAPE) > 0) & ~INSIDE
BAR = np.zeros(SHAPE, bool)
BAR[:, 60:66] = True


def write(folder: Path, array: NDArray[Any], name: str = "a") -> Path:
    """Write a mask and an image of its size under the names of a data set, and return its mask."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    picture = np.add.outer(np.arange(array.shape[0]), np.arange(array.shape[1])).astype(np.uint8)
    tifffile.imwrite(folder / "images" / f"{name}.tif", picture)
    tifffile.imwrite(folder / "masks" / f"{name}.tif", array)
    return folder / "masks" / f"{name}.tif"


def counted(folder: Path, **options: Any) -> int:  # noqa: ANN401 - settings of any type
    settings = CountSettings(output=folder / "counts", report=False, min_area="0px", **options)
    return count([folder / "masks"], settings=settings).total


def learnt(folder: Path, *, choice: ValueChoice | None = None, name: str = "a") -> int:
    reader = TruthReader(choice=choice or ValueChoice())
    return int(reader.read(Pair(name, folder / "images" / f"{name}.tif", (folder / "masks" / f"{name}.tif",))).max())


def compared(folder: Path, **options: Any) -> int:  # noqa: ANN401 - settings of any type
    result = evaluate(folder / "masks", folder / "masks", settings=EvaluateSettings(**options), reporter=Silent())
    assert result.summary["f1_50"] in (1.0, None)
    (image,) = result.images
    return int(image.scores.true_count)


def drafted(folder: Path) -> int:
    facts = init_recipe(folder, output=folder / "r.toml", overwrite=False, reporter=Silent()).facts
    return int(facts.objects or 0)


COMMANDS = {"count": counted, "fit": learnt, "evaluate": compared, "recipe init": drafted}


def resized(mask: NDArray[Any], factor: float, how: int, top: int = 255) -> NDArray[np.uint8]:
    size = (int(mask.shape[1] * factor), int(mask.shape[0] * factor))
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * top).resize(size, how))


def through_jpeg(mask: NDArray[Any], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


CLASSES = np.where(INSIDE, 1, np.where(RIM, 2, 0)).astype(np.uint8)
TWO_CELLS = paint([Disc(30, 30, 12), Disc(60, 90, 20)], SHAPE)
RING = (paint([Disc(30, 30, 14), Disc(60, 90, 22)], SHAPE) > 0) & (TWO_CELLS == 0)

REFUSED = [
    pytest.param(CLASSES, "class_mask", id="cells and their rims"),
    pytest.param(np.where(INSIDE, 5, np.where(RIM, 9, 0)).astype(np.uint16), "class_mask", id="other numbers, 16 bit"),
    pytest.param(np.where(INSIDE, TWENTY % 3 + 1, 0).astype(np.uint8), "class_mask", id="three kinds of cells"),
    pytest.param(np.where(INSIDE, 127, np.where(RIM, 255, 0)).astype(np.uint8), "class_mask", id="a trimap"),
    pytest.param(np.where(RING, 255, TWO_CELLS).astype(np.uint8), "class_mask", id="255 around objects, as VOC has it"),
    pytest.param(np.where(INSIDE, 1, np.where(RIM, 3, 2)).astype(np.uint8), "class_mask", id="ilastik, three classes"),
    pytest.param(np.where(INSIDE, 1, 2).astype(np.uint8), "unclear_background", id="ilastik, two classes"),
    pytest.param(np.where(TWO_CELLS > 0, TWO_CELLS, 9).astype(np.uint8), "unclear_background", id="labels without a 0"),
    pytest.param(resized(INSIDE, 0.5, Image.Resampling.BILINEAR), "blurred_mask", id="resized to half"),
    pytest.param(resized(INSIDE, 3, Image.Resampling.BICUBIC), "blurred_mask", id="resized to three times"),
    pytest.param(resized(INSIDE, 0.5, Image.Resampling.BOX), "blurred_mask", id="antialiased with three greys"),
    pytest.param(resized(INSIDE, 0.7, Image.Resampling.BILINEAR, 128), "blurred_mask", id="resized, 0 and 128"),
    pytest.param(resized(INSIDE, 0.7, Image.Resampling.BILINEAR).astype(np.uint16) * 257, "blurred_mask", id="16 bit"),
    pytest.param(through_jpeg(INSIDE, 80), "blurred_mask", id="once a JPEG"),
    pytest.param((resized(INSIDE, 0.7, Image.Resampling.BILINEAR) / 255).astype(np.float32), "fractions", id="floats"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("mask", "code"), REFUSED)
def test_what_is_no_clear_mask_is_refused_by_every_command(
    tmp_path: Path, mask: NDArray[Any], code: str, command: str
) -> None:
    write(tmp_path, mask)
    with pytest.raises(InputError) as caught:
        COMMANDS[command](tmp_path)
    found = caught.value
    assert code in (found.code, code_in(found))
    assert "a.tif" in found.sentence


def code_in(error: CellmonaiError) -> str:
    """The kind of a refusal that is told as the first of several."""
    words = {
        "class_mask": "class",
        "unclear_background": "unclear which",
        "blurred_mask": "blurred",
        "fractions": "frac",
    }
    return next((code for code, word in words.items() if word in error.sentence), "")


CROSSED = np.where(np.roll(BAR, 28, axis=1), 2, TWO_CELLS == 2).astype(np.uint16)
CONCAVE = np.where(paint([Disc(48, 64, 30)], SHAPE) & ~paint([Disc(48, 40, 22)], SHAPE), 7, 0).astype(np.uint16)

COUNTED = [
    pytest.param(INSIDE, 20, id="bits"),
    pytest.param(INSIDE.astype(np.uint8), 20, id="0 and 1"),
    pytest.param(INSIDE.astype(np.uint16) * 65535, 20, id="0 and 65535"),
    pytest.param(INSIDE.astype(np.uint8) * 128, 20, id="one odd value in many pieces is the foreground of a mask"),
    pytest.param(TWENTY.astype(np.uint16), 20, id="labels"),
    pytest.param(TWENTY.astype(np.uint8) * 12, 20, id="labels stretched over the greys"),
    pytest.param(TWENTY.astype(np.float32), 20, id="labels as floats"),
    pytest.param(np.where(TWO_CELLS == 2, 7, 0).astype(np.uint8), 1, id="one label"),
    pytest.param(CONCAVE, 1, id="one concave label"),
    pytest.param(np.where(BAR, 0, CONCAVE), 1, id="one label in two pieces"),
    pytest.param(CROSSED, 2, id="a label crossed by another"),
    pytest.param(np.where(BAR & (TWENTY == 0), 21, TWENTY).astype(np.uint8), 21, id="a label behind others"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("mask", "cells"), COUNTED)
def test_every_command_counts_the_same_cells(tmp_path: Path, mask: NDArray[Any], cells: int, command: str) -> None:
    write(tmp_path, mask)
    assert COMMANDS[command](tmp_path) == cells


@pytest.mark.parametrize(
    ("mask", "choice", "cells"),
    [
        pytest.param(CLASSES, {"cell_values": (1,)}, 20, id="one class"),
        pytest.param(CLASSES, {"cell_values": (1, 2)}, 20, id="two classes together"),
        pytest.param(np.where(INSIDE, 0, 1).astype(np.uint8), {"cell_values": (0,)}, 20, id="cells are 0"),
        pytest.param(resized(INSIDE, 2, Image.Resampling.BICUBIC), {"mask_threshold": 128}, 20, id="greys"),
        pytest.param((resized(INSIDE, 2, 2) / 255).astype(np.float32), {"mask_threshold": 0.5}, 20, id="fractions"),
        pytest.param(np.where(INSIDE, 200, np.where(RIM, 60, 0)).astype(np.uint8), {"mask_threshold": 75}, 20, id="75"),
    ],
)
def test_named_values_and_thresholds_make_a_clear_mask_for_every_command(
    tmp_path: Path, mask: NDArray[Any], choice: dict[str, Any], cells: int
) -> None:
    write(tmp_path, mask)
    values = ValueChoice(choice.get("cell_values", ()), choice.get("mask_threshold"))
    assert counted(tmp_path, **choice) == cells
    assert learnt(tmp_path, choice=values) == cells
    assert compared(tmp_path, choice=values, truth_choice=values) == cells


def test_a_jpeg_mask_is_read_where_it_is_cut(tmp_path: Path) -> None:
    write(tmp_path, INSIDE)
    (tmp_path / "masks" / "a.tif").unlink()
    Image.fromarray(INSIDE.astype(np.uint8) * 255).save(tmp_path / "masks" / "a.jpg")
    with pytest.raises(InputError, match="JPEG blurs"):
        counted(tmp_path)
    assert counted(tmp_path, mask_threshold=75.0) == 20


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"cell_values": (1,), "mask_threshold": 5.0}, "exclude each other", id="both"),
        pytest.param({"cell_values": (1,), "kind": "labels"}, "makes a binary mask", id="for labels"),
        pytest.param({"mask_threshold": 0.5, "threshold": 0.5}, "probability maps", id="beside a threshold of maps"),
        pytest.param({"mask_threshold": -1.0}, "above 0", id="a threshold below 0"),
        pytest.param({"cell_values": (2**31,)}, "too large", id="a value that is no label"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CountSettings(**options)


DOTS = np.zeros(SHAPE, np.uint8)
DOTS[tuple(np.array([(disc.row, disc.col) for disc in GRID]).T.astype(int))] = 255


@pytest.mark.parametrize(
    "dots",
    [
        pytest.param(DOTS, id="0 and 255"),
        pytest.param(DOTS > 0, id="bits"),
        pytest.param(np.where(DOTS > 0, TWENTY, 0).astype(np.uint16), id="numbered"),
        pytest.param((paint([Disc(d.row, d.col, 1.5) for d in GRID], SHAPE) > 0).astype(np.uint8), id="3 x 3 px"),
    ],
)
def test_dots_are_named_and_never_learnt_from(tmp_path: Path, dots: NDArray[Any]) -> None:
    write(tmp_path / "truth", dots)
    for refuse in (learnt, drafted):
        with pytest.raises(InputError, match="dots of a few pixels"):
            refuse(tmp_path / "truth")
    write(tmp_path / "found", TWENTY.astype(np.uint16))
    found, truth = tmp_path / "found" / "masks", tmp_path / "truth" / "masks"
    with pytest.raises(InputError, match=r"truth is dots.*--centres"):
        evaluate(found, truth)
    result = evaluate(found, truth, settings=EvaluateSettings(centre_radius_px=5))
    assert result.summary["centre_f1"] == 1.0
    assert (result.totals["true_count"], result.summary["count_mae"], result.summary["f1_50"]) == (20, 0.0, None)


def test_count_tells_dots_that_its_smallest_area_removed(tmp_path: Path) -> None:
    write(tmp_path, DOTS)
    reporter = Silent()
    assert count([tmp_path / "masks"], settings=CountSettings(output=tmp_path / "c"), reporter=reporter).total == 0
    assert "dots" in [warning.code for warning in reporter.warnings]
    settings = CountSettings(output=tmp_path / "d", min_area="1px", split="none")
    assert count([tmp_path / "masks"], settings=settings).total == 20


def test_labels_named_by_the_user_are_not_judged(tmp_path: Path) -> None:
    write(tmp_path, CLASSES)
    assert counted(tmp_path, kind="labels") == 2
    assert (
        TruthReader("labels").read(Pair("a", tmp_path / "images" / "a.tif", (tmp_path / "masks" / "a.tif",))).max() == 2
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_label_image_of_cells_is_taken_for_classes_or_greys(seed: int) -> None:
    """Any number and size of cells, also cut by others, makes a label image."""
    from cellmonai.images.rows import ArrayRows
    from cellmonai.instances.mask_kind import refuse_unclear

    random = np.random.default_rng(seed)
    cells = int(random.integers(2, 60))
    discs = [Disc(*random.uniform(0, 120, 2), random.uniform(3, 15)) for _ in range(cells)]
    look = look_at_mask(ArrayRows(paint(discs, (120, 120)).astype(np.uint8)))
    assert look.is_labels
    refuse_unclear(look, "labels", "auto", where="a.tif")


WEB = paint([Disc(48, 40 + 24 * i, 13) for i in range(3)], SHAPE) > 0


@pytest.mark.parametrize("value", [pytest.param(255, id="255"), pytest.param(True, id="bits")])
def test_a_mask_among_label_images_stays_a_mask(tmp_path: Path, value: int) -> None:
    write(tmp_path, TWENTY.astype(np.uint16))
    write(tmp_path, WEB if value is True else WEB.astype(np.uint8) * 255, "b")
    reporter = Silent()
    settings = CountSettings(output=tmp_path / "counts")
    result = count([tmp_path / "masks"], settings=settings, reporter=reporter)
    assert [row.count for row in result.images] == [20, 3]
    assert "mixed_kinds" in [warning.code for warning in reporter.warnings]
    found = evaluate(tmp_path / "masks", tmp_path / "masks", reporter=Silent())
    assert [image.scores.true_count for image in found.images] == [20, 3]
    pairs = [Pair(n, tmp_path / "images" / f"{n}.tif", (tmp_path / "masks" / f"{n}.tif",)) for n in "ab"]
    reader = TruthReader()
    reader.decide_kind(pairs)
    assert [int(reader.read(pair).max()) for pair in pairs] == [20, 3]
    assert [note.code for note in reader.notes] == ["mixed_kinds"]


def test_an_inverted_mask_is_told_by_every_command_and_its_cells_are_no_holes(tmp_path: Path) -> None:
    write(tmp_path, (~np.pad(WEB, 60)).astype(np.uint8) * 255)
    reporter = Silent()
    result = count([tmp_path / "masks"], settings=CountSettings(output=tmp_path / "counts"), reporter=reporter)
    assert result.images[0].holes_filled == 0
    evaluate(tmp_path / "masks", tmp_path / "masks", reporter=(compared_by := Silent()))
    reader = TruthReader()
    reader.read(Pair("a", tmp_path / "images" / "a.tif", (tmp_path / "masks" / "a.tif",)))
    init_recipe(tmp_path, output=tmp_path / "r.toml", overwrite=False, reporter=(drafted_by := Silent()))
    told = [reporter.warnings, compared_by.warnings, reader.notes, drafted_by.warnings]
    assert all("mostly_foreground" in [note.code for note in notes] for notes in told)


@pytest.mark.parametrize("choice", [{"cell_values": (9,)}, {"mask_threshold": 999.0}], ids=["value", "threshold"])
def test_values_that_no_mask_holds_are_refused(tmp_path: Path, choice: dict[str, Any]) -> None:
    write(tmp_path, CLASSES)
    values = ValueChoice(choice.get("cell_values", ()), choice.get("mask_threshold"))
    reader = TruthReader(choice=values)
    labels = reader.read(Pair("a", tmp_path / "images" / "a.tif", (tmp_path / "masks" / "a.tif",)))
    for refuse in (
        lambda: counted(tmp_path, **choice),
        lambda: compared(tmp_path, choice=values, truth_choice=values),
        lambda: reader.refuse_without_cells([labels], "masks"),
    ):
        with pytest.raises(InputError, match="no pixel of any mask"):
            refuse()


def test_recipe_init_writes_the_values_that_are_cells(tmp_path: Path) -> None:
    write(tmp_path, CLASSES)
    with pytest.raises(InputError, match="--cell-values 1"):
        drafted(tmp_path)
    choice = ValueChoice((1,))
    init_recipe(tmp_path, output=tmp_path / "r.toml", overwrite=False, reporter=Silent(), choice=choice)
    assert "cell_values = [1]" in (tmp_path / "r.toml").read_text()
