"""`cellmonai doctor`: whether everything works here, on a page to paste into an issue."""

from __future__ import annotations

import locale
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellmonai.cli.options import Debug, Json, Quiet

if TYPE_CHECKING:
    from cellmonai.workflows.doctoring.finding import Checked

_SECONDS_PER_ENGINE = 0.85  # two engines and counting take two seconds in all
_VARIABLES = (
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CELLMONAI_CACHE",
    "CELLMONAI_KERNELS",
    "PYTHONUTF8",
    "NO_COLOR",
)
_NEEDED = "\u00b5\u00b2\u2013\u2026\u2500"  # what tables hold beside ASCII


def doctor(
    no_benchmark: Annotated[
        bool, typer.Option("--no-benchmark", help="Measure no speed, which saves some seconds.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check that everything works here: packages, devices, engines, folders.

    The page names neither you nor your machine, and ends with what is wrong and how to cure it. The exit code is 1
    when something keeps commands from working.
    """
    from cellmonai.cli.console import make_reporter, print_json, print_line, print_next
    from cellmonai.workflows.doctor import doctor as examine

    seconds = 0.0 if no_benchmark else _SECONDS_PER_ENGINE
    reporter = make_reporter(quiet=quiet or json)
    result = examine(Path(), seconds=seconds, surroundings=_surroundings(), reporter=reporter)
    document = result.as_json()
    if json:
        print_json(document)
    else:
        from cellmonai.report.doctor import doctor_page

        print_line(doctor_page(document, document["findings"]))
        if not quiet and not result.errors:
            print_next("cellmonai demo")
    if result.errors:
        raise typer.Exit(1)


def _surroundings() -> Checked:
    """Give what only the command sees: the terminal, and variables that change what runs."""
    from cellmonai.workflows.doctoring.finding import Checked, Finding

    encoding = sys.stdout.encoding or "ascii"
    facts = {
        "output": f"{encoding}, {'a terminal' if sys.stdout.isatty() else 'no terminal'}",
        "locale": ".".join(filter(None, locale.getlocale())) or "C",
        "file names": sys.getfilesystemencoding(),
        **{name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    try:
        _NEEDED.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        poor = Finding(
            "encoding", "warning", f"{encoding} lacks characters of our tables", "set the variable PYTHONUTF8 to 1"
        )
        return Checked({"surroundings": facts}, (poor,))
    return Checked({"surroundings": facts})
