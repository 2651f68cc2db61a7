"""What `doctor` found: facts about one subject, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: an `error` keeps commands from working, a `warning` makes them slower or poorer.

    `code` is a stable word for programs; message and cure are written as those of errors, without a full stop.
    """

    code: str
    severity: Literal["error", "warning"]
    message: str
    cure: str

    def as_json(self) -> dict[str, Any]:
        """Give the form that `--json` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Checked:
    """The facts of one subject, JSON values, and its findings."""

    facts: Mapping[str, Any]
    findings: tuple[Finding, ...] = field(default=())
