"""Which model `infer` uses: the one named, or the newest finished run."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError
from cellmonai.core.files import read_ordinary, sha256_of
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, has_digest, read_card
from cellmonai.workflows.inferring.jobs import WantedChannels

if TYPE_CHECKING:
    from cellmonai.core.units import PixelSize

RUNS = Path("runs")
MODEL_NAME = "model.safetensors"

_LARGEST_RECORD_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model file, why it was taken, and what it says of itself; `point` is its operating point.

    `has_digest` tells whether the file was compared with a digest that it holds.
    """

    path: Path
    reason: str
    card: ModelCard
    point: InstanceSettings
    has_digest: bool = True

    @property
    def wants(self) -> WantedChannels:
        """The channels that it takes."""
        return WantedChannels(self.card.channels, self.card.channel_names)

    def as_json(self) -> dict[str, Any]:
        """Give the form that the run record holds."""
        card = self.card
        return {
            "path": str(self.path),
            "sha256": sha256_of(self.path),
            "network": card.network,
            "parameters": dict(card.parameters),
            "channel_names": list(card.channel_names),
            "outputs": list(card.outputs),
            "activation": card.activation,
            "normalisation": card.normalisation.as_json(),
            "pixel_size_um": list(card.pixel_size_um) if card.pixel_size_um else None,
            "object_diameter_px": card.object_diameter_px,
            "recipe_digest": card.recipe_digest,
        }


def choose_model(wanted: Path | None, *, threshold: float | None, runs: Path = RUNS) -> ChosenModel:
    """Find the model and read its card, without torch.

    Parameters
    ----------
    wanted : a model file or a run folder; None takes the run under `runs` whose record was written last
    threshold : replaces that of the operating point

    Raises
    ------
    InputError
        There is no model, or it cannot be read.
    """
    path, reason = _newest(runs) if wanted is None else (_named(wanted), "asked for")
    card = read_card(path)
    point = InstanceSettings.from_json(card.operating_point)
    chosen = point if threshold is None else replace(point, threshold=threshold)
    return ChosenModel(path, reason, card, chosen, has_digest(path))


def _named(wanted: Path) -> Path:
    if not wanted.is_dir():
        return wanted
    if not (wanted / MODEL_NAME).is_file():
        raise InputError(f"holds no {MODEL_NAME}", where=str(wanted), cure="name a model file or the folder of a run")
    return wanted / MODEL_NAME


def _newest(runs: Path) -> tuple[Path, str]:
    finished = [path for path in runs.glob(f"*/{MODEL_NAME}") if _is_finished(path.with_name("run.json"))]
    if not finished:
        raise InputError(
            f"there is no finished run under {runs}",
            where="--model",
            cure="train one with cellmonai fit recipe.toml, or see cellmonai demo",
        )
    newest = max(finished, key=lambda path: (path.with_name("run.json").stat().st_mtime_ns, path.parent.name))
    return newest, f"the newest of {len(finished)} finished runs under {runs}" if len(finished) > 1 else "the only run"


def _is_finished(record: Path) -> bool:
    """Tell by the record, which a run writes last, whether the run went to its end."""
    try:
        return bool(json.loads(read_ordinary(record, _LARGEST_RECORD_BYTES)).get("status") == "done")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def pixel_size_differs(card: ModelCard, found: PixelSize | None, *, tolerance: float = 0.1) -> bool:
    """Tell whether an image's pixel size is off the model's by more than `tolerance`, in either direction."""
    if card.pixel_size_um is None or found is None:
        return False
    ratios = [a / b for a, b in zip(found, card.pixel_size_um, strict=True)]
    return any(not 1 / (1 + tolerance) <= ratio <= 1 + tolerance for ratio in ratios)
