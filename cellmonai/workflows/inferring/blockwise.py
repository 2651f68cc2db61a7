"""Planes of any size, block by block, with windows that equal one pass over the whole plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.core.files import sha256_of
from cellmonai.core.units import readable_bytes
from cellmonai.images.block_files import remove
from cellmonai.images.budget import available_memory
from cellmonai.images.source import CHANGED
from cellmonai.inference.blocks import WindowLimits, make_blocks
from cellmonai.inference.overlapped import WINDOWS_AHEAD
from cellmonai.inference.windows import smallest_window
from cellmonai.workflows.inferring.failures import amount, nothing_worked
from cellmonai.workflows.inferring.hands import Hands, OwnHands
from cellmonai.workflows.inferring.int8 import calibration_on
from cellmonai.workflows.inferring.jobs import IMAGE_FAILURES, ImageJob, Survey
from cellmonai.workflows.inferring.plane import BlockFinding, has_blocks, infer_plane, work_folder
from cellmonai.workflows.inferring.runners import make_runner

if TYPE_CHECKING:
    from collections.abc import Callable

    from cellmonai.core.progress import Reporter
    from cellmonai.inference.blended_blocks import AnyBlocks
    from cellmonai.inference.openvino_runner import Calibrate
    from cellmonai.inference.plan import Stitch
    from cellmonai.inference.runner import Runner
    from cellmonai.workflows.inferring.hands import Hands
    from cellmonai.workflows.inferring.image import ImageDone
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.settings import InferSettings

_MOST_UNASKED = 4 << 30
"""Memory that is taken without being asked for, bytes: larger windows hardly read fewer pixels twice."""

FIXED_BYTES = 64 << 20
"""What does not depend on the windows: decoded tiles, compression, the journal."""

_LONGEST_CORE_PX = {"openvino": 2048, "cpu": 1024, "mps": 2048, "cuda": 4096}
"""Of an engine or, for torch, of a device: on a CPU its larger windows leave the cache, and take 15 % longer."""

WINDOWS_READ = 2
"""Windows whose pixels are held: one in work, one that is read ahead."""

BLOCKS_KEPT = 3
"""Blocks that are held: its logits, its maps, and the one before that is being written."""


class BlockByBlock:
    """A network over planes that need not fit in memory; what runs it is made ready by `prepare`."""

    stitch: Stitch = "exact"

    def __init__(self, model: ChosenModel, settings: InferSettings) -> None:
        self._chosen, self._settings = model, settings
        self._finding: BlockFinding | None = None
        self._hands: Hands | None = None
        self._blocks: dict[ImageJob, AnyBlocks] = {}
        unasked = min(available_memory() // 2 // (settings.workers or 1), _MOST_UNASKED)
        self._budget = unasked if settings.memory is None else settings.memory

    def prepare(self, seen: Survey, reporter: Reporter) -> list[ImageJob]:
        """Make the network ready, cut every plane before the first is done, and say what it will take."""
        digest = sha256_of(self._chosen.path)
        calibrate = calibration_on(seen.jobs, self._chosen, self._settings, reporter, budget=self._budget)
        self._hands = _hands(self._chosen, digest, self._settings, reporter, calibrate)
        runner = self._hands.runner
        self._finding = BlockFinding(self._hands, self._chosen, digest, self._settings)
        for job in seen.jobs:
            if str(job.path) not in seen.failures:
                try:
                    self._blocks[job] = self._cut(job, runner)
                except IMAGE_FAILURES as error:
                    seen.failures[str(job.path)] = type(error)(error.what, where=str(job.path), cure=error.cure)
        self._blocks = {job: blocks for job, blocks in self._blocks.items() if str(job.path) not in seen.failures}
        if not self._blocks:
            raise nothing_worked(seen.failures)
        self._tell(runner, reporter)
        self._warn(reporter)
        return list(self._blocks)

    def find(self, job: ImageJob, advance: Callable[[float], None]) -> ImageDone:
        """Do one plane and write its files, or go on where a killed run was."""
        assert self._finding is not None
        try:
            return infer_plane(job, self._finding, self._blocks[job], advance)
        except IMAGE_FAILURES as error:
            work = work_folder(job, self._settings)
            keep = has_blocks(work) and error.code != CHANGED  # the same file may be read another time, and go on
            if work.is_dir() and not keep:
                remove(work)
            raise

    @property
    def planes_at_once(self) -> int:
        """How many planes are done side by side."""
        return 1 if self._hands is None else self._hands.planes_at_once

    def close(self) -> None:
        """Let go of workers."""
        if self._hands is not None:
            self._hands.close()

    def facts(self) -> dict[str, Any]:
        """Give device, engine, precision, stitch and threads, and the memory that was said to be needed."""
        assert self._finding is not None
        return {
            **self._finding.runner.facts(),
            **self._finding.hands.facts(),
            "stitch": self.stitch,
            "memory": {"budget_bytes": self._budget, "needed_bytes": self._needed(self._finding.runner)},
        }

    def _cut(self, job: ImageJob, runner: Runner) -> AnyBlocks:
        per_px = _bytes_per_px(job, runner)
        most_px = int((self._budget - FIXED_BYTES - runner.fixed_bytes) / per_px)
        if runner.device_budget is not None and runner.device_bytes_per_px > 0:
            most_px = min(most_px, int(runner.device_budget / runner.device_bytes_per_px))
        card = self._chosen.card
        limits = WindowLimits(
            radius_px=card.radius_px,
            divisor=card.divisor,
            most_px=most_px,
            longest=self._settings.window,
            longest_core=_LONGEST_CORE_PX[_what_runs(runner)],
            cut=self._settings.sliding_window,
        )
        try:
            return make_blocks((job.shape[1], job.shape[2]), limits)
        except MemoryBudgetError as error:
            least = (
                FIXED_BYTES + runner.fixed_bytes + round(per_px * smallest_window(card.radius_px, card.divisor) ** 2)
            )
            what = f"needs {readable_bytes(least)} of memory at least, and the memory budget is "
            raise MemoryBudgetError(what + readable_bytes(self._budget), cure=error.cure) from error

    def _needed(self, runner: Runner) -> int:
        """Give the memory beside the program itself that the largest window of all takes, bytes."""
        largest = max(self._bytes(job, blocks, runner) for job, blocks in self._blocks.items())
        return FIXED_BYTES + runner.fixed_bytes + largest

    def _bytes(self, job: ImageJob, blocks: AnyBlocks, runner: Runner) -> int:
        return round(blocks.largest[0] * blocks.largest[1] * _bytes_per_px(job, runner))

    def _warn(self, reporter: Reporter) -> None:
        """Warn of what the stitch means, before the first image is done: exact windows mean nothing."""

    def _tell(self, runner: Runner, reporter: Reporter) -> None:
        facts = runner.facts()
        reporter.note(
            f"running on {facts['device']} ({facts['device_reason']}) with {facts['engine']} in {facts['precision']}"
        )
        windows = sum(blocks.windows for blocks in self._blocks.values())
        rows, columns = max((blocks.largest for blocks in self._blocks.values()), key=lambda side: side[0] * side[1])
        reporter.note(
            f"{amount(len(self._blocks), 'image')}, {sum(job.pixels for job in self._blocks) / 1e6:.3g} Mpx, in "
            f"{amount(windows, 'window')} of up to {columns} x {rows} px ({self.stitch}); "
            f"at most {readable_bytes(self._needed(runner))} of memory beside the program itself"
        )


def _hands(
    model: ChosenModel, digest: str, settings: InferSettings, reporter: Reporter, calibrate: Calibrate | None
) -> Hands:
    """Give who does the blocks."""
    if settings.workers is None and settings.scheduler is None:
        return OwnHands(make_runner(model, digest, settings, reporter, calibrate), model, settings)
    if settings.precision == "int8":  # calibrated here, where the images are known; workers find it in the same cache
        make_runner(model, digest, settings, reporter, calibrate)
    from cellmonai.workflows.inferring.cluster import ClusterHands  # Dask is an extra

    return ClusterHands.begin(model, digest, settings, reporter)


def _what_runs(runner: Runner) -> str:
    return "openvino" if runner.engine.name == "openvino" else runner.device.partition(":")[0]


def _bytes_per_px(job: ImageJob, runner: Runner) -> float:
    """Give what a px of a window takes: in the network, read twice over, and as maps until they are written."""
    read = len(job.channels) * job.itemsize + 4 * job.shape[0]
    written = 4 * len(runner.names) + 2
    waiting = 0 if runner.queue is None else 2 * WINDOWS_AHEAD  # pinned, in blocks of a power of two bytes
    return runner.window_bytes_per_px + (WINDOWS_READ + waiting) * read + (BLOCKS_KEPT + waiting) * written
