"""The `cellmonai` command: its sub-commands, and nothing that takes long to import."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cellmonai.cli.boundary import ErrorBoundary, wants_debug
from cellmonai.cli.count import count
from cellmonai.cli.demo import demo
from cellmonai.cli.doctor import doctor
from cellmonai.cli.evaluate import evaluate
from cellmonai.cli.fit import fit
from cellmonai.cli.infer import infer
from cellmonai.cli.models import models_app
from cellmonai.cli.recipe import recipe_app
from cellmonai.core.text import printable

_EXAMPLES = """Segment and count cells in microscopy images.

  cellmonai demo                                       see everything in a minute, without any data
  cellmonai recipe init my_data/                       write a recipe fitted to your images
  cellmonai fit recipe.toml                            train a model
  cellmonai infer --sliding-window big_slide.tif       find the cells of an image of any size
  cellmonai count masks/                               count and measure them

Every command explains itself with --help.
"""

app = typer.Typer(
    cls=ErrorBoundary,
    help="Segment and count cells in microscopy images.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Segment and count cells in microscopy images."""
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"cellmonai {version_of('cellmonai')}")
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        typer.echo(_EXAMPLES)


app.command("demo")(demo)
app.command("fit")(fit)
app.command("infer")(infer)
app.command("count")(count)
app.command("evaluate")(evaluate)
app.command("doctor")(doctor)
app.add_typer(recipe_app, name="recipe")
app.add_typer(models_app, name="models")


def _prepare_streams() -> None:
    """Let terminals print what they can; a stream that the caller closed, as `>&-` does, takes everything silently."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


def main() -> None:
    """Run the command line; terminals that cannot print a character get its escape instead of a crash."""
    # threads that spin while they wait made training up to eight times slower on a machine that others use too
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # NumPy's threads for matrices, which nothing here multiplies, would take a twentieth of a second to start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _prepare_streams()
    try:
        app()
    except Exception as error:
        if wants_debug():
            raise
        what = printable(f"{type(error).__name__}: {error}")
        sys.stderr.write(f"error: {what}; this is a fault of cellmonai, see --debug.\n")
        sys.exit(70)
