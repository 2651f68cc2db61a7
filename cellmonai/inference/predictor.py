"""A network over an image of any size."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from cellmonai.images.budget import available_memory
from cellmonai.inference.budget import device_budget, gradient_costs, window_costs
from cellmonai.inference.devices import choose_device, choose_precision
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.minimum import stitch_minimum
from cellmonai.inference.plan import LONGEST_CORE_PX, Costs, Plan, Rules, Stitch, make_plan, require_extra_window
from cellmonai.inference.stitch import stitch_blended, stitch_exact
from cellmonai.inference.tiling import Tiling
from cellmonai.inference.windows import Blending

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from cellmonai.inference.devices import Precision
    from cellmonai.inference.stitch import AfterWindow
    from cellmonai.inference.windows import Box
    from cellmonai.models.file import Activation


class Predictor:
    """Gives the probability maps of a network over whole images, by windows where they are large.

    Parameters
    ----------
    net : normalised (1, C, Y, X) to logits (1, K, Y, X); copied, so later changes of it do not matter here
    radius_px, divisor, tile_exact : facts of the network (`nets.catalogue.describe`)
    activation : how logits become probabilities, see `activation.probabilities`
    device : `auto`, `cpu`, `cuda`, `cuda:1` or `mps`
    precision : `auto`, `f32`, `bf16` or `f16`
    window : the longest side of a window in px; `auto` is the largest that fits the memory, with a core of up to
        1,024 px (2,048 on CUDA), and for the stitch `minimum` 400 px
    stitch : `exact`, `gaussian`, `constant`, `minimum`; `auto` is exact where the network is `tile_exact`, else
        gaussian
    memory : budget in bytes for image, maps and window; None is half of what is available at the first plan
    cut : use windows so small that the longer side of an image is cut at least once

    Raises
    ------
    UsageError
        The device or precision is not there.

    Notes
    -----
    With the `exact` stitch the maps are those of one pass over the whole padded image, to about 1e-5 in f32. Tiles of
    the `minimum` stitch lie where the published system has them, not at multiples of the divisor, so that even far
    from their edges they differ from that pass.
    """

    def __init__(  # noqa: PLR0913 - facts of the network and wishes of the user, each by its name
        self,
        net: nn.Module,
        *,
        radius_px: int,
        divisor: int,
        tile_exact: bool,
        activation: Activation = "sigmoid",
        device: str = "auto",
        precision: str = "auto",
        window: int | Literal["auto"] = "auto",
        stitch: Literal["auto"] | Stitch = "auto",
        memory: int | None = None,
        cut: bool = False,
    ) -> None:
        self.device = choose_device(device)
        chosen = choose_precision(precision, self.device)
        self.engine = self._engine(net, chosen)
        self.activation: Activation = activation
        self.memory = memory
        self.rules = Rules(
            radius_px=radius_px,
            divisor=divisor,
            tile_exact=tile_exact,
            stitch=("exact" if tile_exact else "gaussian") if stitch == "auto" else stitch,
            window=None if window == "auto" else window,
            longest_core=LONGEST_CORE_PX[self.device.kind],
            cut=cut,
        )

    @classmethod
    def for_training(
        cls,
        net: nn.Module,
        *,
        radius_px: int,
        divisor: int,
        tile_exact: bool,
        activation: Activation = "sigmoid",
        precision: str = "f32",
        window: int | Literal["auto"] = "auto",
        stitch: Literal["auto"] | Stitch = "auto",
    ) -> Predictor:
        """Make a predictor of a network that goes on learning between calls.

        The network itself runs, where it is and as it is at the moment of the call, in evaluation mode; its modes are
        put back after every window. Results differ from those of a finished network in the last bits only.
        """
        where = next(net.parameters()).device
        return _LivePredictor(
            net,
            radius_px=radius_px,
            divisor=divisor,
            tile_exact=tile_exact,
            activation=activation,
            # torch numbers every device, "mps:0" too, and only CUDA devices are told apart by number
            device=str(where) if where.type == "cuda" else where.type,
            precision=precision,
            window=window,
            stitch=stitch,
        )

    def _engine(self, net: nn.Module, precision: Precision) -> TorchEngine:
        return TorchEngine.prepared(net, device=self.device, precision=precision)

    @property
    def stitch(self) -> str:
        """The stitch in use: `exact`, `gaussian`, `constant` or `minimum`."""
        return self.rules.stitch

    def plan(self, shape: tuple[int, int, int], *, held_bytes: int = 0) -> Plan:
        """Decide windows and memory for an image (C, Y, X) from its shape alone; see `plan.make_plan`."""
        return make_plan(shape, self.rules, self._costs(shape[0]), held_bytes=held_bytes)

    def require_extra_window(
        self, plan: Plan, shape: tuple[int, int, int], window: tuple[int, int], *, name: str, with_gradient: bool
    ) -> None:
        """Refuse a window (Y, X) px that does not fit beside an image (C, Y, X); see `plan.require_extra_window`."""
        channels, divisor = shape[0], self.rules.divisor
        costs = self._costs(channels)
        per_px = costs.window_bytes_per_px
        if with_gradient:
            per_px = gradient_costs(self.engine.net, channels=channels, divisor=divisor)
        require_extra_window(plan, costs, window, per_px, name=name)

    def predict(
        self, image: NDArray[np.float32], *, plan: Plan | None = None, after_window: AfterWindow | None = None
    ) -> NDArray[np.float32]:
        """Give the probability maps of an image.

        Parameters
        ----------
        image : float32 (C, Y, X), normalised
        plan : what `plan` gave for this shape; made here when left out
        after_window : told after each window how many px of the image it settled; may raise to stop

        Returns
        -------
        float32 (K, Y, X), probabilities in [0, 1]
        """
        channels, rows, columns = image.shape
        plan = plan or self.plan((channels, rows, columns))
        run, how, tell = self.engine.run, self.activation, after_window or _tell_nobody
        if isinstance(plan.layout, Tiling):
            return stitch_minimum(run, image, tiling=plan.layout, activation=how, after_window=tell)
        if isinstance(plan.layout, Blending):
            mode: Literal["gaussian", "constant"] = "constant" if self.stitch == "constant" else "gaussian"
            return stitch_blended(run, image, blending=plan.layout, mode=mode, activation=how, after_window=tell)
        maps = np.empty((self._costs(channels).outputs, rows, columns), np.float32)

        def read(box: Box) -> NDArray[Any]:
            return image[(slice(None), *box.slices)]

        def write(box: Box, probabilities: NDArray[Any]) -> None:
            maps[(slice(None), *box.slices)] = probabilities

        stitch_exact(run, read, write, lattice=plan.layout, activation=how, after_window=tell)
        return maps

    def facts(self) -> dict[str, Any]:
        """Give what a run record says of how the network ran."""
        return {
            "device": self.device.name,
            "device_reason": self.device.reason,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "stitch": self.stitch,
            "threads": torch.get_num_threads(),
        }

    def _costs(self, channels: int) -> Costs:
        per_px, outputs = self._per_channels(channels)
        return Costs(per_px, outputs, self._budget, self._device_budget)

    def _per_channels(self, channels: int) -> tuple[float, int]:
        if channels not in self._measured:
            self._measured[channels] = window_costs(self.engine, channels=channels, divisor=self.rules.divisor)
        return self._measured[channels]

    @cached_property
    def _measured(self) -> dict[int, tuple[float, int]]:
        return {}

    @cached_property
    def _budget(self) -> int:
        return available_memory() // 2 if self.memory is None else self.memory

    @cached_property
    def _device_budget(self) -> int | None:
        return device_budget(self.device)


class _LivePredictor(Predictor):
    """A predictor whose network may change between calls."""

    def _engine(self, net: nn.Module, precision: Precision) -> TorchEngine:
        return TorchEngine(net, device=self.device, precision=precision)


def _tell_nobody(px: float) -> None:
    """No progress is asked for."""
