"""What finds the cells of images: a trained network, or a classical method without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.inferring.image import ImageDone
    from cellmonai.workflows.inferring.jobs import ImageJob, Survey, WantedChannels


class Finder(Protocol):
    """One way to the mask of an image, as the story of `infer` needs it."""

    @property
    def sentence(self) -> str:
        """What it is and why it was taken, in one line."""
        ...

    @property
    def wants(self) -> WantedChannels:
        """The channels that it takes."""
        ...

    @property
    def model(self) -> Path | None:
        """The file of the model; None for a method without training."""
        ...

    @property
    def method(self) -> Mapping[str, Any] | None:
        """Name and parameters of a method without training; None for a model."""
        ...

    @property
    def empty_reasons(self) -> str:
        """Why there may be no cell in any image, in words."""
        ...

    def prepare(self, seen: Survey, reporter: Reporter) -> list[ImageJob]:
        """Give the jobs that fit in memory; the others go to the failures of `seen`."""
        ...

    def find(self, job: ImageJob, advance: Callable[[float], None]) -> ImageDone:
        """Do one plane and write its files; `advance` is told the px done so far and may raise to stop."""
        ...

    @property
    def planes_at_once(self) -> int:
        """How many planes may be done side by side, each in a thread of its own; known after `prepare`."""
        ...

    def close(self) -> None:
        """Let go of what `prepare` began outside this process."""
        ...

    def warn(self, done: Sequence[ImageDone], reporter: Reporter) -> None:
        """Warn of what makes results doubtful."""
        ...

    def facts(self) -> dict[str, Any]:
        """Give device, engine, precision and stitch, for `--json` and the record."""
        ...

    def as_record(self) -> dict[str, Any]:
        """Give the operating point and what made the masks, for the record."""
        ...
