"""Painted shapes that are no cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.data.transforms.crop_transform import CropTransformd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# from the darkest to the brightest colour of cells in yellow fluorescence, red, green and blue of 255
DARKEST, BRIGHTEST = (np.array(colour, np.float32) / 255 for colour in ((101, 61, 6), (247, 237, 15)))
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class RandDistractorsd(CropTransformd):
    """Paint ellipses and rectangles with round corners over the image, in the colours of cells but not in the target.

    The network learns that colour alone makes no cell. Colours lie on the line from (101, 61, 6) to (247, 237, 15) of
    255 in images of three channels; others get the grey (ITU-R BT.601) of such a colour in every channel.

    Parameters
    ----------
    prob : probability that a crop is changed
    ellipses, rectangles : at most so many of each; every number from 0 is as likely
    side_px : height and width of a shape, each drawn [from, to]; its centre may lie anywhere in the crop
    """

    def __init__(self, *, prob: float, ellipses: int, rectangles: int, side_px: tuple[float, float]) -> None:
        super().__init__(prob=prob)
        self.ellipses, self.rectangles, self.side_px = ellipses, rectangles, side_px

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Paint over the image."""
        image = crop["image"].copy()
        height, width = image.shape[-2:]
        for inside in self._draw_shapes((height, width)):
            image[:, inside] = self._draw_colour(len(image))[:, None]
        return {"image": image}

    def _draw_shapes(self, shape: tuple[int, int]) -> Iterator[NDArray[np.bool_]]:
        numbers = [int(self.R.randint(most + 1)) for most in (self.ellipses, self.rectangles)]
        for paint, number in zip((self._draw_ellipse, self._draw_rectangle), numbers, strict=True):
            for _ in range(number):
                rows, cols, sides = self._draw_place(shape)
                yield paint(rows, cols, sides)

    def _draw_place(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
        """Give rows (Y, 1) and columns (1, X) from the centre of a shape, and its height and width in px."""
        sides = [float(side) for side in self.R.uniform(*self.side_px, 2)]
        row, col = (self.R.uniform(0, size) for size in shape)
        rows, cols = np.ogrid[: shape[0], : shape[1]]
        return rows - row, cols - col, sides

    def _draw_ellipse(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64], sides: list[float]
    ) -> NDArray[np.bool_]:
        return np.asarray((2 * rows / sides[0]) ** 2 + (2 * cols / sides[1]) ** 2 <= 1)

    def _draw_rectangle(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64], sides: list[float]
    ) -> NDArray[np.bool_]:
        radius = int(self.R.uniform(1, max(0.3 * min(sides), 1)))
        beyond = [np.maximum(np.abs(v) - (side / 2 - radius), 0) for v, side in ((rows, sides[0]), (cols, sides[1]))]
        return np.asarray(beyond[0] ** 2 + beyond[1] ** 2 <= radius**2)

    def _draw_colour(self, channels: int) -> NDArray[np.float32]:
        colour = DARKEST + np.float32(self.R.uniform()) * (BRIGHTEST - DARKEST)
        return np.asarray(colour if channels == 3 else np.full(channels, colour @ _LUMA), np.float32)
