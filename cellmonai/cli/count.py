"""`cellmonai count`: from masks to cells, numbers and pictures."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellmonai.cli.options import Debug, Json, Overwrite, Quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.workflows.count import CountResult
    from cellmonai.workflows.counting.settings import CountSettings


class KindChoice(StrEnum):
    """How inputs are read."""

    auto = "auto"
    binary = "binary"
    labels = "labels"


class SplitChoice(StrEnum):
    """How touching cells are split."""

    auto = "auto"
    learned = "learned"
    markers = "markers"
    none = "none"


class BorderChoice(StrEnum):
    """What happens to cells that the border cuts."""

    keep = "keep"
    exclude = "exclude"
    frame = "frame"


class AuditUnitChoice(StrEnum):
    """What an audit draws."""

    tiles = "tiles"
    fields = "fields"


class PicturesChoice(StrEnum):
    """Which pictures are drawn."""

    none = "none"
    overlay = "overlay"


def _folder(text: str | Path) -> Path:
    """Read a folder; an empty text would mean the current one, which nobody asked for who left a variable unset."""
    if not str(text):
        raise typer.BadParameter("is empty; name a folder")
    return Path(text)


def count(
    context: typer.Context,
    masks: Annotated[
        list[Path] | None,
        typer.Argument(help="Masks, label images, or folders or globs of them; also what `cellmonai infer` left."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder with the images of the masks, for overlays and intensities.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=_folder, metavar="PATH", help="Folder for the results.")
    ] = Path("counts"),
    kind: Annotated[
        KindChoice, typer.Option(help="Read the inputs as binary masks or as label images.")
    ] = KindChoice.auto,
    split: Annotated[
        SplitChoice | None,
        typer.Option(
            help="Split touching cells by relative persistence (auto), by the learned pair score, by distance markers "
            "as usual pipelines do, or count connected regions (none). [default: auto]"
        ),
    ] = None,
    min_distance: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="With --split markers: least distance of two, as 7px or 3um.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Separate cells as a published system did, as morelli2021.")
    ] = None,
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
        BorderChoice | None,
        typer.Option(
            help="Cells cut by the image border: keep them, exclude them, or take those at the bottom and right only "
            "(frame, unbiased). [default: keep]"
        ),
    ] = None,
    pixel_size: Annotated[
        str | None,
        typer.Option(
            metavar="UM", help="Micrometres per pixel, instead of what the files say: 0.65, or 0.65,0.325 (x,y)."
        ),
    ] = None,
    pictures: Annotated[
        PicturesChoice | None,
        typer.Option(help="Outlines over the images. [default: overlay where the image is known]"),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="More files: geojson (QuPath), rois (ImageJ), parquet; as geojson,rois."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html, one file with everything to look at.")
    ] = True,
    name_pattern: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="What names say of an image, as {plate}_{well}_{site}.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Sample sheet: a row per image or well, with its treatment and so on.")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Columns to group by, as plate,well or treatment.")
    ] = None,
    audit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Draw N tiles to count by hand, to know the total's error.")
    ] = None,
    audit_unit: Annotated[
        AuditUnitChoice, typer.Option(help="Draw tiles of the images, or whole images.")
    ] = AuditUnitChoice.tiles,
    audit_tile: Annotated[
        int | None, typer.Option(metavar="PX", min=1, help="Side of the tiles. [default: about 30 cells in each]")
    ] = None,
    audit_strata: Annotated[
        int, typer.Option(metavar="N", min=1, help="Draw from so many groups of sparse to dense tiles.")
    ] = 1,
    audit_bound: Annotated[
        int | None,
        typer.Option(
            metavar="CELLS", min=1, help="Greatest error of a tile. [default: half of the fullest, 10 at least]"
        ),
    ] = None,
    audit_seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the draw. [default: from the list of tiles]")
    ] = None,
    audit_result: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The filled audit.csv, or its folder: gives the unbiased total; no MASKS then."
        ),
    ] = None,
    audit_half_width: Annotated[
        str | None, typer.Option(metavar="WISH", help="With --audit-result: how many tiles +-200 or 5% would take.")
    ] = None,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Count what a run of infer left that never finished.")
    ] = False,
    level: Annotated[float, typer.Option(help="Level of intervals: 0.8, 0.9 or 0.95.")] = 0.95,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Files counted at a time. [default: one per core]")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory the run may take, as 2GiB. [default: half of the free]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    overwrite: Overwrite = False,
) -> None:
    """Count and measure the cells of masks.

    Options that are not given follow the operating point of the model that made the masks, where it is known.
    """
    if audit_result is not None or audit_half_width is not None:
        from cellmonai.cli.audit import show_audit

        show_audit(context, masks, audit_result, half_width=audit_half_width, level=level, as_json=json)
        return
    if not masks:
        raise typer.BadParameter("name masks, label images or a folder of them", param_hint="MASKS")
    from cellmonai.cli.console import make_reporter
    from cellmonai.core.units import parse_bytes
    from cellmonai.workflows.count import count as count_cells
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.units import parse_pixel_size

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
        min_distance=min_distance,
        preset=preset,
        pixel_size_um=None if pixel_size is None else parse_pixel_size(pixel_size),
        pictures=pictures.value if pictures else None,
        save=_words(save, "--save"),  # type: ignore[arg-type] # the settings refuse what cannot be saved
        report=report,
        name_pattern=name_pattern,
        sheet=sheet,
        group_by=_words(group_by, "--group-by"),
        audit=audit,
        audit_unit=audit_unit.value,
        audit_tile=audit_tile,
        audit_strata=audit_strata,
        audit_bound=audit_bound,
        audit_seed=audit_seed,
        allow_partial=allow_partial,
        level=level,
        threads=threads,
        memory=None if memory is None else parse_bytes(memory),
        overwrite=overwrite,
    )
    result = count_cells(masks, settings=settings, reporter=make_reporter(quiet=quiet))
    _render(result, settings, _typed_options(context), as_json=json, quiet=quiet)
    _fail_when_partial(result)


def _words(text: str | None, option: str) -> tuple[str, ...]:
    """Read a list as typed, `a,b`; what holds no word is a mistake, as a variable that is not set."""
    words = tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()
    if text is not None and not words:
        raise typer.BadParameter("is empty; name something or leave it out", param_hint=option)
    return words


def _render(
    result: CountResult, settings: CountSettings, typed: Mapping[str, str], *, as_json: bool, quiet: bool
) -> None:
    from cellmonai.cli.console import error_console, print_json, print_next, print_table

    if as_json:
        print_json(result.as_json())
        return
    from cellmonai.core.text import printable
    from cellmonai.report.tables import count_table

    table = str(result.output / "counts.csv")
    level = settings.level if any(row.interval for row in result.images) else None
    print_table(count_table(result.images, failures=result.failures, where_all=table, interval_level=level))
    if result.groups:
        from cellmonai.report.groups import groups_table

        print_table(groups_table(result.groups, where_all=str(result.output / "groups.csv")))
    if result.is_partial:
        error_console().print(printable(_PARTIAL), style="yellow")
    if not quiet:
        error_console().print(printable(f"written: {_written(result)}"))
        if result.audit is not None:
            from cellmonai.cli.audit import audit_steps

            by_hand, command = audit_steps(result.audit)
            error_console().print(printable(by_hand))
            print_next(command)
        else:
            print_next(*_next_commands(result, typed))


_PARTIAL = "partial: these numbers describe a part of the inputs only"


def _written(result: CountResult) -> str:
    labels, overlays = len(result.images), _overlays(result)
    images = f"{labels:,} label image{'s' * (labels != 1)}"
    pictures = f" and {overlays:,} overlay{'s' * (overlays != 1)}" if overlays else ""
    others = "".join(f", {name}" for name in _OTHERS if any(Path(path).name == name for path in result.outputs))
    return f"counts.csv, cells.csv, counts.json{others}, {images}{pictures} in {result.output}"


def _overlays(result: CountResult) -> int:
    """Count the overlays of images; an audit draws some too, into a folder of its own."""
    return sum(name.endswith("_overlay.png") and Path(name).parent == result.output for name in result.outputs)


_OTHERS = ("report.html", "groups.csv", "cells.parquet")


_NOT_REPEATED = {"masks", "output", "overwrite", "json", "quiet", "debug"}


def _typed_options(context: typer.Context) -> dict[str, str]:
    """Give the options as they were typed, by name, to be typed again: those that shape the count."""
    from cellmonai.cli.console import quoted

    typed = {}
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name in _NOT_REPEATED or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        if isinstance(value, bool):
            typed[name] = (option.opts if value else option.secondary_opts)[0]
        else:
            typed[name] = f"{option.opts[0]} {quoted(value.value if isinstance(value, StrEnum) else value)}"
    return typed


def _next_commands(result: CountResult, typed: Mapping[str, str]) -> list[str]:
    """Give what a user wants next: the cells drawn on the images, or other filters; then a check against truth.

    The count is suggested with every option of this one and into a folder of its own, so that the two can be compared.
    """
    from cellmonai.cli.console import quoted

    commands = [f"cellmonai evaluate {quoted(result.output)} TRUE_MASKS"]
    with_pictures = "images" in typed or _overlays(result) > 0
    name, more = ("min_area", "--min-area 50px") if with_pictures else ("images", "--images IMAGES")
    inputs = result.inputs if len(result.inputs) <= 3 else tuple({str(Path(word).parent) for word in result.inputs})
    if len(inputs) <= 3 and name not in typed:  # a long list, as a shell makes of a star, is no command to show
        words = [*(quoted(word) for word in sorted(inputs)), *typed.values(), more]
        commands.insert(0, f"cellmonai count {' '.join(words)} --output {quoted(_next_folder(result.output))}")
    return commands


def _next_folder(folder: Path) -> Path:
    """Give a folder beside this one that is not there yet, as counts_2."""
    whole = folder if folder.name else folder.resolve()  # `.` has no name
    number = 2
    while os.path.lexists(next_one := whole.with_name(f"{whole.name or 'counts'}_{number}")):
        number += 1
    return next_one


def _fail_when_partial(result: CountResult) -> None:
    from cellmonai.core.errors import PartialFailureError

    if result.failures:
        first, reason = next(iter(result.failures.items()))
        failed, everything = len(result.failures), len(result.failures) + len({row.image for row in result.images})
        raise PartialFailureError(
            f"{failed} of {everything} inputs failed, the others are counted; the first: {first}: {reason}",
            cure=f"all are listed in {result.output / 'counts.json'}",
        )
