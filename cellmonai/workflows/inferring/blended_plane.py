"""What a plane of overlapping windows has of its own: how it is cut, put together and measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cellmonai.inference.blended_blocks import AnyBlocks, BlendedBlocks, blended_between
from cellmonai.inference.blended_seams import measure_seams
from cellmonai.workflows.inferring.background import is_background

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.inference.canvas import Averaged
    from cellmonai.inference.seam_proof import Again, SeamProof, Written
    from cellmonai.workflows.inferring.plane import BlockFinding
    from cellmonai.workflows.inferring.settings import InferSettings


def stitch_facts(blocks: BlendedBlocks) -> dict[str, Any]:
    """Give what the journal says of how a plane is cut."""
    return {
        "stitch": blocks.grid.stitch,
        "window": list(blocks.grid.side),
        "cuts": [list(ends) for ends in blocks.cuts],
    }


def as_begun(begun: Mapping[str, Any], blocks: BlendedBlocks, *, divisor: int, overwrite: bool) -> BlendedBlocks:
    """Cut as the unfinished run did, with the windows that it had, as far as it can be continued.

    A run of another stitch is not, which the store tells with the difference; nor is one of other windows where
    `overwrite` lets it give way.
    """
    grid = blocks.grid
    if begun.get("stitch") != grid.stitch:
        return blocks
    try:
        rows, columns = (tuple(int(end) for end in ends) for ends in begun["cuts"])
        height, width = (int(length) for length in begun["window"])
        found = blended_between((rows, columns), grid.shape, stitch=grid.stitch, side=(height, width), divisor=divisor)
    except (KeyError, TypeError, ValueError):  # of another image or model, which the store tells with the difference
        return blocks
    if found.grid == grid:
        return replace(found, kept=blocks.kept)
    return blocks if overwrite else found  # nothing is kept: what may be was reckoned for the windows of now


def begun_window(planned: AnyBlocks, taken: AnyBlocks) -> tuple[int, int] | None:
    """Give the (Y, X) of windows that an unfinished run had and that were kept, where others were planned, in px."""
    if isinstance(planned, BlendedBlocks) and isinstance(taken, BlendedBlocks) and planned.grid != taken.grid:
        return taken.grid.side
    return None


def measured(finding: BlockFinding, blocks: BlendedBlocks, written: Written, again: Again) -> SeamProof:
    """Run windows between those of the grid, and tell how far they differ from what was written."""
    return measure_seams(
        blocks.grid,
        written,
        again,
        foreground_map=finding.runner.names.index("foreground"),
        threshold=finding.model.point.threshold,
        is_background=is_background if finding.settings.skip_background else None,
    )


def averaged(settings: InferSettings) -> Averaged:
    """Say what is averaged where windows overlap.

    Views and passes of dropout are averaged as probabilities within each window, and their spread is none of a logit:
    averaging logits of averages would let one window that is certain outvote the others again.
    """
    return "probabilities" if settings.tta != "none" or settings.mc_dropout else "logits"
