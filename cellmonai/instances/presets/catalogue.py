"""Post-processing of published counting systems, by name: what each does to a foreground, pixel for pixel.

A preset is for comparison with the literature; `find_instances` is what counts by default. With `original=True` a
preset gives what the published code gave, faults included, whatever versions of libraries are installed; with
`original=False` the faults listed in the table are repaired and the sizes and order of steps stay.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.instances.presets import allureking, morelli
from cellmonai.instances.presets.compact_watershed import flood_bytes_per_px
from cellmonai.instances.presets.floodfill import floodfill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


_BYTES_PER_PX = 60  # measured: up to 52


class LabelMask(Protocol):
    """Give a mask's label image, as published or repaired."""

    def __call__(self, mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
        """Label a mask of shape (Y, X)."""
        ...


@dataclass(frozen=True, slots=True)
class Preset:
    """One system's way from a foreground to objects.

    Parameters
    ----------
    name : what the user types
    description : the steps in one sentence
    source : article and code
    label_mask : the function itself
    cuts : it splits regions by a watershed, which takes more memory
    faults : what `original=True` keeps and `original=False` repairs
    parameters : sizes in px and px², for the run record
    threshold : foreground probability above which (strictly) a pixel is foreground
    in_8_bits : the original cuts probabilities to 8-bit grey levels before it compares them
    """

    name: str
    description: str
    source: str
    label_mask: LabelMask
    cuts: bool = False
    faults: tuple[str, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.5
    in_8_bits: bool = False

    def memory_bytes(self, shape: tuple[int, int]) -> int:
        """Give the memory that an image of this shape (Y, X) needs at worst, beside itself.

        Presets take whole images and never stream.
        """
        bytes_per_px = _BYTES_PER_PX + (flood_bytes_per_px() if self.cuts else 0)
        return bytes_per_px * shape[0] * shape[1]


_MORELLI_SOURCE = "Morelli et al. 2021, Scientific Reports 11, 22920; github.com/robomorelli/cell_counting_yellow"
_FNC_SOURCE = (
    "Clissa et al. 2024, Scientific Data 11, doi:10.1038/s41597-024-03005-9; "
    "github.com/clissa/fluocells-scientific-data"
)
_ALLUREKING_SOURCE = "github.com/allureking/unet-cell-segmentation"
_CUT = "compact watershed with lines from the plateaus of the widened distance"
_LOST = "labels in 8 bits: objects 256, 512, … vanish"
_RELABELLED = "labels are recomputed from a binary image, so that the cut lives in its lines only"
_EVEN = "windows of even side shift peaks by half a pixel"
_NO_PEAK = "regions without a peak vanish"
_PARTS = "parts below the minimum area stay after the cut"
_BORDER = "opening and closing take what lies beyond the image border for background"

_TABLE = (
    Preset(
        name="morelli2021",
        description=f"holes below 600 px filled, objects from 200 px, {_CUT}",
        source=_MORELLI_SOURCE,
        parameters=asdict(morelli.MORELLI2021),
        faults=(_LOST, _RELABELLED, _EVEN, _NO_PEAK, _PARTS),
        label_mask=morelli.morelli2021,
        cuts=True,
    ),
    Preset(
        name="tashfeen",
        description=f"holes below 600 px filled, objects from 40 px, {_CUT}",
        source=f"a report that follows {_MORELLI_SOURCE}",
        parameters=asdict(morelli.TASHFEEN),
        faults=(_LOST, _RELABELLED, _EVEN, _NO_PEAK, _PARTS),
        label_mask=morelli.tashfeen,
        cuts=True,
    ),
    Preset(
        name="fnc_v2",
        description=f"holes below 50 px filled, objects from 200 px before and after the cut, {_CUT}",
        source=_FNC_SOURCE,
        parameters=asdict(morelli.FNC_V2),
        faults=(_LOST, _EVEN, _NO_PEAK),
        label_mask=morelli.fnc_v2,
        cuts=True,
    ),
    Preset(
        name="allureking_plain",
        description="4-connected regions from 10 px",
        source=_ALLUREKING_SOURCE,
        parameters={"min_area_px": allureking.MIN_AREA_PX},
        label_mask=allureking.allureking_plain,
    ),
    Preset(
        name="allureking_morph",
        description="opening and closing with a cross, holes filled, 4-connected regions from 10 px",
        source=_ALLUREKING_SOURCE,
        parameters={"min_area_px": allureking.MIN_AREA_PX},
        faults=(_BORDER,),
        label_mask=allureking.allureking_morph,
    ),
    Preset(
        name="allureking_watershed",
        description="as allureking_morph, then a watershed from distance peaks at least 5 px apart, parts from 10 px",
        source=_ALLUREKING_SOURCE,
        parameters={"min_area_px": allureking.MIN_AREA_PX, "min_distance_px": allureking.MIN_DISTANCE_PX},
        faults=(_BORDER, "a plateau gives several peaks", "no peak lies within 5 px of the image border"),
        label_mask=allureking.allureking_watershed,
        cuts=True,
    ),
    Preset(
        name="floodfill_127",
        description="4-connected regions of an 8-bit map above 127",
        source="the notebook of a tiled convolutional network for the Fluorescent Neuronal Cells pictures",
        faults=("probabilities are cut to 8 bits before the threshold",),
        label_mask=floodfill,
        in_8_bits=True,
    ),
    Preset(
        name="floodfill_122",
        description="4-connected regions of an 8-bit map above 122, the threshold that its text names",
        source="the notebook of a tiled convolutional network for the Fluorescent Neuronal Cells pictures",
        threshold=122 / 255,
        faults=("probabilities are cut to 8 bits before the threshold",),
        label_mask=floodfill,
        in_8_bits=True,
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _TABLE})
"""All presets by name."""

OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "seed000_plain": "allureking_plain",
        "seed000_morph": "allureking_morph",
        "seed000_watershed": "allureking_watershed",
        "floodfill": "floodfill_127",
    }
)
"""Short names that comparisons of these systems use, and the presets they mean."""


