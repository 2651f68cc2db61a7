"""How failures of single images are told, and what error a run gives in which every image failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError, MemoryBudgetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.core.progress import Reporter


def nothing_worked(
    failures: Mapping[str, CellmonaiError], missing: Mapping[str, str], reporter: Reporter
) -> CellmonaiError:
    """Give the error of a run in which every input failed; where all failed alike, the exit code is theirs."""
    errors = list(failures.values())
    if len(errors) == 1 and not missing:
        return errors[0]
    warn_of_failures(failures, missing, reporter)
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else InputError
    first = errors[0].sentence.rstrip(".")
    return kind(f"none of the {len(errors) + len(missing)} inputs could be counted; the first: {first}")


def warn_of_failures(failures: Mapping[str, CellmonaiError], missing: Mapping[str, str], reporter: Reporter) -> None:
    """Warn of each image that could not be counted."""
    for name, error in failures.items():
        reporter.warn("failed", error.sentence.rstrip("."), name)
    for name, reason in missing.items():
        reporter.warn("failed", reason, name)


def code_of(error: CellmonaiError | None) -> str:
    """Give the stable word for a failure that programs read; None stands for an image that `infer` could not do."""
    if error is None:
        return "no_mask"
    return error.code or ("memory" if isinstance(error, MemoryBudgetError) else "unreadable")
