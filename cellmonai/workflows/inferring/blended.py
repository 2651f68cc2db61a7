"""Planes of any size, block by block, with windows that overlap: averaged, or the lowest kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.inference.blended_blocks import BlendedBlocks, BlockCosts, make_blended_blocks
from cellmonai.inference.plan import LONGEST_CORE_PX, Rules
from cellmonai.workflows.inferring.blockwise import BLOCKS_KEPT, FIXED_BYTES, WINDOWS_READ, BlockByBlock
from cellmonai.workflows.inferring.seam_words import blended_warning

if TYPE_CHECKING:
    from cellmonai.core.progress import Reporter
    from cellmonai.inference.blocks import Blocks
    from cellmonai.inference.plan import Stitch
    from cellmonai.inference.runner import Runner
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings


class BlendedByBlock(BlockByBlock):
    """A network whose windows overlap, over planes that need not fit in memory."""

    def __init__(self, model: ChosenModel, settings: InferSettings) -> None:
        super().__init__(model, settings)
        self.stitch: Stitch = "gaussian" if settings.stitch == "auto" else settings.stitch

    def _cut(self, job: ImageJob, runner: Runner) -> BlendedBlocks:
        card = self._chosen.card
        rules = Rules(
            radius_px=card.radius_px,
            divisor=card.divisor,
            tile_exact=card.tile_exact,
            stitch=self.stitch,
            window=self._settings.window,
            longest_core=LONGEST_CORE_PX[runner.device.partition(":")[0]],
            cut=self._settings.sliding_window,
        )
        return make_blended_blocks((job.shape[1], job.shape[2]), rules, self._costs(job, runner))

    def _bytes(self, job: ImageJob, blocks: Blocks | BlendedBlocks, runner: Runner) -> int:
        assert isinstance(blocks, BlendedBlocks)
        return self._costs(job, runner).of(blocks)

    def _costs(self, job: ImageJob, runner: Runner) -> BlockCosts:
        maps = len(runner.names)
        read = len(job.channels) * job.itemsize + 4 * job.shape[0]
        own_px = float("inf")
        if runner.device_budget is not None and runner.device_bytes_per_px > 0:
            own_px = runner.device_budget / runner.device_bytes_per_px
        return BlockCosts(
            # beside what the network takes: pixels, twice over, its result and what is weighted of it, the weights
            window=runner.window_bytes_per_px + WINDOWS_READ * read + 4 * (2 * maps + 1),
            block=BLOCKS_KEPT * (4 * maps + 2) + 4,  # sums and maps as for exact windows, and the sum of weights
            kept=4 * maps,
            budget=self._budget - FIXED_BYTES - runner.fixed_bytes,
            most_window_px=own_px,
        )

    def _warn(self, reporter: Reporter) -> None:
        if any(blocks.windows > 1 for blocks in self._blocks.values()):
            reporter.warn("blended", blended_warning(self.stitch, tile_exact=self._chosen.card.tile_exact))
