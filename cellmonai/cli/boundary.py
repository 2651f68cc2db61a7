"""How failure looks: one sentence on stderr and the exit code, never a traceback unless `--debug`."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from cellmonai.cli.console import print_line
from cellmonai.core.errors import CellmonaiError, InterruptedRunError, MemoryBudgetError, OutputError
from cellmonai.core.interrupts import Terminated, stopped
from cellmonai.core.text import printable


class ErrorBoundary(TyperGroup):
    """Turn a failure into one line on stderr and its exit code."""

    def make_context(self, *words: Any, **options: Any) -> Any:  # noqa: ANN401 - as in Typer
        """Read the words typed, during which Typer imports for a tenth of a second."""
        try:
            return super().make_context(*words, **options)
        except KeyboardInterrupt as stop:
            return self._fail(_stopped(stop))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - the context type is internal to Typer
        """Run the command, and translate what it raises."""
        try:
            return super().invoke(ctx)
        except CellmonaiError as error:
            self._fail(error)
        except KeyboardInterrupt as stop:
            self._fail(_stopped(stop))
        except MemoryError:
            self._fail(MemoryBudgetError("memory ran out", cure="lower --memory or use a machine with more"))
        except BrokenPipeError:
            # the reader of our output left, as `head` does; python must not complain again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
            self._fail(OutputError(error.strerror or str(error), where=name, cure="check the path and its permissions"))

    def _fail(self, error: CellmonaiError) -> NoReturn:
        if wants_debug():
            traceback.print_exc()
        print_line(f"error: {printable(error.sentence)}", sys.stderr)
        raise typer.Exit(error.exit_code) from None


def _stopped(stop: KeyboardInterrupt) -> InterruptedRunError:
    return stopped(terminated=isinstance(stop, Terminated), cure="run the same command again")


def wants_debug() -> bool:
    """Tell whether `--debug` stands among the words typed."""
    return "--debug" in sys.argv[1:]
