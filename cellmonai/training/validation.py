"""Validation on whole images, through the same inference that the model is later used with; never on crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.inferers import Inferer

from cellmonai.core.errors import DivergedError
from cellmonai.instances.find import find_instances, foreground
from cellmonai.instances.predicted_maps import splitting_map
from cellmonai.measure.counts import count_errors
from cellmonai.measure.matching import MatchCounts, match_labels
from cellmonai.measure.pixels import PixelCounts, count_pixels
from cellmonai.training.engines import DIVERGED_CURE, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn

    from cellmonai.data.dataset import Learnt
    from cellmonai.data.samples import Sample
    from cellmonai.inference.predictor import Predictor
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.losses.build import Loss


@dataclass(frozen=True, slots=True)
class Scores:
    """How well whole validation images were done; a ratio of nothing to nothing is None."""

    val_loss: float
    val_f1_50: float | None
    val_dice: float | None
    val_count_mae: float | None

    def value(self, monitor: str) -> float | None:
        """Give the score that a recipe's `training.monitor` names."""
        found: float | None = getattr(self, monitor)
        return found

    def gain(self, monitor: str) -> float:
        """Give the score as something of which more is better.

        A ratio is undefined where there was nothing to find and nothing was found, which could not be better.
        """
        value = self.value(monitor)
        if value is None:
            return 1.0
        return -value if monitor in ("val_loss", "val_count_mae") else value


class WholeImage(Inferer):  # type: ignore[misc] # MONAI is untyped here
    """MONAI's inferer interface around cellmonai's windows: one image (1, C, Y, X) to probabilities (1, K, Y, X)."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor = predictor

    def __call__(self, inputs: torch.Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401 - MONAI's signature
        """Predict one image."""
        return torch.from_numpy(self.predictor.predict(inputs[0].cpu().numpy()))[None]


class Validation:
    """The validation images and MONAI's evaluator over them; call `run` after an epoch.

    Parameters
    ----------
    samples : the validation images
    learnt : the same with targets and weight maps
    names : of the maps that the network gives
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        learnt: Sequence[Learnt],
        net: nn.Module,
        predictor: Predictor,
        loss: Loss,
        settings: InstanceSettings,
        *,
        names: Sequence[str],
    ) -> None:
        self.samples, self.learnt, self.loss, self.settings, self.names = samples, learnt, loss, settings, names
        self.maps: list[NDArray[np.float32]] = []
        batches = [{"image": torch.from_numpy(sample.image)[None]} for sample in samples]
        self.evaluator = quiet(
            SupervisedEvaluator(
                device=torch.device("cpu"),  # the predictor moves windows to the device, never a whole image
                val_data_loader=batches,
                network=net,
                inferer=WholeImage(predictor),
                prepare_batch=lambda batch, device, non_blocking, **_: (batch["image"], None),
                decollate=False,
            )
        )
        self.evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._keep)

    def run(self) -> Scores:
        """Predict every validation image and score it at the settings' threshold.

        Raises
        ------
        DivergedError
            A probability is not a number.
        """
        self.maps = []
        self.evaluator.run()
        losses = [self._loss(i) for i in range(len(self.samples))]
        return score(self.samples, self.maps, self.settings, names=self.names, val_loss=float(np.mean(losses)))

    def _keep(self, engine: SupervisedEvaluator) -> None:
        maps = engine.state.output["pred"][0].numpy()
        if not np.isfinite(maps).all():
            raise DivergedError("the network's output is no longer a number", where="training", cure=DIVERGED_CURE)
        self.maps.append(maps)

    def _loss(self, index: int) -> float:
        one = self.learnt[index]
        weight = None if one.weight is None else torch.from_numpy(one.weight)[None]
        target = torch.from_numpy(one.target)[None]
        return float(self.loss.of_maps(torch.from_numpy(self.maps[index])[None], target, weight))


def score(
    samples: Sequence[Sample],
    maps: Sequence[NDArray[np.float32]],
    settings: InstanceSettings,
    *,
    val_loss: float,
    names: Sequence[str] = ("foreground",),
) -> Scores:
    """Score the maps (K, Y, X) of samples, called `names`, against their label images, pooled over the images."""
    matches, pixels, counts = MatchCounts(), PixelCounts(), []
    for sample, planes in zip(samples, maps, strict=True):
        mask = foreground(planes[names.index("foreground")], settings.threshold)
        labels = find_instances(mask, settings, heights=_heights(planes, names, settings)).labels
        matches += match_labels(sample.labels, labels, 0.5)
        pixels += count_pixels(sample.labels > 0, mask)
        counts.append(int(labels.max(initial=0)))
    errors = count_errors([sample.count for sample in samples], counts)
    return Scores(val_loss=val_loss, val_f1_50=matches.f1, val_dice=pixels.dice, val_count_mae=errors.mae)


def _heights(
    planes: NDArray[np.float32], names: Sequence[str], settings: InstanceSettings
) -> NDArray[np.float32] | None:
    """Give the map that counting would split touching cells along; None where it takes the distance transform."""
    chosen = splitting_map(names)
    if chosen is None or settings.split in ("none", "learned"):
        return None
    plane: NDArray[np.float32] = planes[chosen.index]
    return np.float32(1.0) - plane if chosen.upside_down else plane
