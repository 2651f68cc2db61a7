"""Progress over images in Mpx, and the points where stopping is safe."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from cellmonai.core.errors import InterruptedRunError

if TYPE_CHECKING:
    from cellmonai.core.interrupts import StopWish
    from cellmonai.core.progress import Stage
    from cellmonai.workflows.inferring.jobs import ImageJob

AGAIN = "run the same command again, which continues"


class Pace:
    """Progress in Mpx with the rate so far, of images that are done one after the other or side by side."""

    def __init__(self, stage: Stage, wish: StopWish) -> None:
        self._stage, self._wish = stage, wish
        self._started = time.monotonic()
        self._all = 0.0
        self._lock = threading.Lock()
        self._stopped = False

    def begin(self, job: ImageJob) -> ImagePace:
        """Begin an image, or stop."""
        self.check()
        return ImagePace(self, job.stem, float(job.pixels))

    def check(self) -> None:
        """Stop where that was asked for."""
        self._wish.check(AGAIN)
        if self._stopped:
            raise InterruptedRunError("stopped by what happened to another image", cure=AGAIN)

    def stop(self) -> None:
        """Have every image stop at its next safe point."""
        self._stopped = True

    def move(self, px: float, name: str) -> None:
        """Move on by `px` of the image `name`."""
        with self._lock:
            self._all += px
            rate = self._all / 1e6 / max(time.monotonic() - self._started, 1e-6)
            self._stage.advance(px / 1e6, note=f"{name}, {rate:.2f} Mpx/s")


class ImagePace:
    """Progress of one image, and the point after each window where stopping is safe."""

    def __init__(self, pace: Pace, name: str, px: float) -> None:
        self._pace, self._name, self._left = pace, name, px

    def advance(self, px: float) -> None:
        """Move on by `px`, or stop."""
        self._pace.check()
        self._move(min(px, self._left))

    def end(self) -> None:
        """End the image; where it failed, the bar goes on to the next one."""
        self._move(self._left)

    def _move(self, px: float) -> None:
        if px > 0:
            self._left -= px
            self._pace.move(px, self._name)
