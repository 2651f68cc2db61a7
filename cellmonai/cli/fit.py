"""`cellmonai fit`: train a model from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellmonai.cli.options import Debug, Json, Overwrite, Quiet


def fit(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file; `cellmonai recipe init DATA` writes one.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run [default: runs/NAME-TIME].")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a value of the recipe; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model on your images, as a recipe describes it."""
    from cellmonai.cli.console import make_reporter, print_json, print_next, print_table, quoted
    from cellmonai.core.devices import require_device_name
    from cellmonai.core.files import require_possible
    from cellmonai.workflows.recipe import open_recipe
    from cellmonai.workflows.recipe_data import find_selected

    reporter = make_reporter(quiet=quiet)
    # what is wrong with the words typed is told at once, before torch has loaded
    require_device_name(device)
    require_possible(output or Path("runs"))
    find_selected(open_recipe(recipe, overrides or ()))
    reporter.note("loading PyTorch and MONAI …")
    from cellmonai.report.fit import fit_table
    from cellmonai.workflows.fit import fit as run_fit

    result = run_fit(
        recipe, output=output, overrides=overrides or (), device=device, overwrite=overwrite, reporter=reporter
    )
    if as_json:
        print_json(result.as_json())
        return
    print_table(fit_table(result.as_json()))
    if not quiet:
        example, model = quoted(result.example), quoted(result.model)
        print_next(f"cellmonai infer --pictures overlay --model {model} {example}", "cellmonai count masks/")
