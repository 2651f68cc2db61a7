"""Failures that a user can act on, each with its exit code.

CellmonaiError
├── UsageError           2  an option or argument does not fit
├── InputError           3  an input cannot be read or is not what it should be
├── RecipeError          4  the recipe is wrong
├── OutputError          5  an output exists or cannot be written
├── LockedError          6  another run holds the output's lock
├── DivergedError        7  training diverged
├── MemoryBudgetError    8  the memory budget does not suffice
├── PartialFailureError  9  part of the inputs failed; the rest is done and listed
└── InterruptedRunError  130  stopped by Ctrl-C, at a safe point
    └── TerminatedRunError  143  stopped by SIGTERM, at a safe point
"""

from __future__ import annotations

from typing import ClassVar

from cellmonai.core.text import printable


class CellmonaiError(Exception):
    """A failure with what happened, where, and the cure, printed as one sentence.

    Parameters
    ----------
    what : what was found and what was expected, without a full stop
    where : the file, key or option it happened in; may hold any characters, they are escaped
    cure : what to do or type, without a full stop
    code : a stable word for programs that tell failures of one class apart, as "colour_mask"; mostly empty
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", cure: str = "", code: str = "") -> None:
        self.what = what
        self.code = code
        self.where = printable(where)
        self.cure = cure
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """`where: what; cure.` on one line."""
        start = f"{self.where}: " if self.where else ""
        end = f"; {self.cure}" if self.cure else ""
        words = f"{start}{self.what}{end}"
        return printable(words if words.endswith(("?", "!", ".")) else f"{words}.")


class UsageError(CellmonaiError):
    """An option or argument does not fit."""

    exit_code = 2


class InputError(CellmonaiError):
    """An input cannot be read or is not what it should be."""

    exit_code = 3


class RecipeError(CellmonaiError):
    """The recipe is wrong."""

    exit_code = 4


class OutputError(CellmonaiError):
    """An output exists or cannot be written."""

    exit_code = 5


class LockedError(CellmonaiError):
    """Another run holds the lock of the output folder."""

    exit_code = 6


class DivergedError(CellmonaiError):
    """Training diverged: the loss or the weights are no longer finite."""

    exit_code = 7


class MemoryBudgetError(CellmonaiError):
    """The memory budget does not suffice."""

    exit_code = 8


class PartialFailureError(CellmonaiError):
    """Part of the inputs failed; the rest is done and listed."""

    exit_code = 9


class InterruptedRunError(CellmonaiError):
    """Stopped by Ctrl-C at a safe point."""

    exit_code = 130


class TerminatedRunError(InterruptedRunError):
    """Stopped by SIGTERM at a safe point."""

    exit_code = 143
