"""The files about one plane: its label image, pictures, and what `--save` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.images.write import write_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.image_rows import ImageRows
    from cellmonai.images.rows import Rows
    from cellmonai.measure.objects import ObjectTable
    from cellmonai.report.counts import ImageCount
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import PlaneJob


def planned_outputs(plan: CountPlan) -> list[str]:
    """Give all files about single planes and volumes that counting them writes."""
    in_volumes = {plane.rank for volume in plan.volumes for plane in volume.planes}
    names = [label_name(volume.stem) for volume in plan.volumes]
    for job, _ in plan.planes:
        names += output_names(job, plan.settings, with_labels=job.rank not in in_volumes)
    return names


def label_name(stem: str) -> str:
    """Give the name of the label image of a plane or a volume."""
    return f"{stem}_labels.tif"


def output_names(job: PlaneJob, settings: CountSettings, *, with_labels: bool = True) -> tuple[str, ...]:
    """Give the files that counting this plane writes, the label image first; those of volumes share one label image."""
    names = [label_name(job.stem)] if with_labels else []
    if settings.pictures != "none" and job.image_plane is not None:
        names.append(f"{job.stem}_overlay.png")
    if "geojson" in settings.save:
        names.append(f"{job.stem}.geojson")
    if "rois" in settings.save:
        names.append(f"{job.stem}_rois.zip")
    return tuple(names)


def write_files(
    job: PlaneJob,
    labels: Rows,
    count: int | None,
    table: ObjectTable,
    flags: Mapping[str, NDArray[np.bool_]],
    image: ImageRows | None,
    settings: CountSettings,
    reporter: Reporter,
) -> None:
    """Write them all; `count` is the greatest label, None where no label image is to be written.

    Raises
    ------
    OutputError
        A file exists or cannot be written.
    """
    folder, overwrite = settings.output, settings.overwrite
    for name in output_names(job, settings, with_labels=count is not None):
        path = folder / name
        if name.endswith("_labels.tif"):
            write_labels(path, labels, count=count, pixel_size_um=job.pixel_size_um, overwrite=overwrite)
        elif name.endswith("_overlay.png") and image is not None:
            _write_overlay(name, image, labels, settings, reporter)
        elif name.endswith(".geojson"):
            from cellmonai.report.exports.geojson import write_geojson

            write_geojson(path, labels, table, flags=flags, name=job.stem, overwrite=overwrite)
        elif name.endswith("_rois.zip"):
            from cellmonai.report.exports.rois import write_rois

            write_rois(path, labels, table, overwrite=overwrite)


def report_picture(
    job: PlaneJob, row: ImageCount, labels: Rows, image: ImageRows | None, settings: CountSettings
) -> NDArray[np.uint8] | None:
    """Draw the small picture for the report, None where there is no report or it surely shows others."""
    if not settings.report:
        return None
    from cellmonai.report.html.thumbnails import MOST_PICTURES, thumbnail
    from cellmonai.report.words import needs_a_look

    return thumbnail(image, labels) if job.rank < MOST_PICTURES or needs_a_look(row) else None


def _write_overlay(name: str, image: ImageRows, labels: Rows, settings: CountSettings, reporter: Reporter) -> None:
    from cellmonai.images.write import write_png
    from cellmonai.report.html.thumbnails import thumbnail
    from cellmonai.report.pictures import MAX_SIDE_PX, overlay

    rows, columns = labels.shape
    if max(rows, columns) > MAX_SIDE_PX:  # too large to be drawn in memory, or to be looked at
        reporter.note(f"{name}: drawn smaller, {MAX_SIDE_PX} px at the longer side")
        picture = thumbnail(image, labels, max_side_px=MAX_SIDE_PX)
    else:
        picture = overlay(image.rows(0, rows), labels.rows(0, rows))
    write_png(settings.output / name, picture, overwrite=settings.overwrite)
