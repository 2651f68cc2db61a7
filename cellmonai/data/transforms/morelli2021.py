"""The augmentation with which c-ResUnet was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from cellmonai.data.transforms.box_blur import box_blur, draw_odd
from cellmonai.data.transforms.crop_transform import CropTransformd
from cellmonai.data.transforms.morelli_steps import (
    ARTEFACTS,
    CELLS,
    bend,
    change_geometry,
    look_up,
    shift_colours,
)
from cellmonai.data.transforms.rgb_shift import shift_channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

Variant = Literal["as_named", "morelli2021"]
Branch = Literal["tint", "generic", "elastic", "geometry"]
ArtefactBranch = Literal["colours", "elastic", "blur"]

_LARGEST_KERNEL: dict[Variant, float] = {"as_named": 15, "morelli2021": 25}
_HUE_DEG: dict[Variant, float] = {"as_named": 36, "morelli2021": 0.1}
_ARTEFACT_COPIES: dict[ArtefactBranch, int] = {"colours": 80, "elastic": 35, "blur": 13}


class RandMorelli2021d(CropTransformd):
    """Change a crop in one of the ways of c-ResUnet's training data.

    Crops with cells take one of four branches (see `draw_branch`); crops of artefacts, which hold none, one of three in
    proportion 80 : 35 : 13. Images are RGB between 0 and 1 and come out so; with another number of channels, the tint
    acts on those that are there and value is added to all, while hue and saturation stay.

    Parameters
    ----------
    prob : probability that a crop is changed; the original keeps one unchanged crop beside 4, 10 or 128 changed ones
    artefact : whether crops are those of artefacts
    variant : "as_named" blurs by up to the 15 px and turns hues by up to the tenth of a circle that the original code
        names; "morelli2021" does what that code does: 25 px, and a tenth of a degree

    Notes
    -----
    Unlike the original nothing is rounded to 8 bit, crops are changed anew in every epoch, and lengths of the elastic
    deformation go with the side of the crop, which was 512 px.

    References
    ----------
    Morelli, Clissa et al. 2021, Automating cell counting in fluorescent microscopy through deep learning with
    c-ResUnet, Scientific Reports 11.
    """

    def __init__(self, *, prob: float, artefact: bool, variant: Variant) -> None:
        super().__init__(prob=prob)
        self.artefact, self.variant = artefact, variant

    def change(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Draw a branch and take it."""
        if self.artefact:
            return self._change_artefact(crop)
        branch, blurred = draw_branch(self.R, objects=_count_objects(crop["target"]))
        match branch:
            case "tint":
                shifts = (self.R.uniform(0.05, 0.06), self.R.uniform(0.04, 0.045), 0.0)
                tinted = crop | {"image": shift_channels(crop["image"], shifts)}
                return change_geometry(tinted, self.R, 0.5)
            case "generic":
                crop = change_geometry(look_up(crop, self.R, 0.7), self.R, 0.7)
                return self._blurred(crop) if blurred else crop
            case "elastic":
                return bend(crop, self.R, CELLS)
            case "geometry":
                return change_geometry(crop, self.R, 1.0)

    def _change_artefact(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        match draw_artefact_branch(self.R):
            case "colours":
                return change_geometry(shift_colours(crop, self.R, hue_deg=_HUE_DEG[self.variant]), self.R, 0.8)
            case "elastic":
                return bend(crop, self.R, ARTEFACTS)
            case "blur":
                return self._blurred(crop)

    def _blurred(self, crop: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        kernel = draw_odd(self.R, (3, _LARGEST_KERNEL[self.variant]))
        return crop | {"image": box_blur(crop["image"], kernel)}


def draw_branch(random: np.random.RandomState, *, objects: int) -> tuple[Branch, bool]:
    """Draw what happens to a crop of cells, and whether the generic branch blurs it.

    With more than two objects: tint 0.05, generic 0.6175, elastic 0.29925, geometry 0.03325; else no tint, and the
    others in proportion.
    """
    tint, generic, blur, elastic = random.uniform(size=4)
    if tint < 0.05 and objects > 2:
        return "tint", False
    if generic < 0.65:
        return "generic", bool(blur <= 0.33)
    return ("elastic" if elastic < 0.9 else "geometry"), False


def draw_artefact_branch(random: np.random.RandomState) -> ArtefactBranch:
    """Draw what happens to a crop of artefacts: colours, elastic or blur as 80 to 35 to 13."""
    copies = np.cumsum(list(_ARTEFACT_COPIES.values()))
    which = int(np.searchsorted(copies, random.randint(copies[-1]), side="right"))
    return tuple(_ARTEFACT_COPIES)[which]


def _count_objects(target: NDArray[np.float32]) -> int:
    """Count the regions of the first map of a target (K, Y, X) that hang together by edges of pixels."""
    return int(ndimage.label(target[0] > 0.5)[1])
