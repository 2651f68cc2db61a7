"""`infer --precision int8`: what it goes with, and the calibration that a model needs once before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError, UsageError
from cellmonai.models.file import read_card
from cellmonai.workflows.inferring.failures import amount
from cellmonai.workflows.inferring.int8_windows import WINDOWS, choose_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.inference.openvino_model import ConvertedModel
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings

_SIDES_PX = (256, 192, 128, 64)


def refuse_beside_int8(settings: InferSettings, *, tile_exact: bool, explains: bool) -> None:
    """Refuse what does not run in 8-bit integers: all that needs another engine or device than OpenVINO on the CPU.

    Parameters
    ----------
    tile_exact : a fact of the network
    explains : whether pictures of explanations are asked for

    Raises
    ------
    UsageError
        One of these is asked for beside `--precision int8`.
    """
    if settings.precision != "int8":
        return
    if settings.engine == "torch":
        what, cure = "torch does not run 8-bit integers, OpenVINO does", "leave --engine out, or --precision"
    elif settings.device not in ("auto", "cpu"):
        what, cure = "8-bit integers run with OpenVINO on the CPU", "leave --device out, or --precision"
    elif explains or settings.mc_dropout:
        what = "8-bit integers run with OpenVINO, without explanations and dropout"
        cure = "leave it out, or --mc-dropout and pictures of explanations"
    elif not tile_exact:
        what = "it is calibrated on small windows, and this network's result depends on everything its window holds"
        cure = "leave it out"
    else:
        return
    raise UsageError(what, where="--precision int8", cure=cure)


def require_same_calibration(model: Mapping[str, Any], calibration: Mapping[str, Any], record: Path) -> None:
    """Refuse to repeat a run in 8-bit integers with a model that was calibrated on other images since.

    Parameters
    ----------
    model, calibration : what the record of the run says of them
    record : its file

    Raises
    ------
    InputError
        The model in the cache was calibrated anew; one that is not there will be, on the images of the run.
    UsageError
        OpenVINO is not installed.
    """
    from cellmonai.inference.openvino_runner import find_conversion

    found = find_conversion(read_card(Path(model["path"])), model["sha256"], "int8")
    said = found and found.card.calibration
    if found and said and said["network_sha256"] != calibration["network_sha256"]:
        raise InputError(
            "the model was calibrated on other images since that run, which gives other results",
            where=str(record),
            cure=f"remove {found.folder} to calibrate it on the images of that run",
        )


def calibration_on(
    jobs: Sequence[ImageJob], model: ChosenModel, settings: InferSettings, reporter: Reporter, *, budget: int
) -> Callable[[ConvertedModel], None]:
    """Give a function that calibrates a converted model on windows of images.

    Parameters
    ----------
    jobs : the planes of the run, of which a few are taken
    budget : memory in bytes; where there is little of it the windows are smaller
    """

    def calibrate(converted: ConvertedModel) -> None:
        from cellmonai.inference.openvino_int8 import calibration_bytes, convert_int8  # once for each model

        fits = [side for side in _SIDES_PX if calibration_bytes(converted, WINDOWS * side**2) <= budget]
        windows, planes = choose_windows(jobs, model, settings, side=max(fits, default=_SIDES_PX[-1]))
        reporter.note(
            f"calibrating the model in 8-bit integers on {amount(len(windows), 'window')} of "
            f"{amount(planes, 'image')}, which is done once for each model"
        )
        convert_int8(converted, windows, threshold=model.point.threshold, activation=model.card.activation)

    return calibrate
