"""`cellmonai count`: from masks to cells, numbers and pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellmonai.cli.options import Debug, Json, Overwrite, Quiet

if TYPE_CHECKING:
    from cellmonai.workflows.count import CountResult
    from cellmonai.workflows.count_settings import CountSettings


class KindChoice(StrEnum):
    """How inputs are read."""

    auto = "auto"
    binary = "binary"
    labels = "labels"


class SplitChoice(StrEnum):
    """How touching cells are split."""

    auto = "auto"
    none = "none"


class BorderChoice(StrEnum):
    """What happens to cells that the border cuts."""

    keep = "keep"
    exclude = "exclude"


class PicturesChoice(StrEnum):
    """Which pictures are drawn."""

    none = "none"
    overlay = "overlay"


def count(
    masks: Annotated[
        list[Path],
        typer.Argument(help="Masks, label images, or folders or globs of them; also what `cellmonai infer` left."),
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder with the images of the masks, for overlays and intensities.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("counts"),
    kind: Annotated[
        KindChoice, typer.Option(help="Read the inputs as binary masks or as label images.")
    ] = KindChoice.auto,
    split: Annotated[SplitChoice | None, typer.Option(help="Split touching cells, or count connected regions.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Cut the probability maps left by infer here, instead of using its masks."),
    ] = None,
    opening: Annotated[
        int | None, typer.Option(min=0, max=254, help="Remove specks: radius of an opening in px.")
    ] = None,
    closing: Annotated[int | None, typer.Option(min=0, max=254, help="Bridge gaps: radius of a closing in px.")] = None,
    fill_holes: Annotated[
        bool | None, typer.Option("--fill-holes/--no-fill-holes", help="Fill holes inside cells.", show_default=False)
    ] = None,
    min_area: Annotated[
        str | None, typer.Option(metavar="AREA", help="Smallest cell, as 10px or 25um2. [default: 10px]")
    ] = None,
    max_area: Annotated[str | None, typer.Option(metavar="AREA", help="Largest cell, as 900px or 400um2.")] = None,
    border: Annotated[
        BorderChoice | None, typer.Option(help="Keep or exclude cells that touch the image border.")
    ] = None,
    pixel_size: Annotated[
        float | None, typer.Option(metavar="UM", help="Micrometres per pixel, instead of what the files say.")
    ] = None,
    pictures: Annotated[
        PicturesChoice | None,
        typer.Option(help="Outlines over the images. [default: overlay where the image is known]"),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory one mask may take, as 2GiB. [default: half of the free]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    overwrite: Overwrite = False,
) -> None:
    """Count and measure the cells of masks.

    Options that are not given follow the operating point of the model that made the masks, where it is known.
    """
    from cellmonai.cli.console import make_reporter
    from cellmonai.core.units import parse_bytes
    from cellmonai.workflows.count import count as count_cells
    from cellmonai.workflows.count_settings import CountSettings

    settings = CountSettings(
        output=output,
        images=images,
        kind=kind.value,
        split=split.value if split else None,
        threshold=threshold,
        opening=opening,
        closing=closing,
        fill_holes=fill_holes,
        min_area=min_area,
        max_area=max_area,
        border=border.value if border else None,
        pixel_size_um=None if pixel_size is None else (pixel_size, pixel_size),
        pictures=pictures.value if pictures else None,
        memory=None if memory is None else parse_bytes(memory),
        overwrite=overwrite,
    )
    result = count_cells(masks, settings=settings, reporter=make_reporter(quiet=quiet))
    _render(result, settings, as_json=json, quiet=quiet)
    _fail_when_partial(result)


def _render(result: CountResult, settings: CountSettings, *, as_json: bool, quiet: bool) -> None:
    from cellmonai.cli.console import error_console, print_json, print_next, print_table

    if as_json:
        print_json(result.as_json())
        return
    from cellmonai.core.text import printable
    from cellmonai.report.tables import count_table

    table = str(result.output / "counts.csv")
    print_table(count_table(result.images, failures=result.failures, where_all=table))
    if not quiet:
        error_console().print(printable(f"written: {_written(result)}"))
        print_next(*_next_commands(result, settings))


def _written(result: CountResult) -> str:
    labels, overlays = len(result.images), sum(name.endswith("_overlay.png") for name in result.outputs)
    images = f"{labels:,} label image{'s' * (labels != 1)}"
    pictures = f" and {overlays:,} overlay{'s' * (overlays != 1)}" if overlays else ""
    return f"counts.csv, cells.csv, counts.json, {images}{pictures} in {result.output}"


def _next_commands(result: CountResult, settings: CountSettings) -> list[str]:
    """Give what a user wants next: the cells drawn on the images, or other filters; then a check against truth."""
    from cellmonai.cli.console import quoted

    folder = quoted(result.output)
    with_pictures = settings.images is not None or any(name.endswith("_overlay.png") for name in result.outputs)
    more = "--min-area 50px" if with_pictures else "--images IMAGES"
    typed = result.inputs if len(result.inputs) <= 3 else tuple({str(Path(word).parent) for word in result.inputs})
    commands = [f"cellmonai evaluate {folder} TRUE_MASKS"]
    if len(typed) <= 3:  # a long list, as a shell makes of a star, is no command to show
        names = " ".join(quoted(word) for word in sorted(typed))
        commands.insert(0, f"cellmonai count {names} {more} --output {folder} --overwrite")
    return commands


def _fail_when_partial(result: CountResult) -> None:
    from cellmonai.core.errors import PartialFailureError

    if result.failures:
        first, reason = next(iter(result.failures.items()))
        failed, everything = len(result.failures), len(result.failures) + len({row.image for row in result.images})
        raise PartialFailureError(
            f"{failed} of {everything} inputs failed, the others are counted; the first: {first}: {reason}",
            cure=f"all are listed in {result.output / 'counts.json'}",
        )
