"""`cellmonai recipe`: write a recipe for one's data, check one, and describe what it may hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellmonai.cli.options import CellValues, Debug, Json, MaskThreshold, Overwrite, Quiet, parse_values

if TYPE_CHECKING:
    from rich.table import Table

    from cellmonai.workflows.recipe import CheckedRecipe

recipe_app = typer.Typer(help="Write, check and describe recipes.", no_args_is_help=True, rich_markup_mode=None)

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value, such as training.epochs=5; may be repeated."),
]


@recipe_app.command()
def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with images and masks.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The recipe to write.")] = Path("recipe.toml"),
    cell_values: CellValues = None,
    mask_threshold: MaskThreshold = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a commented recipe fitted to the images and masks in DATA."""
    from cellmonai.cli.console import make_reporter, print_json, print_line, print_next, quoted
    from cellmonai.images.labels import ValueChoice
    from cellmonai.workflows.recipe_init import init_recipe

    result = init_recipe(
        data,
        output=output,
        overwrite=overwrite,
        reporter=make_reporter(quiet=quiet or json),
        choice=ValueChoice(parse_values(cell_values, "--cell-values"), mask_threshold),
    )
    if json:
        print_json(result.as_json())
        return
    from cellmonai.core.text import printable

    print_line(printable(str(output)))
    if not quiet:
        recipe = quoted(output)
        print_next(f"cellmonai recipe check {recipe}", f"cellmonai fit {recipe}")


@recipe_app.command()
def check(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file.")],
    set_: Set = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Print every value of RECIPE with where it comes from, and check that its data are there."""
    from cellmonai.cli.console import make_reporter, print_json, print_next, print_table, quoted
    from cellmonai.workflows.recipe import check_recipe

    overrides = list(set_ or ())
    checked = check_recipe(recipe, overrides=overrides, reporter=make_reporter(quiet=quiet or json))
    if json:
        print_json(checked.as_json())
        return
    print_table(_values_table(checked), _data_table(checked))
    if not quiet:
        words = "".join(f" --set {quoted(word)}" for word in overrides)
        print_next(f"cellmonai fit {quoted(recipe)}{words}")


@recipe_app.command()
def schema(json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Print the JSON Schema of recipes, by which editors complete and check them."""
    from cellmonai.cli.console import print_json
    from cellmonai.workflows.recipe import recipe_schema

    print_json(recipe_schema())


def _values_table(checked: CheckedRecipe) -> Table:
    from rich.table import Table

    from cellmonai.core.text import printable

    table = Table(title="recipe", title_justify="left", show_edge=False, pad_edge=False)
    for name in ("key", "value", "from"):
        table.add_column(name, overflow="fold")
    for row in checked.values:
        style = "dim" if row.source == "default" else None
        table.add_row(printable(row.key), printable(_shown(row.value)), row.source, style=style)
    return table


def _data_table(checked: CheckedRecipe) -> Table:
    from rich.table import Table

    table = Table(title="\ndata", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("part")
    table.add_column("images", justify="right")
    table.add_column("groups", justify="right")
    for part, images in checked.images.items():
        table.add_row(part, f"{images:,}", f"{checked.groups[part]:,}")
    selected = checked.selected
    table.add_row("not selected", f"{len(selected.found) - selected.without_mask - len(selected.pairs):,}", "")
    if selected.without_mask:
        table.add_row("without mask", f"{selected.without_mask:,}", "")
    return table


def _shown(value: Any) -> str:  # noqa: ANN401 - a recipe value
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case {"name": name, **parameters}:
            return str(name) + "".join(f", {key} {_shown(item)}" for key, item in parameters.items())
        case dict():
            return ", ".join(f"{key} = {_shown(item)}" for key, item in value.items()) or "{}"
        case list() | tuple():
            return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value)
