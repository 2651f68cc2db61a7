"""The one place that prints: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import IO, TYPE_CHECKING, Any

from cellmonai.core.progress import Silent, Stage, Warned
from cellmonai.core.text import printable
from cellmonai.core.units import readable_seconds

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

    from cellmonai.core.progress import Reporter

_SECONDS_BETWEEN_LOG_LINES = 30.0


def make_reporter(*, quiet: bool) -> Reporter:
    """Give the Reporter of a command: silent under `--quiet`, else lines and bars on stderr."""
    return _QuietReporter() if quiet else ConsoleReporter(error_console())


def error_console() -> Console:
    """Give the console on stderr."""
    return _console(stderr=True, soft_wrap=True)


def print_table(*tables: RenderableType) -> None:
    """Print result tables on stdout; without a terminal they are as wide as they need to be."""
    console = _console()
    if not console.is_terminal:
        console = _console(width=200)
    for table in tables:
        console.print(table)


def print_json(document: dict[str, Any]) -> None:
    """Print the one JSON document of `--json` on stdout."""
    print_line(json.dumps(document, indent=2, allow_nan=False))


def print_line(text: str, stream: IO[str] | None = None) -> None:
    """Print a line on stdout, or on another stream; a reader that left, as `head` does, stops nothing."""
    stream = stream or sys.stdout
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        _silence(stream)


def _console(**options: Any) -> Console:  # noqa: ANN401 - of rich's Console
    from rich.console import Console

    class Steady(Console):
        """Goes on in silence when its reader leaves, so that the run is finished and its exit code is true."""

        def on_broken_pipe(self) -> None:
            _silence(self.file)

    return Steady(highlight=False, markup=False, emoji=False, **options)


def _silence(stream: IO[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_next(*commands: str) -> None:
    """Print what to do next on stderr, ready to paste; each begins with the word `cellmonai`."""
    console = error_console()
    console.print("\nnext:", style="bold")
    for command in commands:
        console.print(f"  {printable(pasteable(command))}", style="cyan")


def quoted(word: object) -> str:
    """Give a path or text as it must be typed, so that the shell keeps it whole and no command takes it for options."""
    text = str(word)
    text = f".{os.sep}{text}" if text.startswith("-") else text
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)


def pasteable(command: str) -> str:
    """Give a command as it works in this shell: with the path of `cellmonai` where it was typed with one."""
    typed = Path(sys.argv[0])
    if typed.stem != "cellmonai" or which("cellmonai"):
        return command
    return quoted(typed) + command.removeprefix("cellmonai")


@dataclass
class _QuietReporter(Silent):
    """Shows nothing but warnings."""

    def warn(self, code: str, message: str, image: str | None = None) -> None:
        super().warn(code, message, image)
        _print_warning(self.warnings[-1])


def _print_warning(warning: Warned) -> None:
    where = f"{printable(warning.image)}: " if warning.image else ""
    print_line(f"warning: {where}{printable(warning.message)}", sys.stderr)


@dataclass
class ConsoleReporter:
    """A Reporter on a console: a bar with time left on a terminal, a line now and then in a log."""

    console: Console
    warnings: list[Warned] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Print one fact as a line."""
        self.console.print(printable(text))

    def warn(self, code: str, message: str, image: str | None = None) -> None:
        """Print and keep a warning."""
        self.warnings.append(Warned(code, message, image))
        where = f"{printable(image)}: " if image else ""
        self.console.print(f"warning: {where}{printable(message)}", style="yellow")

    def stage(self, title: str, total: float) -> Stage:
        """Begin a bar, or a sequence of log lines where there is no terminal."""
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            return _BarStage(self.console, title, total)
        return _LogStage(self.console, title, total)


class _BarStage:
    def __init__(self, console: Console, title: str, total: float) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=30, complete_style="cyan", finished_style="green"),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
        )
        self._progress: Progress = Progress(*columns, console=console)
        self._task: TaskID = self._progress.add_task(printable(title), total=total, note="")

    def __enter__(self) -> Stage:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, steps: float = 1.0, *, note: str = "") -> None:
        """Move the bar."""
        words = {"note": printable(note)} if note else {}
        self._progress.update(self._task, advance=steps, **words)  # type: ignore[arg-type] # fields are free-form


class _LogStage:
    def __init__(self, console: Console, title: str, total: float) -> None:
        self._console, self._title, self._total = console, printable(title), max(total, 1e-9)
        self._done = 0.0
        self._started = self._printed = time.monotonic()

    def __enter__(self) -> Stage:
        self._console.print(f"{self._title} …")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._console.print(f"{self._title}: done in {readable_seconds(time.monotonic() - self._started)}")

    def advance(self, steps: float = 1.0, *, note: str = "") -> None:
        """Count on, and print a line when the last one is half a minute old."""
        self._done += steps
        now = time.monotonic()
        if now - self._printed < _SECONDS_BETWEEN_LOG_LINES:
            return
        self._printed = now
        left = (now - self._started) / max(self._done, 1e-9) * (self._total - self._done)
        words = f", {printable(note)}" if note else ""
        share = 100 * self._done / self._total
        self._console.print(f"{self._title}: {share:.0f} %, {readable_seconds(max(left, 0))} left{words}")
