"""How stages tell a person what they do, without knowing of consoles: a Reporter is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning: something a user should know, which did not stop the run.

    `code` is a stable word for programs, `message` a sentence, `image` the image it is about, if any.
    """

    code: str
    message: str
    image: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Give the form that `--json` prints."""
        return {"code": self.code, "message": self.message, "image": self.image}


class Stage(Protocol):
    """One piece of work whose progress is shown, used as a context manager."""

    def __enter__(self) -> Stage: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def advance(self, steps: float = 1.0, *, note: str = "") -> None:
        """Move on by `steps`; `note` replaces the words beside the bar."""
        ...


class Reporter(Protocol):
    """What a workflow may say while it runs."""

    def note(self, text: str) -> None:
        """Say one decision or fact, as a line."""
        ...

    def warn(self, code: str, message: str, image: str | None = None) -> None:
        """Say and keep a warning."""
        ...

    def stage(self, title: str, total: float) -> Stage:
        """Begin a piece of work of `total` steps."""
        ...

    @property
    def warnings(self) -> list[Warned]:
        """All warnings so far, in order."""
        ...


class _SilentStage:
    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def advance(self, steps: float = 1.0, *, note: str = "") -> None:
        """Nothing to show."""


@dataclass
class Silent:
    """A Reporter that keeps warnings and shows nothing: for the Python API and tests."""

    warnings: list[Warned] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Nothing to show."""

    def warn(self, code: str, message: str, image: str | None = None) -> None:
        """Keep the warning."""
        self.warnings.append(Warned(code, message, image))

    def stage(self, title: str, total: float) -> Stage:
        """Give a stage that shows nothing."""
        return _SilentStage()
