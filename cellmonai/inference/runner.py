"""A network made ready to run windows: which engine, on which device, in which precision, and what a window takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellmonai.inference.overlapped import Queue
    from cellmonai.models.file import Activation


class Engine(Protocol):
    """What runs windows; NumPy in and out, so that nothing beside it needs to know what runs them."""

    @property
    def name(self) -> str:
        """The library that runs the network."""
        ...

    @property
    def precision(self) -> str:
        """The number format it runs in."""
        ...

    def run(self, window: NDArray[Any]) -> NDArray[Any]:
        """Give the logits (1, K, h, w) of a window (1, C, h, w), contiguous; both floating point."""
        ...


@dataclass(frozen=True, slots=True)
class Runner:
    """A network ready to run.

    Parameters
    ----------
    engine : what runs windows
    device, device_reason : its name, and why it was taken
    threads : how many it uses
    activation : how logits become probabilities
    names : of the maps it gives, in order
    window_bytes_per_px : memory of the process that a window takes while it runs, per px; 0 where the device has its
        own memory
    fixed_bytes : what it takes besides, whatever the windows
    by_place : the engine has to be told where in the image a window lies
    queue : runs windows on the device while others are on their way, where it can; gives what `run` gives
    device_bytes_per_px, device_budget : the same of the device's own memory, and what there is of it, bytes
    calibration : of a network in 8-bit integers, the fields of `Int8Difference`
    """

    engine: Engine
    device: str
    device_reason: str
    threads: int
    activation: Activation
    names: tuple[str, ...]
    window_bytes_per_px: float
    fixed_bytes: int = 0
    by_place: bool = False
    device_bytes_per_px: float = 0.0
    device_budget: int | None = None
    calibration: Mapping[str, Any] | None = None
    queue: Queue | None = None

    def run(self, window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
        """Give the logits (1, K, h, w) of a window (1, C, h, w) whose first pixel is at `place` (row, column)."""
        if self.by_place:
            return self.engine.run(window, place=place)  # type: ignore[call-arg] # such an engine takes it
        return self.engine.run(window)

    def facts(self) -> dict[str, Any]:
        """Give what a run record says of how the network ran."""
        facts = {
            "device": self.device,
            "device_reason": self.device_reason,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "threads": self.threads,
        }
        return facts | ({"calibration": dict(self.calibration)} if self.calibration else {})
