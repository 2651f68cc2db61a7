"""`cellmonai count`: from masks to cells, numbers and pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from cellmonai.cli.options import CellValues, Debug, Json, MaskThreshold, Overwrite, Quiet, Recursive, parse_values


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
    recursive: Recursive = False,
    images: Annotated[
        Path | None, typer.Option(help="Folder with the images of the masks, for overlays and intensities.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=_folder, metavar="PATH", help="Folder for the results.")
    ] = Path("counts"),
    kind: Annotated[
        KindChoice, typer.Option(help="Read the inputs as binary masks or as label images.")
    ] = KindChoice.auto,
    cell_values: CellValues = None,
    mask_threshold: MaskThreshold = None,
    per_plane: Annotated[
        bool,
        typer.Option(
            "--per-plane",
            help="Count each plane of a label stack by itself, not once a cell whose id runs through several.",
        ),
    ] = False,
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
        bool, typer.Option("--fill-holes", help="Fill all holes, also the gaps that cells enclose.", show_default=False)
    ] = False,
    keep_holes: Annotated[
        bool,
        typer.Option(
            "--keep-holes/",
            "--no-fill-holes/",
            help="Fill no holes. [default: fill those of single cells: nucleoli, rings, specks]",
            show_default=False,
        ),
    ] = False,
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
    from cellmonai.cli.counted import fail_when_partial, show_counted, typed_options
    from cellmonai.core.units import parse_bytes
    from cellmonai.workflows.count import count as count_cells
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.units import parse_pixel_size

    settings = CountSettings(
        output=output,
        images=images,
        kind=kind.value,
        cell_values=parse_values(cell_values, "--cell-values"),
        mask_threshold=mask_threshold,
        per_plane=per_plane,
        split=split.value if split else None,
        threshold=threshold,
        opening=opening,
        closing=closing,
        fill_holes=_fill_holes(every=fill_holes, keep=keep_holes),
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
        recursive=recursive,
        allow_partial=allow_partial,
        level=level,
        threads=threads,
        memory=None if memory is None else parse_bytes(memory),
        overwrite=overwrite,
    )
    result = count_cells(masks, settings=settings, reporter=make_reporter(quiet=quiet))
    show_counted(result, settings, typed_options(context), as_json=json, quiet=quiet)
    fail_when_partial(result)


def _fill_holes(*, every: bool, keep: bool) -> Literal["all", "none"] | None:
    """Say which holes are filled; None leaves it to the operating point."""
    if every and keep:
        raise typer.BadParameter("contradicts --fill-holes; leave one of the two out", param_hint="--keep-holes")
    return "all" if every else "none" if keep else None


def _words(text: str | None, option: str) -> tuple[str, ...]:
    """Read a list as typed, `a,b`; what holds no word is a mistake, as a variable that is not set."""
    words = tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()
    if text is not None and not words:
        raise typer.BadParameter("is empty; name something or leave it out", param_hint=option)
    return words
