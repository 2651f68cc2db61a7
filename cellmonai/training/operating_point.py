"""The decision threshold, chosen once on the validation images and frozen in the model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cellmonai.training.validation import Scores, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.data.samples import Sample
    from cellmonai.instances.settings import InstanceSettings

THRESHOLDS = tuple(hundredths / 100 for hundredths in range(20, 85, 5))


def choose_threshold(
    samples: Sequence[Sample],
    maps: Sequence[NDArray[np.float32]],
    settings: InstanceSettings,
    *,
    names: Sequence[str] = ("foreground",),
    monitor: str,
    val_loss: float,
    reporter: Reporter,
) -> tuple[InstanceSettings, Scores]:
    """Choose the threshold that does best by `monitor` on the maps (K, Y, X) of samples; of equals the nearest to 0.5.

    A loss has no threshold, so under `val_loss` the instance F1 decides.
    """
    by = "val_f1_50" if monitor == "val_loss" else monitor
    tried: list[tuple[float, float, InstanceSettings, Scores]] = []
    with reporter.stage("choosing the threshold", len(THRESHOLDS)) as stage:
        for threshold in THRESHOLDS:
            settled = replace(settings, threshold=threshold)
            scores = score(samples, maps, settled, names=names, val_loss=val_loss)
            tried.append((scores.gain(by), -abs(threshold - 0.5), settled, scores))
            stage.advance()
    _, _, best, scores = max(tried, key=lambda row: row[:2])
    return best, scores
