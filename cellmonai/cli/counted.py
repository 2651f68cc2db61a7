"""What `cellmonai count` shows when it is done: tables, files, and the next command, ready to paste."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.files import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer

    from cellmonai.workflows.counting.result import CountResult
    from cellmonai.workflows.counting.settings import CountSettings

_PARTIAL = "partial: these numbers describe a part of the inputs only"
_OTHERS = ("report.html", "groups.csv", "cells.parquet")
_NOT_REPEATED = {"masks", "output", "overwrite", "json", "quiet", "debug"}


def show_counted(
    result: CountResult, settings: CountSettings, typed: Mapping[str, str], *, as_json: bool, quiet: bool
) -> None:
    """Print the tables, what was written and what comes next; or the one JSON document."""
    from cellmonai.cli.console import error_console, print_json, print_next, print_table

    if as_json:
        print_json(result.as_json())
        return
    from cellmonai.core.text import printable
    from cellmonai.report.tables import count_table

    table = str(result.output / "counts.csv")
    level = settings.level if any(row.interval for row in result.images) else None
    print_table(count_table(result.images, failures=result.failures, where_all=table, interval_level=level))
    if result.groups:
        from cellmonai.report.groups import groups_table

        print_table(groups_table(result.groups, where_all=str(result.output / "groups.csv")))
    if result.is_partial:
        error_console().print(printable(_PARTIAL), style="yellow")
    if not quiet:
        error_console().print(printable(f"written: {_written(result)}"))
        if result.audit is not None:
            from cellmonai.cli.audit import audit_steps

            by_hand, command = audit_steps(result.audit)
            error_console().print(printable(by_hand))
            print_next(command)
        else:
            print_next(*_next_commands(result, typed))


def _written(result: CountResult) -> str:
    labels = sum(name.endswith("_labels.tif") for name in result.outputs)
    overlays = _overlays(result)
    images = f"{labels:,} label image{'s' * (labels != 1)}"
    pictures = f" and {overlays:,} overlay{'s' * (overlays != 1)}" if overlays else ""
    others = "".join(f", {name}" for name in _OTHERS if any(Path(path).name == name for path in result.outputs))
    return f"counts.csv, cells.csv, counts.json{others}, {images}{pictures} in {result.output}"


def _overlays(result: CountResult) -> int:
    """Count the overlays of images; an audit draws some too, into a folder of its own."""
    return sum(name.endswith("_overlay.png") and Path(name).parent == result.output for name in result.outputs)


def typed_options(context: typer.Context) -> dict[str, str]:
    """Give the options as they were typed, by name, to be typed again: those that shape the count."""
    from cellmonai.cli.console import quoted

    typed = {}
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name in _NOT_REPEATED or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        if isinstance(value, bool):
            typed[name] = (option.opts if value else option.secondary_opts)[0]
        else:
            typed[name] = f"{option.opts[0]} {quoted(value.value if isinstance(value, StrEnum) else value)}"
    return typed


def _next_commands(result: CountResult, typed: Mapping[str, str]) -> list[str]:
    """Give what a user wants next: the cells drawn on the images, or other filters; then a check against truth.

    The count is suggested with every option of this one and into a folder of its own, so that the two can be compared.
    """
    from cellmonai.cli.console import quoted

    commands = [f"cellmonai evaluate {quoted(result.output)} TRUE_MASKS"]
    with_pictures = "images" in typed or _overlays(result) > 0
    name, more = ("min_area", "--min-area 50px") if with_pictures else ("images", "--images IMAGES")
    inputs = result.inputs if len(result.inputs) <= 3 else tuple({str(Path(word).parent) for word in result.inputs})
    if len(inputs) <= 3 and name not in typed:  # a long list, as a shell makes of a star, is no command to show
        words = [*(quoted(word) for word in sorted(inputs)), *typed.values(), more]
        commands.insert(0, f"cellmonai count {' '.join(words)} --output {quoted(_next_folder(result.output))}")
    return commands


def _next_folder(folder: Path) -> Path:
    """Give a folder beside this one that is not there yet, as counts_2."""
    whole = folder if folder.name else resolved(folder)  # `.` has no name
    number = 2
    while os.path.lexists(next_one := whole.with_name(f"{whole.name or 'counts'}_{number}")):
        number += 1
    return next_one


def fail_when_partial(result: CountResult) -> None:
    """End with the code of a partial failure when an input failed.

    Raises
    ------
    PartialFailureError
        At least one input failed; the others are counted.
    """
    from cellmonai.core.errors import PartialFailureError

    if result.failures:
        first, reason = next(iter(result.failures.items()))
        failed, everything = len(result.failures), len(result.failures) + len({row.image for row in result.images})
        raise PartialFailureError(
            f"{failed} of {everything} inputs failed, the others are counted; the first: {first}: {reason}",
            cure=f"all are listed in {result.output / 'counts.json'}",
        )
