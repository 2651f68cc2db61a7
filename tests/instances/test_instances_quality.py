"""How well the rules split real nuclei when the foreground is perfect."""

from __future__ import annotations

import csv
import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cellmonai.instances.basin_graph import split_mask
from cellmonai.instances.rules import AUTO, LearnedRule, Rule
from cellmonai.measure.matching import match_labels

if TYPE_CHECKING:
    from pathlib import Path


def test_nuclei_of_bbbc005_in_focus_are_counted_within_a_tenth_of_a_cell(data_folder: Path) -> None:
    masks = sorted((data_folder / "bbbc005" / "masks").glob("*_F1_*_w1.TIF"))
    assert len(masks) == 72
    true = [int(re.search(r"_C(\d+)_", path.name)[1]) for path in masks]  # type: ignore[index]
    found = [int(split_mask(np.asarray(Image.open(path)) > 0, rule=AUTO).max()) for path in masks]
    assert np.abs(np.subtract(found, true)).mean() <= 0.1


@pytest.mark.long
@pytest.mark.parametrize("rule", [AUTO, LearnedRule()], ids=["auto", "learned"])
def test_merged_nuclei_of_groups_that_no_rule_was_fitted_on_keep_count_and_outlines(
    data_folder: Path, rule: Rule
) -> None:
    folder = data_folder / "dsb2018_stage1_train"
    with (folder / "groups.csv").open(newline="", encoding="utf-8") as stream:
        group_of = {row["image_id"]: row["group"] for row in csv.DictReader(stream)}
    errors, true_total, matched = [], 0, 0
    for path in sorted((folder / "labels_fixed").glob("*.png")):
        if hashlib.sha256(group_of[path.stem].encode()).digest()[0] % 2 == 0:
            continue  # the half that the learned rule was fitted on
        truth = np.asarray(Image.open(path)).astype(np.int32)
        found = split_mask(truth > 0, rule=rule)
        true = int(np.unique(truth[truth > 0]).size)
        errors.append(int(found.max()) - true)
        true_total += true
        matched += match_labels(truth, found, 0.5).tp
    assert len(errors) == 333
    assert abs(sum(errors)) / true_total <= 0.03
    assert np.abs(errors).mean() <= 1.9
    assert 2 * matched / (2 * true_total + sum(errors)) >= 0.955
