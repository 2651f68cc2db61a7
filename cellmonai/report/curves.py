"""The course of a training as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.files import atomic_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TRAIN, _VALIDATION, _CHOSEN = "#0072B2", "#D55E00", "#444444"  # told apart by colour-blind eyes too
_TITLES = {
    "val_loss": "validation loss",
    "val_f1_50": "F1 at IoU 0.5",
    "val_dice": "Dice",
    "val_count_mae": "mean absolute count error (cells)",
}


def write_curves(
    target: Path, columns: Mapping[str, Sequence[Any]], *, monitor: str, best_epoch: int, overwrite: bool
) -> None:
    """Draw loss and score against the epoch, PNG of 1,200 x 500 px; the chosen epoch is marked.

    Parameters
    ----------
    columns : `epoch`, `train_loss` and the validation scores, None where an epoch was not validated
    monitor : the score that chose the best epoch
    """
    from matplotlib.figure import Figure  # no pyplot: no windows, no global state
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(12, 5), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(columns["epoch"], columns["train_loss"], color=_TRAIN, label="training crops")
    left.plot(*_known(columns, "val_loss"), color=_VALIDATION, marker=".", linestyle="--", label="validation images")
    left.set(xlabel="epoch", ylabel="loss", title="Loss")
    shown = "val_f1_50" if monitor == "val_loss" else monitor
    right.plot(*_known(columns, shown), color=_VALIDATION, marker=".", label=_TITLES[shown])
    if shown == "val_f1_50":  # the same scale, 0 to 1
        right.plot(*_known(columns, "val_dice"), color=_TRAIN, linestyle=":", label=_TITLES["val_dice"])
    right.set(xlabel="epoch", title="Validation images, whole")
    for axes in (left, right):
        axes.axvline(best_epoch, color=_CHOSEN, linewidth=1, label=f"best epoch, {best_epoch}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_file(target, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _known(columns: Mapping[str, Sequence[Any]], name: str) -> tuple[list[int], list[float]]:
    points = [(e, v) for e, v in zip(columns["epoch"], columns[name], strict=True) if v is not None]
    return [e for e, _ in points], [v for _, v in points]
