"""Progress over images in Mpx, and the points where stopping is safe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellmonai.core.interrupts import StopWish
    from cellmonai.core.progress import Stage
    from cellmonai.workflows.inferring.jobs import ImageJob

AGAIN = "run the same command again, which continues"


class Pace:
    """Progress in Mpx with the rate so far, and the point after each window where stopping is safe."""

    def __init__(self, stage: Stage, wish: StopWish) -> None:
        self._stage, self._wish = stage, wish
        self._started = time.monotonic()
        self._all = 0.0
        self._left = 0.0
        self._name = ""

    def begin(self, job: ImageJob) -> None:
        """Begin an image, or stop."""
        self._wish.check(AGAIN)
        self._name, self._left = job.stem, float(job.pixels)

    def advance(self, px: float) -> None:
        """Move on by `px` of the image, or stop."""
        self._wish.check(AGAIN)
        self._move(min(px, self._left))

    def end(self) -> None:
        """End an image; where it failed, the bar goes on to the next one."""
        if self._left > 0:
            self._move(self._left)

    def _move(self, px: float) -> None:
        self._left -= px
        self._all += px
        rate = self._all / 1e6 / max(time.monotonic() - self._started, 1e-6)
        self._stage.advance(px / 1e6, note=f"{self._name}, {rate:.2f} Mpx/s")