def find_preset(name: str) -> Preset:
    """Look a preset up.

    Raises
    ------
    UsageError
        There is none of this name; the nearest one is suggested.
    """
    meant = OTHER_NAMES.get(name, name)
    if meant not in PRESETS:
        raise UsageError(f"unknown preset {name!r}", where="preset", cure=did_you_mean(name, PRESETS))
    return PRESETS[meant]


def run_preset(
    name: str,
    image: NDArray[np.bool_] | NDArray[np.floating] | NDArray[np.uint8],
    *,
    threshold: float | None = None,
    original: bool = True,
) -> NDArray[np.int32]:
    """Find the objects of a mask or a foreground map as a published system does.

    Parameters
    ----------
    name : one of `PRESETS`
    image : shape (Y, X); bool mask, probability in [0, 1] as float, or the same in 255ths as uint8
    threshold : foreground is what lies above it (strictly), in [0, 1]; the preset's own by default
    original : with the faults of the published code, or with these repaired

    Returns
    -------
    int32, shape (Y, X); 0 is background, objects are 1..N without gaps, numbered by their first pixel in raster order.
        Objects are 4-connected and may touch; `fnc_v2` gives 8-connected ones.

    Raises
    ------
    UsageError
        The name is unknown, or a threshold comes with a mask.
    InputError
        The image is neither bool, float nor uint8, or does not have two axes.
    """
    preset = find_preset(name)
    mask = preset_foreground(preset, image, threshold=threshold, original=original)
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    return preset.label_mask(mask, original=original)


def preset_foreground(
    preset: Preset,
    image: NDArray[np.bool_] | NDArray[np.floating] | NDArray[np.uint8],
    *,
    threshold: float | None,
    original: bool,
) -> NDArray[np.bool_]:
    """Take the pixels above the threshold, as the system's code compares; parameters and errors as in `run_preset`.

    Notes
    -----
    All systems compare with > in the precision of the map; values that are no numbers are background. The flood fills
    cut p to whole 255ths first and compare with int(255 threshold): 0.5 means above 127, hence p >= 128 / 255.
    """
    if image.ndim != 2:
        raise InputError(f"the image has the shape {image.shape}, expected rows and columns")
    if image.dtype == np.bool_:
        if threshold is not None:
            raise UsageError("a mask has no threshold", where="threshold", cure="leave the threshold out")
        return cast("NDArray[np.bool_]", image)
    level = preset.threshold if threshold is None else threshold
    if not 0.0 <= level <= 1.0:
        raise UsageError(f"threshold is {level}, expected a number in [0, 1]", where="threshold")
    truncated = preset.in_8_bits and original
    grey_level = int(255 * level + 1e-9)  # 122 / 255 must come back as 122
    if image.dtype == np.uint8:
        values = np.arange(256)
        return (values > grey_level if truncated else values / 255 > level)[image]
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"the map holds {image.dtype} values, expected a mask, probabilities or 8-bit grey levels")
    return np.floor(image * image.dtype.type(255)) > grey_level if truncated else image > image.dtype.type(level)
