"""Options of `infer` that another one makes useless: an option is honoured or refused."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError

if TYPE_CHECKING:
    from cellmonai.workflows.inferring.settings import InferSettings

FOR_METHODS = (
    "output",
    "memory",
    "channels",
    "planes",
    "level",
    "um_per_px",
    "invert",
    "pictures",
    "recursive",
    "overwrite",
    "shard",
    "method",
    "parameters",
)
"""What a method without training honours."""

_PICTURES_OF_MASKS = ("overlay",)


def refuse_useless(settings: InferSettings) -> None:
    """Refuse options of models beside a method without training, and options of methods without one.

    Raises
    ------
    UsageError
        An option that would change nothing, or an unknown method or parameter.
    """
    if settings.method is None:
        if settings.parameters:
            raise UsageError(
                "sets parameters of a method, and none is named", where="--set", cure="add --method, as --method otsu"
            )
        return
    from cellmonai.instances.classical.catalogue import ChosenMethod  # only methods need it

    ChosenMethod(settings.method, settings.parameters)
    _refuse_beside_a_method(settings, settings.method)


def _refuse_beside_a_method(settings: InferSettings, method: str) -> None:
    if settings.model is not None:
        raise UsageError(
            f"a model and the method {method} exclude each other", where="--method", cure="leave one of the two out"
        )
    for field in fields(settings):
        without = field.default if field.default is not MISSING else None
        if field.name not in FOR_METHODS and getattr(settings, field.name) != without:
            raise UsageError(
                f"is for models, and {method} takes whole images and gives no probability",
                where="--" + field.name.replace("_", "-"),
                cure="leave one of the two out",
            )
    for picture in settings.pictures:
        if picture not in _PICTURES_OF_MASKS:
            raise UsageError(
                f"the picture {picture} shows what a model gave, and {method} gives a mask only",
                where="--pictures",
                cure="give overlay",
            )
