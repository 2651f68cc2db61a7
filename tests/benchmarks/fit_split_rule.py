"""Fit the weights of the learned splitting rule on one half of annotated nuclei, and try them on the other.

    python tests/benchmarks/fit_split_rule.py DATA

DATA holds dsb2018_stage1_train (label maps labels_fixed/, groups.csv). Groups, never images, are divided: those whose
name's SHA-256 is even train, the others test. Nuclei merged to a mask are split into basins; along each saddle, from
the highest down, the two sides as truth unites them by then are one example: one nucleus, or two. The weights are a
logistic regression on `pair_score.FEATURES`; the bias is then lowered until the training images are counted best, as a
missed seam costs more counts than it costs likelihood. What is printed goes into `pair_score.LEARNED_WEIGHTS`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.basin_graph import build_basin_graph, split_mask
from cellmonai.instances.pair_score import FEATURES, PairScore, median_area_px
from cellmonai.instances.regions import PEAK_HEIGHT
from cellmonai.instances.rules import AUTO, LearnedRule, Rule, falling, unite_basins
from cellmonai.instances.strip_store import StripStore
from cellmonai.instances.unite import find_root
from cellmonai.measure.matching import match_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIDGE = 1e-3


def read_halves(data: Path) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]]:
    """Label maps of the training and the test half, by group."""
    folder = data / "dsb2018_stage1_train"
    with (folder / "groups.csv").open(newline="", encoding="utf-8") as stream:
        group_of = {row["image_id"]: row["group"] for row in csv.DictReader(stream)}
    halves: tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]] = ([], [])
    for path in sorted((folder / "labels_fixed").glob("*.png")):
        half = hashlib.sha256(group_of[path.stem].encode()).digest()[0] % 2
        halves[half].append(np.asarray(Image.open(path)).astype(np.int32))
    return halves


def examples_of(truth: NDArray[np.int32]) -> list[tuple[tuple[float, ...], bool]]:
    """Features of the two sides of each saddle, united as in truth so far, and whether they are one nucleus."""
    mask, columns = truth > 0, truth.shape[1]
    store = StripStore(columns)
    graph = build_basin_graph(ArrayRows(mask), store, AUTO)
    nucleus = _nucleus_of_basins(truth, store, graph.region_of, graph.table.shape[0])
    auto = unite_basins(graph.table, graph.edges, AUTO, columns=columns)
    score = PairScore((0.0,) * len(FEATURES), median_area_px(graph.table, auto), columns)
    root, rows = list(range(len(nucleus))), graph.table.tolist()
    examples = []
    for first, second, saddle in zip(*(column.tolist() for column in falling(graph.edges)), strict=True):
        one, other = find_root(root, first), find_root(root, second)
        if one == other:
            continue
        if rows[other][PEAK_HEIGHT] > rows[one][PEAK_HEIGHT]:
            one, other = other, one
        same = bool(nucleus[one] == nucleus[other])
        examples.append((score.features(rows[one], rows[other], saddle), same))
        if same:
            score.add(rows[one], rows[other])
            root[other] = one
    return examples


def _nucleus_of_basins(
    truth: NDArray[np.int32], store: StripStore, region_of: list[NDArray[np.int32]], count: int
) -> NDArray[np.intp]:
    """Give the nucleus that owns most of each basin."""
    votes = np.zeros((count, int(truth.max()) + 1), np.int64)
    for index, regions in enumerate(region_of):
        top, bottom = store.span(index)
        ids = store.strip(index)
        inside = ids > 0
        np.add.at(votes, (regions[ids[inside] - 1], truth[top:bottom][inside]), 1)
    return votes.argmax(axis=1)


def fit(features: NDArray[np.float64], same: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logistic regression by Newton's method with a small ridge; shape (features,)."""
    weights = np.zeros(features.shape[1])
    scale = features.std(axis=0)
    scale[0] = 1.0
    x = features / scale
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (same - p) - RIDGE * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights += step
        if np.abs(step).max() < 1e-10:
            break
    return weights / scale


def quality(truths: list[NDArray[np.int32]], rule: Rule, *, zoom: float = 1.0) -> tuple[float, float, float]:
    """Count bias in percent, mean absolute count error in cells, and F1 at an overlap of one half."""
    predicted, true, hits, total_pred, total_true = [], [], 0, 0, 0
    for given in truths:
        truth = _zoomed(given, zoom)
        found = split_mask(truth > 0, rule=rule)
        predicted.append(int(found.max(initial=0)))
        true.append(int(np.unique(truth[truth > 0]).size))
        hits += match_labels(truth, found, 0.5).tp
        total_pred, total_true = total_pred + predicted[-1], total_true + true[-1]
    error = np.subtract(predicted, true)
    return 100 * error.sum() / sum(true), float(np.abs(error).mean()), 2 * hits / (total_pred + total_true)


def _zoomed(truth: NDArray[np.int32], zoom: float) -> NDArray[np.int32]:
    rows, columns = (np.minimum((np.arange(round(n * zoom)) / zoom).astype(int), n - 1) for n in truth.shape)
    return truth[np.ix_(rows, columns)]


def main() -> None:
    """Fit, choose the bias on the training half, and report both halves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    train, test = read_halves(parser.parse_args().data)
    pairs = [pair for truth in train for pair in examples_of(truth)]
    features, same = np.array([f for f, _ in pairs]), np.array([s for _, s in pairs])
    weights = fit(features, same)
    print(f"{len(train)} training images, {len(pairs)} saddles, {same.mean():.1%} within one nucleus")
    candidates = []
    for offset in np.arange(0.0, 2.01, 0.25):
        shifted = weights.copy()
        shifted[0] -= offset
        rule = LearnedRule(tuple(float(w) for w in shifted))
        bias, mae, f1 = quality(train, rule)
        candidates.append((mae, offset, rule))
        print(f"  offset {offset:4.2f}: training bias {bias:+.2f} %, MAE {mae:.3f}, F1 {f1:.4f}")
    _, offset, learned = min(candidates, key=lambda row: row[:2])
    print(f"offset {offset}; LEARNED_WEIGHTS = {learned.weights}")
    for name, rule in {"auto": AUTO, "learned": learned}.items():
        for zoom in (0.5, 1.0, 2.0, 3.0):
            bias, mae, f1 = quality(test if zoom <= 1 else test[::4], rule, zoom=zoom)
            print(f"{name:8} test x{zoom}: bias {bias:+.2f} %, MAE {mae:.3f}, F1 {f1:.4f}")


if __name__ == "__main__":
    main()
