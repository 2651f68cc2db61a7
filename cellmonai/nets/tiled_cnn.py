"""The network of tiles: valid convolutions to one output for every 8 x 8 px."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from cellmonai.nets.blocks import pad_to_multiple

if TYPE_CHECKING:
    from torch import Tensor

STRIDE = 8
_SMALLEST = 48  # px, the least side for which one feature is left


class TiledCnn(nn.Module):
    """One wide encoder of few layers and one transposed convolution, whose outputs each stand for a block of 8 x 8 px.

    Training mode: (N, channels, H, W) float32 -> `native` logits (N, 1, H/8, W/8), 50 x 50 of a tile of 400 x 400 px.
    Evaluation mode: -> logits (N, 1, H, W), enlarged. Intensities are 0 to 1; the published network divides those of
    0 to 255 itself. Any H and W: the last row and column are repeated up to multiples of 8 and at least 48 px.

    Parameters
    ----------
    maps : of the first, second and third convolution; the published ones by default

    Notes
    -----
    Output o sees the pixels 8o - 40 to 8o + 42, the middle of which is 2.5 px before the middle of its block, 8o + 3.5.
    Trained on blocks, the network learns to look that far off its middle, so a full-size map has its values at the
    middles of the blocks; where the receptive fields have theirs, every mask would lie 2.5 px off its cells. The
    outermost five outputs of each side see fewer features, because no convolution is padded.
    """

    def __init__(self, *, channels: int, maps: tuple[int, int, int] = (196, 256, 512)) -> None:
        super().__init__()
        first, second, third = maps
        self.coarse = nn.Conv2d(channels, first, 5, stride=2)
        self.middle = nn.Conv2d(first, second, 5)
        self.fine = nn.Conv2d(second, third, 3)
        self.mix = nn.Conv2d(third, third, 1)
        self.spread = nn.ConvTranspose2d(third, 1, 6)
        self.halve = nn.MaxPool2d(2)
        self.activate = nn.ReLU()
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type] # all of them have one

    def forward(self, image: Tensor) -> Tensor:
        """Give `native` logits in training mode, logits (N, 1, H, W) in evaluation mode."""
        native = self.native(image)
        if self.training:
            return native
        logits = F.interpolate(native, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return logits[..., : image.shape[-2], : image.shape[-1]]

    def native(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) -> logits (N, 1, H/8, W/8), rounded up."""
        padded = pad_to_multiple(image, STRIDE, smallest=_SMALLEST)
        # fmt: off
        #                                                                size   channels of a tile of 400 px
        half = self.activate(self.coarse(padded))                      # 198    196
        quarter = self.activate(self.middle(self.halve(half)))         # 95     256
        eighth = self.activate(self.fine(self.halve(quarter)))         # 45     512
        logits: Tensor = self.spread(self.activate(self.mix(eighth)))  # 50     1
        # fmt: on
        return logits
