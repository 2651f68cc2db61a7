"""Objects depend on the mask and the settings alone: not on strips, threads, kernels, or what fits in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint, scattered_discs
from PIL import Image

from cellmonai.core.errors import InputError
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_in_rows, find_instances, keep_in_rows, keep_labels
from cellmonai.instances.settings import InstanceSettings, Split
from cellmonai.kernels.library import VARIABLE, kernel_name, library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

STRIPS = (7, 64, 100, 256, 1000, None)
SPLITS: tuple[Split, ...] = ("auto", "learned", "markers", "none")


def painted() -> NDArray[np.bool_]:
    return paint(scattered_discs(120, (520, 380), radius_px=(4, 16), cells_per_cluster=6, seed=8), (520, 380)) > 0


def noise() -> NDArray[np.bool_]:
    return np.random.default_rng(1).random((300, 260)) < 0.6


def plateaus() -> NDArray[np.bool_]:
    mask = np.zeros((420, 300), bool)
    mask[10:400, 20:140] = mask[30:200, 150:152] = mask[220:222, 150:290] = True
    mask[240:410:2, 160:290] = True
    return mask


def spiral() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:400, :400] - 200.0
    turn = np.hypot(rows, columns) / 18 - np.arctan2(rows, columns) / (2 * np.pi)
    return (turn % 1.0) < 0.55


def blob_wider_than_the_distance_cap() -> NDArray[np.bool_]:
    return paint([Disc(290, 300, 280), Disc(290, 590, 30)], (600, 640)) > 0


def wide_and_low() -> NDArray[np.bool_]:
    return paint(scattered_discs(60, (40, 2000), radius_px=(4, 9), cells_per_cluster=4, seed=2), (40, 2000)) > 0


MASKS: dict[str, Callable[[], NDArray[np.bool_]]] = {
    "painted": painted,
    "noise": noise,
    "plateaus": plateaus,
    "spiral": spiral,
    "blob": blob_wider_than_the_distance_cap,
    "wide": wide_and_low,
}


def digest(mask: NDArray[np.bool_], settings: InstanceSettings, **how: object) -> str:
    """One word for everything that is found."""
    with find_in_rows(ArrayRows(mask), settings, **how) as found:  # type: ignore[arg-type]  # options by name
        labels = found.rows(0, mask.shape[0])
        facts = f"{found.count} {dict(found.removed)} {found.foreground_px}".encode()
    return hashlib.sha256(labels.tobytes() + facts).hexdigest()


@pytest.fixture
def each_kernel(monkeypatch: pytest.MonkeyPatch) -> object:
    """Switch the kernels within a test."""

    def switch(name: str) -> None:
        monkeypatch.setenv(VARIABLE, name)
        library.cache_clear()
        if kernel_name() != name:
            pytest.skip("the compiled kernels are not built here")

    yield switch
    monkeypatch.undo()
    library.cache_clear()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", MASKS)
def test_strips_threads_and_kernels_change_nothing(
    name: str, split: Split, each_kernel: Callable[[str], None], tmp_path: Path
) -> None:
    mask, settings = MASKS[name](), InstanceSettings(split=split, border="frame")
    found = set()
    each_kernel("c")
    for rows in STRIPS:
        for threads in (1, 2):
            found.add(digest(mask, settings, strip_rows=rows, threads=threads))
    found.add(digest(mask, settings, strip_rows=64, in_memory_bytes=0, spill=tmp_path))
    each_kernel("numpy")
    for rows in (64, None):
        found.add(digest(mask, settings, strip_rows=rows))
    assert len(found) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "cleaning",
    [{"opening": 2}, {"closing": 3}, {"fill_holes": "all"}, {"opening": 1, "closing": 4, "fill_holes": "all"}],
    ids=lambda cleaning: "+".join(cleaning),
)
@pytest.mark.parametrize("name", ["painted", "noise", "spiral"])
def test_cleaning_is_exact_in_strips(name: str, cleaning: dict[str, int], each_kernel: Callable[[str], None]) -> None:
    mask, settings = MASKS[name](), InstanceSettings(**cleaning, split="none")  # type: ignore[arg-type]
    each_kernel("c")
    found = {digest(mask, settings, strip_rows=rows, threads=threads) for rows in STRIPS for threads in (1, 2)}
    each_kernel("numpy")
    found |= {digest(mask, settings, strip_rows=rows) for rows in (7, None)}
    assert len(found) == 1


@pytest.mark.parametrize("rows", [7, 64, None])
def test_label_images_keep_their_objects_in_strips(rows: int | None) -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 4, (120, 90)).astype(np.uint16) * 300
    whole = keep_labels(labels, InstanceSettings(min_area_px=2))
    with keep_in_rows(ArrayRows(labels), InstanceSettings(min_area_px=2), strip_rows=rows) as found:
        np.testing.assert_array_equal(found.rows(0, 120), whole.labels)
        assert (found.removed, found.notes, found.count) == (whole.removed, whole.notes, whole.count)


@given(
    labels=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 3)),
    rows=st.integers(1, 20),
)
def test_pieces_of_any_label_image_do_not_depend_on_strips(labels: NDArray[np.uint8], rows: int) -> None:
    settings = InstanceSettings(min_area_px=0)
    with keep_in_rows(ArrayRows(labels), settings, strip_rows=rows) as found:
        np.testing.assert_array_equal(found.rows(0, labels.shape[0]), keep_labels(labels, settings).labels)


@given(st.data())
def test_any_rows_of_the_label_image_can_be_asked_for(data: st.DataObject) -> None:
    mask = painted()[:150, :120]
    whole = find_instances(mask, InstanceSettings()).labels
    with find_in_rows(ArrayRows(mask), InstanceSettings(), strip_rows=data.draw(st.integers(1, 160))) as found:
        top = data.draw(st.integers(0, 150))
        bottom = data.draw(st.integers(top, 150))
        np.testing.assert_array_equal(found.rows(top, bottom), whole[top:bottom])


@pytest.mark.parametrize(("border", "count"), [("keep", 9), ("exclude", 1), ("frame", 4)])
def test_border_rules(border: str, count: int) -> None:
    mask = paint([Disc(row, column, 6) for row in (0, 40, 80) for column in (0, 40, 80)], (81, 81)) > 0
    found = find_instances(mask, InstanceSettings(border=border))  # type: ignore[arg-type]
    assert found.count == count
    assert found.removed["border"] == 9 - count


def test_images_side_by_side_count_round_cells_between_them_once_by_the_frame_rule() -> None:
    """Each image sees a part of the cell on the line between them; the one to the left or above counts it."""
    mask = paint([Disc(30, 50, 6), Disc(50, 20, 6), Disc(70, 80, 6), Disc(20, 20, 6)], (100, 100)) > 0
    settings = InstanceSettings(border="frame", split="none", min_area_px=0)
    parts = [mask[y : y + 50, x : x + 50] for y in (0, 50) for x in (0, 50)]
    assert [find_instances(part, settings).count for part in parts] == [3, 0, 0, 1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)], ids=str)
@pytest.mark.parametrize("split", SPLITS)
def test_a_plane_without_pixels_has_no_objects(shape: tuple[int, int], split: Split) -> None:
    found = find_instances(np.zeros(shape, bool), InstanceSettings(split=split, fill_holes="all", closing=1))
    assert (found.count, found.labels.shape) == (0, shape)
    assert keep_labels(np.zeros(shape, np.int32), InstanceSettings()).count == 0


@pytest.mark.parametrize("high", [2**31, 2**32, 2**63 + 5])
def test_ids_that_no_label_image_can_hold_are_refused(high: int) -> None:
    labels = np.array([[0, high, 5]], np.uint64)
    with pytest.raises(InputError, match=f"holds the id {high}, expected at most 2147483647"):
        keep_labels(labels, InstanceSettings())


def test_one_pixel_wide_holes_and_rings_are_filled_as_4_connected_background() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2, 3:6] = mask[6, 3:6] = mask[3:6, 2] = mask[3:6, 6] = True
    found = find_instances(mask, InstanceSettings(fill_holes="all", split="none", min_area_px=0))
    assert found.count == 1
    assert int((found.labels > 0).sum()) == 12 + 9


@pytest.mark.long
@pytest.mark.parametrize("split", SPLITS)
def test_real_masks_do_not_depend_on_strips_threads_or_kernels(
    data_folder: Path, split: Split, each_kernel: Callable[[str], None]
) -> None:
    folder = data_folder / "dsb2018_stage1_train" / "labels_fixed"
    images = sorted(folder.glob("*.png"))[::12] + sorted((data_folder / "fnc").rglob("masks/*.png"))
    assert len(images) >= 50
    for path in images:
        mask = np.asarray(Image.open(path).convert("I")) > 0
        found = set()
        each_kernel("c")
        for rows, threads in ((7, 1), (64, 2), (100, 1), (256, 2), (1000, 1), (None, 1)):
            found.add(digest(mask, InstanceSettings(split=split), strip_rows=rows, threads=threads))
        each_kernel("numpy")
        found.add(digest(mask, InstanceSettings(split=split), strip_rows=100))
        assert len(found) == 1, path.name
