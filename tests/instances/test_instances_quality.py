"""How well the default rule splits real nuclei when the foreground is perfect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cellmonai.instances.basin_graph import split_mask
from cellmonai.instances.rules import AUTO

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def matched(truth: NDArray[np.int64], found: NDArray[np.int64]) -> int:
    """Pairs with an intersection over union above ½; each object can be in one such pair only."""
    areas, found_areas = np.bincount(truth.ravel()), np.bincount(found.ravel())
    inside = (truth > 0) & (found > 0)
    pair, common = np.unique(truth[inside] * found_areas.size + found[inside], return_counts=True)
    true_label, found_label = np.divmod(pair, found_areas.size)
    return int((common / (areas[true_label] + found_areas[found_label] - common) > 0.5).sum())


@pytest.mark.long
def test_splitting_merged_nuclei_keeps_count_and_outlines(data_folder: Path) -> None:
    truths = sorted((data_folder / "dsb2018_stage1_train" / "labels_fixed").glob("*.png"))
    true_counts, counts, hits = [], [], 0
    for path in truths:
        truth = np.asarray(Image.open(path)).astype(np.int64)
        found = split_mask(truth > 0, rule=AUTO).astype(np.int64)
        true_counts.append(np.unique(truth[truth > 0]).size)
        counts.append(int(found.max()))
        hits += matched(truth, found)
    true_total, total = sum(true_counts), sum(counts)
    assert len(truths) == 664
    assert -0.018 <= (total - true_total) / true_total <= -0.012
    assert np.abs(np.subtract(counts, true_counts)).mean() <= 1.9
    assert 2 * hits / (true_total + total) >= 0.955
