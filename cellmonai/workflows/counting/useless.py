"""Options of `count` that another one makes useless: an option is honoured or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError

if TYPE_CHECKING:
    from cellmonai.workflows.counting.settings import CountSettings

FIXED_BY_PRESET = ("split", "min_distance", "opening", "closing", "fill_holes")
_OF_AUDITS = {"audit_unit": "tiles", "audit_tile": None, "audit_strata": 1, "audit_bound": None, "audit_seed": None}


def refuse_useless(settings: CountSettings) -> None:
    """Refuse options that would change nothing.

    Raises
    ------
    UsageError
        An option that another one makes useless, or an unknown preset.
    """
    if settings.min_distance is not None and settings.split != "markers":
        raise UsageError("is for --split markers", where="--min-distance", cure="add --split markers or leave it out")
    if settings.preset is not None:
        _refuse_beside_a_preset(settings, settings.preset)
    if settings.group_by and settings.name_pattern is None and settings.sheet is None:
        raise UsageError(
            "nothing says which image belongs to which group", where="--group-by", cure="add --name-pattern or --sheet"
        )
    if settings.choice.is_given:  # the choice itself refuses what is out of range
        option = "--cell-values" if settings.cell_values else "--mask-threshold"
        if settings.kind == "labels":
            raise UsageError("makes a binary mask", where=option, cure="leave --kind labels out")
        if settings.threshold is not None:
            what = "is for masks, and --threshold cuts probability maps"
            raise UsageError(what, where=option, cure="give one of them")
    _refuse_of_audit(settings)


def _refuse_beside_a_preset(settings: CountSettings, preset: str) -> None:
    for name in FIXED_BY_PRESET:
        if getattr(settings, name) is not None:
            raise UsageError(f"is fixed by the preset {preset}", where=_option(name), cure="leave one of the two out")
    from cellmonai.instances.presets.catalogue import find_preset  # only presets need what this brings

    find_preset(preset)


def _refuse_of_audit(settings: CountSettings) -> None:
    if settings.audit is not None and settings.audit < 1:
        raise UsageError(f"is {settings.audit}", where="--audit", cure="give the number of fields to count by hand")
    if settings.audit is None:
        for name, without in _OF_AUDITS.items():
            if getattr(settings, name) != without:
                raise UsageError("is for an audit, and none is asked for", where=_option(name), cure="add --audit 30")
    if settings.audit_tile is not None and settings.audit_tile < 1:
        raise UsageError(f"is {settings.audit_tile}", where="--audit-tile", cure="give the side in px, as 256")
    if settings.audit_tile is not None and settings.audit_unit == "fields":
        raise UsageError("whole fields have no tile size", where="--audit-tile", cure="leave one of the two out")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
