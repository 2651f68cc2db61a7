"""Where the `cellmonai` script begins: before anything that takes time to import."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the command line; Ctrl-C or SIGTERM while it is still loading ends it with one sentence too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_once)
    from cellmonai.cli.app import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        run()
    except KeyboardInterrupt as stop:
        from cellmonai.core.interrupts import Terminated

        sentence, code = _ENDINGS[signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT]
        sys.stderr.write(sentence)
        raise SystemExit(code) from None


_ENDINGS = {
    signal.SIGINT: ("error: stopped by Ctrl-C; run the same command again.\n", 130),
    signal.SIGTERM: ("error: stopped by SIGTERM; run the same command again.\n", 143),
}


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    """Say so and end: an exception in the middle of an import may be taken for a fault of what is imported."""
    sentence, code = _ENDINGS[signal.Signals(number)]
    os.write(2, sentence.encode())
    os._exit(code)


def _raise_terminated(number: int, frame: FrameType | None) -> NoReturn:
    from cellmonai.core.interrupts import Terminated

    raise Terminated
