"""Ctrl-C as a wish that is met at the next safe point; a second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cellmonai.core.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class StopWish:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def check(self, cure: str = "") -> None:
        """Raise InterruptedRunError when a stop was asked for; call it at points where stopping is safe."""
        if self.asked:
            raise InterruptedRunError("stopped by Ctrl-C", cure=cure)


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """Turn the first SIGINT (or SIGTERM) of the block into a wish; the second raises KeyboardInterrupt.

    Outside the main thread, where signals cannot be handled, the wish is never set.
    """
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if wish.asked:
            raise KeyboardInterrupt
        wish.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
