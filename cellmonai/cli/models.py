"""`cellmonai models`: the networks that a recipe can name, and weights from elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellmonai.cli.options import Debug, Json, Overwrite, Quiet

if TYPE_CHECKING:
    from cellmonai.workflows.models import ShownNetwork

models_app = typer.Typer(
    help="List and describe networks, import weights.", no_args_is_help=True, rich_markup_mode=None
)


def _complete(incomplete: str) -> list[str]:
    from cellmonai.nets.catalogue import network_names

    return [name for name in network_names() if name.startswith(incomplete)]


@models_app.command("list")
def list_(json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the networks that a recipe can name, with their defaults."""
    started = time.monotonic()
    from cellmonai.cli.console import print_json, print_next, print_table
    from cellmonai.workflows.models import document_of, list_networks

    networks = list_networks()
    if json:
        content = {"networks": [network.as_json() for network in networks]}
        print_json(document_of("models list", started, content))
        return
    from cellmonai.report.networks import catalogue_tables

    print_table(*catalogue_tables([network.row for network in networks], [network.facts for network in networks]))
    if not quiet:
        print_next(f"cellmonai models show {networks[0].row.name}")


@models_app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A network of `cellmonai models list`.", autocompletion=_complete)
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value of a parameter, as width=32; may be repeated."),
    ] = None,
    channels: Annotated[int | None, typer.Option(min=1, max=1000, help="Channels of the image.")] = None,
    outputs: Annotated[int | None, typer.Option(min=1, max=100, help="Maps that it gives.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Describe the network NAME: size, reach, source, and every parameter with its bounds.

    \b
      cellmonai models show c_resunet --set attention_gates=true
      cellmonai models show unet --set width=16 --channels 3
    """
    started = time.monotonic()
    from cellmonai.cli.console import print_json, print_next, print_table, quoted
    from cellmonai.workflows.models import document_of, show_network

    shown = show_network(name, overrides=set_ or (), channels=channels, maps=outputs)
    if json:
        allowed = {key: parameter.as_json_schema() for key, parameter in shown.row.parameters.items()}
        print_json(document_of("models show", started, shown.as_json() | {"allowed": allowed}))
        return
    from cellmonai.report.networks import facts_table, parameters_table

    print_table(facts_table(name, _facts(shown)))
    if shown.settings:
        print_table(parameters_table(shown.row.parameters, shown.settings))
    if not quiet:
        words = "".join(f" --set {quoted(f'network.{word}')}" for word in set_ or ())
        print_next(f"cellmonai fit recipe.toml --set network.name={name}{words}")


@models_app.command("import")
def import_(
    weights: Annotated[Path, typer.Argument(metavar="FILE", help="Weights of a c-ResUnet, as HDF5 written by Keras.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")] = Path(
        "model.safetensors"
    ),
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Foreground probability from which a pixel is cell.")
    ] = 0.5,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a model file from FILE, the weights of a c-ResUnet that Keras saved."""
    from cellmonai.cli.console import print_json, print_line, print_next, quoted
    from cellmonai.core.text import printable
    from cellmonai.workflows.import_keras import import_keras

    result = import_keras(weights, output=output, threshold=threshold, overwrite=overwrite)
    if json:
        print_json(result.as_json())
        return
    print_line(printable(str(output)))
    if not quiet:
        print_next(f"cellmonai infer my_images/ --model {quoted(output)}")


def _facts(shown: ShownNetwork) -> dict[str, str]:
    row, facts = shown.row, shown.facts
    exact = "equal one pass over the whole image" if facts.tile_exact else "are blended: results depend on their place"
    maps = ", ".join(row.maps) or f"{shown.maps}, as the target says"
    sizes = f"from {facts.divisor} px on" if row.pads else f"multiples of {facts.divisor} px"
    return {
        "what": row.title,
        "image channels": str(shown.channels),
        "maps": maps,
        "parameters": f"{shown.trainable:,} trainable, {shown.running:,} running statistics",
        "model file": f"{shown.megabytes:.1f} MB",
        "receptive field": f"{facts.radius_px} px around a pixel",
        "windows": f"begin at multiples of {facts.divisor} px and {exact}",
        "image sides": f"{sizes}; `infer` pads and takes any",
        "learns": " or ".join(row.targets) or "every target",
        "source": row.source,
        "recipe": f"recipes/{row.recipe}",
    }
