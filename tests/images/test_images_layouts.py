"""Images paired with their truth, in every layout, and what goes wrong said with names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tifffile import imwrite

from cellmonai.core.errors import InputError, UsageError
from cellmonai.images.layouts import check_pair, find_pairs, read_pair_mask

BLANK = np.zeros((8, 9), np.uint8)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in {".tif", ".tiff"}:
            imwrite(path, BLANK)
        else:
            path.touch()
    return root


def paired(root: Path, **options: Path) -> list[tuple[str, str]]:
    return [(pair.name, pair.masks[0].name) for pair in find_pairs("pairs", root, **options)]


@pytest.mark.parametrize("folder", ["masks", "labels", "gt", "annotations", "ground_truth", "Masks"])
def test_folders_with_equal_names_are_pairs(folder: str, tmp_path: Path) -> None:
    touch(tmp_path, "images/a2.tif", "images/a10.tif", f"{folder}/a2.png", f"{folder}/a10.png")
    assert paired(tmp_path) == [("a2", "a2.png"), ("a10", "a10.png")]


@pytest.mark.parametrize("suffix", ["_mask", "_masks", "_label", "_labels", "_seg", "_cp_masks", "_gt"])
def test_the_end_of_the_name_makes_pairs_in_one_folder(suffix: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", f"a{suffix}.tiff", "b_img.png", f"b{suffix}.png")
    assert paired(tmp_path) == [("a", f"a{suffix}.tiff"), ("b_img", f"b{suffix}.png")]


def test_folders_may_be_named_and_their_masks_have_endings(tmp_path: Path) -> None:
    touch(tmp_path, "raw data/a.tif", "truth/a_labels.tif")
    found = paired(tmp_path, images=tmp_path / "raw data", masks=Path("truth"))
    assert found == [("a", "a_labels.tif")]


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/.ipynb_checkpoints/b.tif", "masks/a.tif", ".cache/masks/a.tif")
    assert paired(tmp_path) == [("a", "a.tif")]


def test_masks_without_image_are_listed_as_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "masks/a.tif", "masks/b.tif")
    assert [path.name for path in find_pairs("pairs", tmp_path).skipped] == ["b.tif"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        pytest.param(
            ["images/cell_01.tif", "images/b.tif", "masks/cell_1.tif", "masks/b.tif"],
            r"no mask for cell_01.tif \(2 images, 2 masks, the nearest is cell_1.tif\)",
            id="no mask",
        ),
        pytest.param([*(f"images/{i}.tif" for i in range(9)), "masks/x.tif"], "1.tif, 2.tif and 6 more", id="many"),
        pytest.param(["images/a.tif", "masks/a.tif", "masks/a.png"], "masks of the same image", id="two masks"),
        pytest.param(["images/a.tif", "images/a.png", "masks/a.tif"], "have the same name", id="two images"),
        pytest.param(["images/a.tif", "masks/a.tif", "labels/a.tif"], "several folders of masks", id="two folders"),
        pytest.param(["a.tif", "b.tif"], "and no masks", id="no masks"),
        pytest.param(["a_mask.tif"], "every image is named as a mask", id="no images"),
        pytest.param(["a.tif", "a_seg.npy"], "pickle.*Save masks as PNG/tif", id="Cellpose pickle"),
        pytest.param(["images/a.tif", "images/a_seg.npy", "masks/b.tif"], "Save masks as PNG", id="pickle beside it"),
        pytest.param(["images/notes.txt", "masks/a.tif"], "holds no image", id="no images in the folder"),
    ],
)
def test_what_does_not_pair_is_said_with_names(names: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        find_pairs("pairs", touch(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["images/F01.TIF", "masks/f01.tif"], [("F01", "f01.tif")], id="capitals"),
        pytest.param(["images/a.tif", "masks/A_MASK.TIF"], [("a", "A_MASK.TIF")], id="an ending in capitals"),
        pytest.param(
            ["images/e\u0301.tif", "masks/\u00e9.tif"], [("e\u0301", "\u00e9.tif")], id="an accent in two forms"
        ),
        pytest.param(
            ["images/a.tif", "images/A.tif", "masks/a.tif", "masks/A.tif"],
            [("A", "A.tif"), ("a", "a.tif")],
            id="names that differ in capitals",
        ),
    ],
)
def test_names_pair_by_their_letters_whatever_the_capitals(
    names: list[str], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert paired(touch(tmp_path, *names)) == expected


def test_one_mask_is_not_given_to_two_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no mask for A\.tif"):
        find_pairs("pairs", touch(tmp_path, "images/a.tif", "images/A.tif", "masks/a.tif"))


SPLIT = ["train/images/a.tif", "train/masks/a.tif", "val/images/a.tif", "val/masks/a_mask.tif", "test/images/t.tif"]


def test_parts_of_a_split_are_an_attribute_and_test_images_need_no_masks(tmp_path: Path) -> None:
    found = find_pairs("splits", touch(tmp_path, *SPLIT))
    assert [(pair.name, pair.attributes) for pair in found] == [
        ("train_a", {"split": "train"}),
        ("val_a", {"split": "validation"}),
    ]
    assert found.notes == ("test has no pairs of image and mask and is left out",)


@pytest.mark.parametrize("images", ["images", "Images"])
def test_a_split_may_lie_inside_the_folders_of_images_and_masks(images: str, tmp_path: Path) -> None:
    names = ["train/a.tif", "valid/b.tif", "test/c.tif"]
    touch(tmp_path, *(f"{folder}/{name}" for folder in (images, "labels") for name in names))
    found = find_pairs("splits", tmp_path)
    assert [pair.attributes["split"] for pair in found] == ["train", "validation", "test"]
    named = find_pairs("splits", tmp_path, images=Path("images"), masks=Path("Labels"))
    assert named.pairs == found.pairs


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        pytest.param(["images/a.tif"], "there is no folder train", id="no part"),
        pytest.param([*SPLIT, "valid/images/b.tif"], "two folders of images for validation: val, valid", id="two"),
        pytest.param([*SPLIT, "val/images/c.tif"], r"no mask for c\.tif", id="an image for validation without mask"),
    ],
)
def test_what_is_no_split_is_said(names: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        find_pairs("splits", touch(tmp_path, *names))


@pytest.mark.parametrize("suffix", [".tif", ".png", ".nii.gz"])
def test_cases_of_nnunet_are_named_without_their_channel(suffix: str, tmp_path: Path) -> None:
    cases = ("img_2", "img_10")
    touch(tmp_path, *(f"imagesTr/{case}_0000{suffix}" for case in cases), *(f"labelsTr/{c}{suffix}" for c in cases))
    touch(tmp_path, f"imagesTs/x_0000{suffix}", f"labelsTr/alone{suffix}")
    found = find_pairs("nnunet", tmp_path)
    assert [(pair.name, pair.masks[0].name) for pair in found] == [(case, f"{case}{suffix}") for case in cases]
    assert [path.name for path in found.skipped] == [f"alone{suffix}"]
    assert found.notes == ("imagesTs is for testing and left out",)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        pytest.param(
            ["imagesTr/a_0000.tif", "imagesTr/a_0001.tif", "labelsTr/a.tif"],
            r"channels of one image lie in several files \(a_0000\.tif, a_0001\.tif\); stack them",
            id="two channels",
        ),
        pytest.param(["imagesTr/a.tif", "labelsTr/a.tif"], "does not end in a channel", id="no channel"),
        pytest.param(["imagesTr/a_0000.tif", "labelsTr/b.tif"], r"no label file for a_0000\.tif", id="no labels"),
        pytest.param(["imagesTr/a_0000.tif"], "there is no folder labelsTr", id="no folder of labels"),
    ],
)
def test_what_is_no_data_set_of_nnunet_is_said(names: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        find_pairs("nnunet", touch(tmp_path, *names))


def test_unknown_layouts_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'pairs'"):
        find_pairs("pair", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_pairs("pairs", tmp_path / "gone")
    with pytest.raises(InputError, match="no such folder"):
        find_pairs("pairs", tmp_path, masks=Path("gone"))


@pytest.mark.parametrize("key", ["a", "a.tif", "images/a.tif"], ids=["stem", "file name", "path"])
def test_tables_add_text_to_the_pairs_they_name(key: str, tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.tif", "masks/a.tif", "masks/b.tif")
    (tmp_path / "t.csv").write_text(f"name,group,dose\n{key},g1,0.5\nother,g9,1\n", encoding="utf-8-sig")
    first, second = find_pairs("pairs", tmp_path, tables=[Path("t.csv")])
    assert first.attributes == {"group": "g1", "dose": "0.5"}
    assert second.attributes == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,group\nc,g1\n", "names none of the 1 images"),
        ("name,group\na,g1\na,g2\n", "stands in two rows"),
        ("name\na\n", "no second column"),
        ("", "no second column"),
        ("name,group\n\xff\n", "cannot read the table"),
    ],
    ids=["other images", "twice", "one column", "empty", "not UTF-8"],
)
def test_a_table_that_does_not_fit_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "masks/a.tif")
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=reason):
        find_pairs("pairs", tmp_path, tables=[tmp_path / "t.csv"])


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif")
    (tmp_path / "masks").mkdir()
    imwrite(tmp_path / "masks" / "a.tif", np.zeros((9, 8), np.uint8))
    (pair,) = find_pairs("pairs", tmp_path)
    with pytest.raises(InputError, match="the mask is 8 x 9 px and its image 9 x 8 px"):
        read_pair_mask(pair)
    check_pair((3, 9, 8), (9, 8), where="a.tif")


def _nucleus(path: Path, rows: slice, columns: slice) -> None:
    mask = BLANK.copy()
    mask[rows, columns] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    imwrite(path, mask)


def test_masks_of_single_nuclei_are_painted_with_small_ones_on_top(tmp_path: Path) -> None:
    touch(tmp_path, "id1/images/id1.tif", "id0/images/id0.tif")
    (tmp_path / "id0" / "masks").mkdir()
    _nucleus(tmp_path / "id1" / "masks" / "a.tif", slice(1, 3), slice(1, 3))
    _nucleus(tmp_path / "id1" / "masks" / "b.tif", slice(0, 6), slice(0, 6))
    _nucleus(tmp_path / "id1" / "masks" / "c.tif", slice(0, 0), slice(0, 0))
    (pair,) = [pair for pair in find_pairs("dsb2018", touch(tmp_path, "id0/masks/x.tif")) if pair.name == "id1"]
    labels = read_pair_mask(pair).array
    assert (labels[0, 0], labels[1, 1], labels.max()) == (1, 2, 2)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        pytest.param(["set/id/images/a.tif"], "the samples lie in set, name that folder", id="one folder too high"),
        pytest.param(["id/images/a.tif"], "no folder of masks", id="no masks"),
        pytest.param(["id/images/a.tif", "id/images/b.tif", "id/masks/c.tif"], "2 images", id="two images"),
        pytest.param(["images/a.tif"], "no folder of label maps", id="no label maps"),
        pytest.param(["images/a.tif", "labels_a/a.tif", "labels_b/a.tif"], "several folders", id="which labels"),
        pytest.param(["images/a.tif", "labels/b.tif"], "no label map is named", id="other names"),
    ],
)
def test_what_is_no_data_science_bowl_is_said(names: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        find_pairs("dsb2018", touch(tmp_path, *names))


def test_images_without_label_map_are_skipped_in_dsb2018(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.tif", "labels_fixed/a.tif", "labels_original/a.tif")
    found = find_pairs("dsb2018", tmp_path, masks=Path("labels_fixed"))
    assert [pair.name for pair in found] == ["a"]
    assert [path.name for path in found.skipped] == ["b.tif"]


def test_bbbc005_names_give_counts_and_the_mask_in_focus(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "images/SIMCEPImages_A02_C5_F1_s01_w1.TIF",
        "images/SIMCEPImages_P02_C5_F48_s01_w1.tif",
        "images/SIMCEPImages_A02_C5_F1_s01_w2.tif",
        "masks/SIMCEPImages_A02_C5_F1_s01_w1.tif",
    )
    found = {pair.name[13:]: pair for pair in find_pairs("bbbc005", tmp_path)}
    blurred = found["P02_C5_F48_s01_w1"]
    assert blurred.count == 5
    assert blurred.masks == (tmp_path / "masks" / "SIMCEPImages_A02_C5_F1_s01_w1.tif",)
    assert blurred.attributes == {
        "well": "P02",
        "count": "5",
        "blur": "48",
        "sample": "1",
        "stain": "w1",
        "field": "C5_s01",
    }
    assert found["A02_C5_F1_s01_w2"].masks == ()
    with pytest.raises(InputError, match="no mask, only a count"):
        read_pair_mask(found["A02_C5_F1_s01_w2"])


def test_bbbc005_refuses_other_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tif not named as SIMCEPImages"):
        find_pairs("bbbc005", touch(tmp_path, "images/a.tif"))


def test_the_small_images_beside_the_tests_are_pairs(small_data: Path) -> None:
    counts = [int(read_pair_mask(pair).array.max()) for pair in find_pairs("pairs", small_data / "dsb2018")]
    assert counts == [2, 8, 16, 27, 40, 62]


def test_the_data_science_bowl_has_664_corrected_label_maps(data_folder: Path) -> None:
    root = data_folder / "dsb2018_stage1_train"
    found = find_pairs("dsb2018", root, masks=Path("labels_fixed"), tables=[Path("groups.csv"), Path("images.csv")])
    assert (len(found), len(found.skipped)) == (664, 6)
    assert len({pair.attributes["group"] for pair in found}) > 250
    some = found.pairs[:20]
    assert all(read_pair_mask(pair).array.max() == int(pair.attributes["n_fixed_visible"]) for pair in some)


def test_single_nuclei_masks_give_the_listed_number_of_nuclei(data_folder: Path) -> None:
    import csv

    with (data_folder / "dsb2018_layout_sample" / "images.csv").open(newline="", encoding="utf-8") as stream:
        listed = {row["image_id"]: int(row["masks"]) for row in csv.DictReader(stream)}
    for pair in find_pairs("dsb2018", data_folder / "dsb2018_layout_sample" / "stage1_train"):
        assert read_pair_mask(pair).array.max() == listed[pair.name]


def test_bbbc005_has_229_images_with_masks_of_their_size(data_folder: Path) -> None:
    found = find_pairs("bbbc005", data_folder / "bbbc005", tables=[Path("images.csv")])
    assert len(found) == 229
    assert all(pair.masks for pair in found)
    assert all(pair.attributes["mask"].endswith(pair.masks[0].name) for pair in found)
    assert set(np.unique(read_pair_mask(found.pairs[0]).array).tolist()) == {0, 255}
