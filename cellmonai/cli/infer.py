"""`cellmonai infer`: from images to masks and probability maps."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellmonai.cli.options import Debug, Json, Overwrite, Quiet, Recursive

if TYPE_CHECKING:
    from cellmonai.workflows.infer import InferResult


class StitchChoice(StrEnum):
    """How windows are joined."""

    auto = "auto"
    exact = "exact"
    gaussian = "gaussian"
    constant = "constant"
    minimum = "minimum"


class PrecisionChoice(StrEnum):
    """The number format of the network."""

    auto = "auto"
    f32 = "f32"
    bf16 = "bf16"
    f16 = "f16"
    int8 = "int8"


class EngineChoice(StrEnum):
    """What runs the network."""

    auto = "auto"
    torch = "torch"
    openvino = "openvino"


class TtaChoice(StrEnum):
    """Views of every window."""

    none = "none"
    flips = "flips"
    d4 = "d4"


class MapsChoice(StrEnum):
    """The number format of the maps on disk."""

    float16 = "float16"
    uint8 = "uint8"


def infer(
    images: Annotated[
        list[Path] | None, typer.Argument(help="Images, or folders or globs of them.", show_default=False)
    ] = None,
    recursive: Recursive = False,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN.JSON", help="Repeat the run of a record: its images, model and settings."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Model file or run folder. [default: the newest run under runs/]"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Instead of a model a method without training: otsu, local_threshold, canny, watershed, "
            "region_growing, kmeans or mean_shift.",
        ),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of the --method, as smooth_px=2; repeat."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("masks"),
    sliding_window: Annotated[
        bool,
        typer.Option("--sliding-window", help="Cut into windows even images that fit in one. Large ones always are."),
    ] = False,
    window: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Longest side of a window. [default: fits the memory]")
    ] = None,
    stitch: Annotated[
        StitchChoice,
        typer.Option(
            help="Join windows exactly, by averaging overlaps (gaussian, constant), or by their lowest probability as "
            "a published tiled network did (minimum); auto is exact where the network allows it."
        ),
    ] = StitchChoice.auto,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            help="Number format; auto is bf16 on a GPU that has it, else f32. int8 is faster on CPUs with VNNI or AMX, "
            "with OpenVINO; it is calibrated once on images of the run and changes counts, by how much is said."
        ),
    ] = PrecisionChoice.auto,
    engine: Annotated[
        EngineChoice, typer.Option(help="What runs the network; auto is OpenVINO on a CPU, else torch.")
    ] = EngineChoice.auto,
    tta: Annotated[
        TtaChoice,
        typer.Option(help="Average 4 (flips) or 8 (d4) views of every window; a map tells how far they disagree."),
    ] = TtaChoice.none,
    mc_dropout: Annotated[
        int, typer.Option(min=0, metavar="N", help="Average N passes with dropout at work; networks that have it.")
    ] = 0,
    level: Annotated[int | None, typer.Option(min=0, help="Resolution stored in the file, 0 is the full one.")] = None,
    um_per_px: Annotated[
        float | None, typer.Option(metavar="UM", help="Resolution by pixel size in µm; the image is scaled to it.")
    ] = None,
    skip_background: Annotated[
        bool, typer.Option("--skip-background", help="Leave out windows without structure; they are counted.")
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory to use, as 2GiB; of each worker. [default: half of the free]"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Share the work between N processes of this machine (Dask).")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Have the workers of a Dask scheduler do it, as tcp://10.0.0.1:8786."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Do the I-th of N parts of the images, as 3/16: for array jobs on a cluster."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="P", help="Probability of a cell pixel. [default: the model's own]"),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME_OR_INDEX", help="Channel to use, by name or number from 0; repeat for several."),
    ] = None,
    plane: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME_OR_INDEX",
            help="Time, depth or series to do, as t0_z03, a pattern as '*z03', or a number from 0; repeat for several. "
            "[default: all]",
            show_default=False,
        ),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Swap bright and dark before the model sees it.")] = False,
    pictures: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="overlay (outlines), heatmap (probability), attention (of attention gates), uncertainty (where the "
            "model predicts it), saliency (what a pixel's probability hangs on); several with commas.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="X,Y", help="Pixel that saliency explains. [default: the most probable]"),
    ] = None,
    maps_dtype: Annotated[MapsChoice, typer.Option(help="Number format of the maps on disk.")] = MapsChoice.float16,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    overwrite: Overwrite = False,
) -> None:
    """Find the cells of images with a trained model (masks and probability maps) or without one (--method: masks)."""
    from cellmonai.cli.console import make_reporter
    from cellmonai.core.errors import UsageError
    from cellmonai.core.memory import return_freed_memory
    from cellmonai.core.units import parse_bytes
    from cellmonai.instances.classical.catalogue import parse_parameters
    from cellmonai.workflows.infer import infer as infer_images
    from cellmonai.workflows.inferring.settings import InferSettings, parse_pixel, parse_shard

    settings = InferSettings(
        model=model,
        output=output,
        sliding_window=sliding_window,
        window=window,
        stitch=stitch.value,
        device=device,
        precision=precision.value,
        engine=engine.value,
        tta=tta.value,
        mc_dropout=mc_dropout,
        level=level,
        um_per_px=um_per_px,
        skip_background=skip_background,
        memory=None if memory is None else parse_bytes(memory),
        workers=workers,
        scheduler=scheduler,
        shard=None if shard is None else parse_shard(shard),
        threshold=threshold,
        channels=tuple(channel or ()),
        planes=tuple(plane or ()),
        invert=invert,
        pictures=tuple(dict.fromkeys(word.strip() for word in pictures.split(","))) if pictures else (),
        at=None if at is None else parse_pixel(at),
        maps_dtype=maps_dtype.value,
        recursive=recursive,
        overwrite=overwrite,
        method=method,
        parameters=parse_parameters(parameters or ()),
    )
    inputs = list(images or ())
    if from_ is not None:
        from cellmonai.workflows.inferring.repeat import repeated_run

        inputs, settings = repeated_run(from_, inputs, settings)
    elif not inputs:
        raise UsageError("no image is named", where="infer", cure="name files, folders or globs, as cells.tif images/")
    return_freed_memory()
    result = infer_images(inputs, settings=settings, reporter=make_reporter(quiet=quiet))
    _render(result, as_json=json, quiet=quiet)
    _fail_when_partial(result)


def _render(result: InferResult, *, as_json: bool, quiet: bool) -> None:
    from cellmonai.cli.console import print_json, print_line, print_next, quoted
    from cellmonai.core.text import printable
    from cellmonai.core.units import readable_seconds

    if as_json:
        print_json(result.as_json())
        return
    mpx = sum(image.job.pixels for image in result.images) / 1e6
    count = len(result.images)
    print_line(
        f"{count} mask{'s' * (count != 1)} in {printable(str(result.output))} "
        f"({mpx:.3g} Mpx in {readable_seconds(result.seconds)})"
    )
    if not quiet:
        print_next(f"cellmonai count {quoted(result.output)}")


def _fail_when_partial(result: InferResult) -> None:
    from cellmonai.core.errors import PartialFailureError

    if result.failures:
        reason = next(iter(result.failures.values()))
        failed = len(result.failures)
        everything = failed + len({image.job.path for image in result.images})
        raise PartialFailureError(
            f"{failed} of {everything} images failed, the others are done; the first: {reason.rstrip('.')}",
            cure=f"all are listed in {result.record}",
        )
