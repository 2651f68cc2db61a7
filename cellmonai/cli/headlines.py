"""A Reporter for commands of several steps: the step stands out, what happens within it stays quiet."""

from __future__ import annotations

from dataclasses import dataclass

from cellmonai.cli.console import ConsoleReporter
from cellmonai.core.text import printable


@dataclass
class HeadlineReporter(ConsoleReporter):
    """Prints indented notes dimly and others as headlines, with an empty line before."""

    def note(self, text: str) -> None:
        """Print one fact as a line."""
        if text.startswith(" "):
            self.console.print(printable(text), style="dim")
        else:
            self.console.print()
            self.console.print(printable(text), style="bold")
