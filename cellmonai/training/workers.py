"""How many processes prepare crops."""

from __future__ import annotations

import os
import sys
from typing import Literal


def worker_count(wanted: int | Literal["auto"]) -> int:
    """Give the number of loader processes; samples do not depend on it.

    `auto` leaves one core to the network and takes at most 8; it takes none where processes start anew instead of
    being forked, since each would import everything and copy every image.
    """
    if wanted != "auto":
        return wanted
    if not sys.platform.startswith("linux") or sys.version_info >= (3, 14):
        return 0
    return min(8, max(len(os.sched_getaffinity(0)) - 1, 0))
