"""What the catalogue and inference say of a network: plain values, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.recipe.parameters import Parameter


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One network of the catalogue.

    Parameters
    ----------
    name : what a recipe calls it
    title : one line that tells it from the others
    parameters : every parameter with its default, bounds and meaning
    tile_exact : a pixel's result depends only on pixels within the receptive-field radius and on the place modulo the
        divisor, so that windows can equal the whole image
    source : the publication
    recipe : file under recipes/ that trains it
    trainable, running : weights, and running statistics of batch norms, of the network with its defaults
    channels_shown : image channels that these two numbers are for; one map, or those of `maps`
    pads : it takes sides that are no multiple of its divisor, from the divisor on
    maps : the maps it always gives; empty where they are those of the target
    takes : the kind of loss it trains with: one for `logits`, or one for the `scales` it gives in training
    targets : the kinds of target it can learn; empty means all
    least_patch_px : the smallest crop it can be trained on, where that is more than twice its divisor
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    tile_exact: bool
    source: str
    recipe: str
    trainable: int
    running: int
    channels_shown: int = 1
    pads: bool = False
    maps: tuple[str, ...] = ()
    takes: Literal["logits", "scales"] = "logits"
    targets: tuple[str, ...] = ()
    least_patch_px: int = 0

    @property
    def megabytes(self) -> float:
        """Size of the model file in MB (10^6 bytes), as float32 and without its card."""
        return 4e-6 * (self.trainable + self.running)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What inference must know of a network: lengths in px.

    `radius_px` is the largest distance at which a pixel can change a result, measured structurally (every weight
    positive, so that nothing cancels); `divisor` is what image sides and window origins must be multiples of;
    `tile_exact` as in `NetworkRow`; in training the output is `output_stride` times smaller than the image.
    """

    radius_px: int
    divisor: int
    tile_exact: bool
    output_stride: int = 1
