"""`cellmonai demo`: everything at once, on painted cells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellmonai.cli.options import Debug, Json, Overwrite, Quiet

if TYPE_CHECKING:
    from cellmonai.workflows.demo import DemoResult


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for all that the demo makes.")] = Path("cellmonai-demo"),
    seed: Annotated[int, typer.Option(help="Another number paints other cells.")] = 0,
    minutes: Annotated[float, typer.Option(help="Longest time for training, in minutes.")] = 0.5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """See everything in a minute: paint cells, train, find, count, and compare with the truth.

    No data and no network are needed. The folder then holds a normal data set, recipe, model and results to play with.
    """
    # so small a network gains nothing from a second thread, and on a busy machine threads that wait for each other
    # made training fourteen times slower; it must be said before PyTorch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from cellmonai.cli.console import error_console, make_reporter, print_json, print_table
    from cellmonai.cli.headlines import HeadlineReporter
    from cellmonai.workflows.demo import demo as run_demo

    reporter = make_reporter(quiet=True) if quiet else HeadlineReporter(error_console())
    result = run_demo(folder, seed=seed, minutes=minutes, device=device, overwrite=overwrite, reporter=reporter)
    if json:
        print_json(result.as_json())
        return
    from cellmonai.report.demo import demo_table

    print_table(demo_table(result.as_json()))
    if not quiet:
        _tell_more(result)


def _tell_more(result: DemoResult) -> None:
    """Say where the pictures are and what to type next."""
    from cellmonai.cli.console import error_console, pasteable
    from cellmonai.core.text import printable
    from cellmonai.core.units import readable_seconds

    console = error_console()
    pictures = result.overlays[-1].parent / "*_overlay.png"
    console.print(f"done in {readable_seconds(result.seconds)}", style="bold green")
    console.print(f"look at {printable(str(pictures))}: every cell outlined on its image")
    console.print(f"and at {printable(str(result.model.parent / 'curves.png'))}: how the network learnt")
    console.print("\nnext:", style="bold")
    for reason, command in next_commands(result):
        console.print(f"\n  {printable(reason)}")
        console.print(f"  {printable(pasteable(command))}", style="cyan")


def next_commands(result: DemoResult) -> list[tuple[str, str]]:
    """Give what a user does next, as (what it is for, the command); each runs as it stands, in this order."""
    root = result.folder / "train"
    train = ["fit", _path(result.recipe), "--set", f"data.root={root}"]
    train += ["--set", "training.epochs=1000", "--set", "training.max_minutes=5"]
    large = _path(result.folder / "test" / "images" / "large_field.tif")
    return [
        (f"train for 5 minutes; for your own images, put their folder (images/ and masks/) for {root}", _line(*train)),
        (
            "find the cells of an image of any size",
            _line("infer", "--sliding-window", large, "--model", _path(result.model)),
        ),
        ("count and measure them", _line("count", "masks/")),
    ]


def _path(path: Path) -> str:
    """Give a path as a word that no command takes for an option."""
    text = str(path)
    return f".{os.sep}{text}" if text.startswith("-") else text


def _line(*words: str) -> str:
    """Give a command line that the user's shell reads as these words."""
    full = ["cellmonai", *words]
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(full)
    import shlex

    return shlex.join(full)
