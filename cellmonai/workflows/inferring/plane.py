"""One plane block by block: read, scale, predict, threshold, write; a killed run goes on at the block it was in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import OutputError
from cellmonai.core.journal import read_journal
from cellmonai.images.block_files import JOURNAL, MAPS
from cellmonai.images.block_store import PlaneStore, is_unfinished
from cellmonai.images.maps import open_maps
from cellmonai.images.normalise import Scaling
from cellmonai.images.write import write_png
from cellmonai.inference.blended_blocks import AnyBlocks, BlendedBlocks
from cellmonai.inference.blocks import blocks_between
from cellmonai.inference.seam_proof import Again, Written, prove_seams
from cellmonai.workflows.inferring import blended_plane
from cellmonai.workflows.inferring.image import ImageDone
from cellmonai.workflows.inferring.plane_reader import PlaneReader, open_plane
from cellmonai.workflows.inferring.small_pictures import draw_small

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.inference.runner import Runner
    from cellmonai.inference.seam_proof import SeamProof
    from cellmonai.inference.streaming import Streamed
    from cellmonai.inference.windows import Box
    from cellmonai.workflows.inferring.hands import Hands
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings

_STEP = {"float16": 2.0**-11, "uint8": 1 / 255}


@dataclass(frozen=True, slots=True)
class BlockFinding:
    """What every plane of a run is done with; `model_sha256` is the digest of the model's file."""

    hands: Hands
    model: ChosenModel
    model_sha256: str
    settings: InferSettings

    @property
    def runner(self) -> Runner:
        """The network, made ready."""
        return self.hands.runner


def infer_plane(job: ImageJob, finding: BlockFinding, blocks: AnyBlocks, advance: Callable[[float], None]) -> ImageDone:
    """Do one plane and write its files, or go on with what a killed run left of it.

    The folder in which it was in work stays: it goes when the run has noted that the plane is finished.

    Parameters
    ----------
    blocks : how it is cut where nothing was begun; a plane that was begun keeps its cuts
    advance : told the px that were settled; may raise to stop, and what is done stays

    Raises
    ------
    InputError
        Its pixels cannot be read, or are colour where the model takes grey.
    OutputError
        A file cannot be written, or an unfinished run lies there that was of something else.
    """
    started = time.monotonic()
    settings = finding.settings
    work = work_folder(job, settings)
    with open_plane(job, finding.model.wants, settings) as plane:
        begun = _begun(work)
        digest = finding.hands.digest(plane, job, advance)
        scaling = _scaling(begun, digest) or finding.hands.scaling(plane, job, advance)
        planned, blocks = blocks, _as_begun(begun, blocks, job, finding)
        header = _header(job, finding, digest, scaling, blocks)
        with PlaneStore.open_or_create(
            work,
            shape=(job.shape[1], job.shape[2]),
            names=finding.runner.names,
            maps_dtype=settings.maps_dtype,
            pixel_size_um=job.pixel_size_um,
            header=header,
            overwrite=settings.overwrite,
        ) as store:
            resumed, damaged = len(store.done), len(store.damaged)
            counts = _do_rest(plane, job, store, finding, blocks, scaling, advance)
            told, found = _told(plane, store, job, finding, blocks, scaling), store.foreground_px
            plane.source.require_unchanged()
            store.give_names(settings.output / job.mask, settings.output / job.maps, overwrite=settings.overwrite)
    return ImageDone(
        job,
        blocks.windows,
        time.monotonic() - started,
        found,
        digest,
        (job.mask, job.maps, *told["pictures"]),
        skipped=counts.skipped,
        repeated=counts.repeated,
        resumed_blocks=resumed,
        damaged_blocks=damaged,
        seams=told["seams"],
        scaling=scaling.as_json(),
        begun_window=blended_plane.begun_window(planned, blocks),
    )


def work_folder(job: ImageJob, settings: InferSettings) -> Path:
    """Give the hidden folder beside the results in which a plane lies while it is in work."""
    return settings.output / job.work


def has_blocks(work: Path) -> bool:
    """Tell whether an unfinished run left blocks that another run can go on with."""
    try:
        return is_unfinished(work) and bool(read_journal(work / JOURNAL).entries)
    except OutputError:  # damaged
        return False


def _begun(work: Path) -> Mapping[str, Any] | None:
    """Give what the journal of an unfinished run says it was, None where there is none or it says nothing."""
    if not is_unfinished(work):
        return None
    run = read_journal(work / JOURNAL).header.get("run")
    return run if isinstance(run, dict) else None


def _scaling(begun: Mapping[str, Any] | None, digest: str) -> Scaling | None:
    """Give how the very same image was scaled when the run began."""
    if begun is None or begun.get("image") != digest or not isinstance(begun.get("scaling"), dict):
        return None
    stored = begun["scaling"]
    try:
        offset, scale = (tuple(float(value) for value in stored[name]) for name in ("offset", "scale"))
        return Scaling(offset, scale, bool(stored["clip"]))
    except (KeyError, TypeError, ValueError, OverflowError):  # which the store tells as a difference
        return None


