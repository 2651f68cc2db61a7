"""The pictures that `infer` draws, and what is refused of them before the first image is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import UsageError
from cellmonai.report.explanations import attention_picture, saliency_picture, uncertainty_picture
from cellmonai.report.panels import limits_of
from cellmonai.report.pictures import heatmap, overlay

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.inference.plan import Plan
    from cellmonai.inference.predictor import Predictor
    from cellmonai.models.file import ModelCard
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.settings import InferSettings


@dataclass(frozen=True, slots=True)
class Scene:
    """What the pictures of one plane are drawn from.

    `pixels` are as stored and `scaled` as the network sees them, both (C, Y, X); `maps` (K, Y, X), `mask` (Y, X);
    `tell` is called between windows and may raise to stop.
    """

    plan: Plan
    pixels: NDArray[Any]
    scaled: NDArray[np.float32]
    maps: NDArray[np.float32]
    mask: NDArray[np.bool_]
    tell: Callable[[float], None]


def require_maps_for_pictures(card: ModelCard, settings: InferSettings) -> None:
    """Refuse pictures of maps that a model does not give; needs no torch.

    Raises
    ------
    UsageError
        An uncertainty picture of a model without an uncertainty map.
    """
    if "uncertainty" in settings.pictures and "uncertainty" not in card.outputs:
        raise UsageError(
            f"the model gives no uncertainty map, only {', '.join(card.outputs)}",
            where="--pictures uncertainty",
            cure="leave uncertainty out, or give a model that predicts it, as the network fpn",
        )


def require_network_for_pictures(predictor: Predictor, settings: InferSettings) -> None:
    """Refuse attention maps of a network without gates.

    Raises
    ------
    UsageError
        It has none.
    """
    if "attention" in settings.pictures:
        from cellmonai.inference.explained_images import require_gates

        require_gates(predictor)


def require_room_for_pictures(predictor: Predictor, plan: Plan, job: ImageJob, settings: InferSettings) -> None:
    """Refuse explanations of an image that is too small, too large for one window, or too large for the memory.

    Raises
    ------
    UsageError
        The pixel to explain lies outside, or the network can be explained only in a single window.
    MemoryBudgetError
        It takes more memory than there is.
    """
    if "attention" in settings.pictures:
        from cellmonai.inference.explained_images import attention_lattice

        attention_lattice(predictor, plan, job.shape)
    if "saliency" in settings.pictures:
        from cellmonai.inference.explained_images import require_saliency

        _require_inside(job, settings)
        require_saliency(predictor, plan, job.shape)


def draw(
    kind: str, scene: Scene, predictor: Predictor, card: ModelCard, settings: InferSettings
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Draw one picture (h, w, 3), and say for the run record what it shows."""
    probability = scene.maps[card.outputs.index("foreground")]
    match kind:
        case "overlay":
            return overlay(scene.pixels, scene.mask), {}
        case "heatmap":
            return heatmap(scene.pixels, probability), {}
        case "uncertainty":
            uncertainty = scene.maps[card.outputs.index("uncertainty")]
            return uncertainty_picture(scene.pixels, uncertainty), {"range": _range(uncertainty)}
        case "attention":
            return _attention(scene, predictor)
        case "saliency":
            return _saliency(scene, probability, predictor, card, settings.at)
    raise AssertionError(kind)


def _attention(scene: Scene, predictor: Predictor) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    from cellmonai.inference.explained_images import attention_lattice, attention_of_image

    channels, rows, columns = scene.scaled.shape
    lattice = attention_lattice(predictor, scene.plan, (channels, rows, columns))
    gates = attention_of_image(predictor, scene.scaled, lattice, scene.tell)
    windows = len(lattice.windows)
    facts = [{"px_per_value": gate.scale, "range": _range(gate.attention)} for gate in gates]
    return attention_picture(scene.pixels, gates, windows=windows), {"windows": windows, "gates": facts}


def _saliency(
    scene: Scene,
    probability: NDArray[np.float32],
    predictor: Predictor,
    card: ModelCard,
    at: tuple[int, int] | None,
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    from cellmonai.inference.explained_images import saliency_of_pixel

    col, row = at or divmod(int(np.argmax(probability)), probability.shape[1])[::-1]
    found = saliency_of_pixel(predictor, scene.scaled, row, col, foreground=card.outputs.index("foreground"))
    box, here = (found.box.row0, found.box.col0, found.box.row1, found.box.col1), float(probability[row, col])
    picture = saliency_picture(scene.pixels, found.gradient, box, (row, col), probability=here)
    steepest = float(found.gradient.max())
    return picture, {"at_px": [col, row], "probability": here, "box_px": list(box), "steepest": steepest}


def _require_inside(job: ImageJob, settings: InferSettings) -> None:
    _, rows, columns = job.shape
    if settings.at is not None and not (settings.at[0] < columns and settings.at[1] < rows):
        raise UsageError(
            f"the pixel x {settings.at[0]}, y {settings.at[1]} lies outside {job.path}, which is {columns} x {rows} px",
            where="--at",
            cure=f"give X below {columns} and Y below {rows}, or leave --at out for the most probable pixel",
        )


def _range(values: NDArray[np.float32]) -> list[float]:
    low, high = limits_of(values)
    return [round(low, 6), round(high, 6)]
