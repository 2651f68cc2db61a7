"""Ctrl-C and SIGTERM as a wish that is met at the next safe point; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cellmonai.core.errors import InterruptedRunError, TerminatedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM where no safe point is waited for."""


def stopped(*, terminated: bool, after: str = "", cure: str = "") -> InterruptedRunError:
    """Give the failure to raise when a run was stopped; `after` follows in the sentence."""
    if terminated:
        return TerminatedRunError(f"stopped by SIGTERM{after}", cure=cure)
    return InterruptedRunError(f"stopped by Ctrl-C{after}", cure=cure)


class StopWish:
    """Whether the user asked to stop, and whether by SIGTERM, as batch systems do."""

    def __init__(self) -> None:
        self.asked = False
        self.terminated = False

    def check(self, cure: str = "") -> None:
        """Raise InterruptedRunError when a stop was asked for; call it at points where stopping is safe."""
        if self.asked:
            raise stopped(terminated=self.terminated, cure=cure)


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """Turn the first SIGINT or SIGTERM of the block into a wish; the second raises KeyboardInterrupt.

    Outside the main thread, where signals cannot be handled, the wish is never set.
    """
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if wish.asked:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        wish.asked, wish.terminated = True, number == signal.SIGTERM

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