def _as_begun(begun: Mapping[str, Any] | None, blocks: AnyBlocks, job: ImageJob, finding: BlockFinding) -> AnyBlocks:
    """Cut as the unfinished run did, since another memory or machine would cut otherwise and give other last bits."""
    if begun is None:
        return blocks
    card = finding.model.card
    if isinstance(blocks, BlendedBlocks):
        return blended_plane.as_begun(begun, blocks, divisor=card.divisor, overwrite=finding.settings.overwrite)
    try:
        rows, columns = (tuple(int(end) for end in ends) for ends in begun["cuts"])
        return blocks_between(
            (rows, columns), (job.shape[1], job.shape[2]), radius_px=card.radius_px, divisor=card.divisor
        )
    except (KeyError, TypeError, ValueError):  # of another image or model, which the store tells with the difference
        return blocks


def _header(job: ImageJob, finding: BlockFinding, digest: str, scaling: Scaling, blocks: AnyBlocks) -> dict[str, Any]:
    settings, facts = finding.settings, finding.runner.facts()
    calibration = finding.runner.calibration
    return {
        "image": digest,
        "plane": job.plane,
        "channels": list(job.channels),
        "model": finding.model_sha256,
        "engine": facts["engine"],
        "precision": facts["precision"],
        "device": facts["device"],
        "threads": facts["threads"],
        **({"int8_network": calibration["network_sha256"]} if calibration else {}),
        "threshold": finding.model.point.threshold,
        "invert": settings.invert,
        "tta": settings.tta,
        "mc_dropout": settings.mc_dropout,
        "level": settings.level,
        "um_per_px": settings.um_per_px,
        "skip_background": settings.skip_background,
        "scaling": scaling.as_json(),
        **_stitch_facts(blocks),
        "cellmonai": version("cellmonai"),
    }


def _stitch_facts(blocks: AnyBlocks) -> dict[str, Any]:
    if isinstance(blocks, BlendedBlocks):
        return blended_plane.stitch_facts(blocks)
    return {"stitch": "exact", "cuts": [list(ends) for ends in blocks.cuts]}


def _do_rest(
    plane: PlaneReader,
    job: ImageJob,
    store: PlaneStore,
    finding: BlockFinding,
    blocks: AnyBlocks,
    scaling: Scaling,
    advance: Callable[[float], None],
) -> Streamed:
    for row0, column0, row1, column1 in store.done:
        advance((row1 - row0) * (column1 - column0))
    return finding.hands.do(plane, job, store, blocks, scaling, advance)


def _told(
    plane: PlaneReader, store: PlaneStore, job: ImageJob, finding: BlockFinding, blocks: AnyBlocks, scaling: Scaling
) -> Mapping[str, Any]:
    """Give what is known of the plane as a whole: found now, or by a run that was killed after it had journaled it."""
    pictures = job.pictures(finding.settings.pictures)
    if store.told is not None and (store.told["pictures"] == pictures or store.is_named):
        return store.told
    store.commit()
    proof = _proof(plane, store, finding, blocks, scaling)
    _draw(plane, store, job, finding.settings)
    told = {"seams": proof.as_json(), "pictures": pictures}
    store.tell(told)
    return told


def _proof(
    plane: PlaneReader, store: PlaneStore, finding: BlockFinding, blocks: AnyBlocks, scaling: Scaling
) -> SeamProof:
    card, runner = finding.model.card, finding.runner
    stored, mask = open_maps(store.folder / MAPS), store.mask_rows()

    def maps_of(box: Box) -> NDArray[np.float32]:
        rows, columns = box.slices
        return np.asarray(stored.array[:, rows, columns]).astype(np.float32) / np.float32(stored.one_is)

    written = Written(
        maps=maps_of,
        mask=lambda box: mask.rows(box.row0, box.row1)[:, box.col0 : box.col1],
        step=_STEP[finding.settings.maps_dtype],
    )
    again = Again(
        runner.run,
        lambda box: plane.scaled(box, scaling),
        runner.activation,
        card.radius_px,
        card.divisor,
    )
    if isinstance(blocks, BlendedBlocks):
        return blended_plane.measured(finding, blocks, written, again)
    return prove_seams(
        blocks,
        written,
        again,
        precision=runner.engine.precision,
        foreground_map=runner.names.index("foreground"),
        threshold=finding.model.point.threshold,
        with_gaps=finding.settings.skip_background,
    )


def _draw(plane: PlaneReader, store: PlaneStore, job: ImageJob, settings: InferSettings) -> None:
    """Draw pictures; those of the same names are of this plane, from a run that was killed since."""
    for kind, name in zip(settings.pictures, job.pictures(settings.pictures), strict=True):
        drawn = draw_small(kind, plane, job, store.mask_rows(), store.folder / MAPS)
        write_png(settings.output / name, drawn, overwrite=True)
