"""Who does the blocks of a plane: this process, or the workers of a cluster (`cluster`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cellmonai.images.block_encode import encode_block, encode_skipped
from cellmonai.inference.blended_blocks import BlendedBlocks
from cellmonai.inference.blended_streaming import BlendedStreaming
from cellmonai.inference.overlapped import OverlappedStreaming
from cellmonai.inference.streaming import Streaming
from cellmonai.inference.windows import Box
from cellmonai.instances.find import foreground
from cellmonai.workflows.inferring.background import is_background
from cellmonai.workflows.inferring.blended_plane import averaged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.images.block_encode import EncodedBlock
    from cellmonai.images.block_records import PlaneFacts
    from cellmonai.images.block_store import PlaneStore
    from cellmonai.images.normalise import Scaling
    from cellmonai.inference.blended_blocks import AnyBlocks
    from cellmonai.inference.runner import Runner
    from cellmonai.inference.stitch import AfterWindow, Read
    from cellmonai.inference.streaming import Streamed, WriteBlock
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.plane_reader import PlaneReader
    from cellmonai.workflows.inferring.settings import InferSettings


class Hands(Protocol):
    """What does the work of a plane that takes time; `plane` decides, keeps and checks.

    `advance` is told the px that were settled, and may raise to stop.
    """

    @property
    def runner(self) -> Runner:
        """The network, made ready; its windows can be run from here."""
        ...

    @property
    def planes_at_once(self) -> int:
        """How many planes are done side by side."""
        ...

    def digest(self, plane: PlaneReader, job: ImageJob, advance: Callable[[float], None]) -> str:
        """Give the digest of the image's file."""
        ...

    def scaling(self, plane: PlaneReader, job: ImageJob, advance: Callable[[float], None]) -> Scaling:
        """Find how intensities are scaled, from all pixels of the plane."""
        ...

    def do(
        self,
        plane: PlaneReader,
        job: ImageJob,
        store: PlaneStore,
        blocks: AnyBlocks,
        scaling: Scaling,
        advance: Callable[[float], None],
    ) -> Streamed:
        """Do every block that the store does not hold yet, and tell the px that were settled."""
        ...

    def facts(self) -> dict[str, Any]:
        """Give what a run record says of who worked, beside the facts of the runner."""
        ...

    def close(self) -> None:
        """Let go of what was begun for this run."""
        ...


@dataclass(frozen=True, slots=True)
class OwnHands:
    """The process itself, with pixels read ahead in one thread and results written in another."""

    runner: Runner
    model: ChosenModel
    settings: InferSettings
    planes_at_once: int = 1

    def digest(self, plane: PlaneReader, job: ImageJob, advance: Callable[[float], None]) -> str:
        """Give the digest of the image's file."""
        return plane.source.fingerprint

    def scaling(self, plane: PlaneReader, job: ImageJob, advance: Callable[[float], None]) -> Scaling:
        """Find how intensities are scaled, from all pixels of the plane."""
        return plane.scaling(self.model.card.normalisation)

    def do(
        self,
        plane: PlaneReader,
        job: ImageJob,
        store: PlaneStore,
        blocks: AnyBlocks,
        scaling: Scaling,
        advance: Callable[[float], None],
    ) -> Streamed:
        """Do every block that the store does not hold yet, and tell the px that were settled."""
        encoded = encoding(store.plane, self.runner, self.model)

        def write(box: Box, maps: NDArray[np.float32] | None) -> None:
            store.put(encoded(box, maps))

        done = {Box(*region) for region in store.done}
        read = reading(plane, scaling)
        return stream_blocks(blocks, self.runner, read, write, self.settings, done=done, after_window=advance)

    def facts(self) -> dict[str, Any]:
        """Give nothing: the facts of the runner say it all."""
        return {}

    def close(self) -> None:
        """Let go of nothing."""


def encoding(
    facts: PlaneFacts, runner: Runner, model: ChosenModel
) -> Callable[[Box, NDArray[np.float32] | None], EncodedBlock]:
    """Give what makes the files of a block from its maps (K, h, w), or from None where it was skipped."""
    inside, level, encoder = runner.names.index("foreground"), model.point.threshold, facts.encoder()

    def encoded(box: Box, maps: NDArray[np.float32] | None) -> EncodedBlock:
        region = (box.row0, box.col0, box.row1, box.col1)
        if maps is None:
            return encode_skipped(encoder, region)
        return encode_block(encoder, region, maps, foreground(maps[inside], level))

    return encoded


def reading(plane: PlaneReader, scaling: Scaling) -> Read:
    """Give what reads a box of a plane as the network sees it."""
    return lambda box: plane.scaled(box, scaling)


def stream_blocks(
    blocks: AnyBlocks,
    runner: Runner,
    read: Read,
    write: WriteBlock,
    settings: InferSettings,
    *,
    done: Collection[Box] = (),
    after_window: AfterWindow,
) -> Streamed:
    """Run blocks of a plane, wherever that is; see `Streaming.over` and `BlendedStreaming.over`."""
    background = is_background if settings.skip_background else None
    if isinstance(blocks, BlendedBlocks):
        blended = BlendedStreaming(
            runner.run,
            read,
            write,
            runner.activation,
            background,
            runner.by_place,
            averaged=averaged(settings),
            foreground=runner.names.index("foreground"),
        )
        return blended.over(blocks, done=done, after_window=after_window)
    if runner.queue is not None:
        overlapped = OverlappedStreaming(
            runner.queue, read, write, runner.activation, background, maps=len(runner.names)
        )
        return overlapped.over(blocks, done=done, after_window=after_window)
    streaming = Streaming(runner.run, read, write, runner.activation, background, runner.by_place)
    return streaming.over(blocks, done=done, after_window=after_window)
