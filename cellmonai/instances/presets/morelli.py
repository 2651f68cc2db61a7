"""How the c-ResUnet line of work cuts its foreground into neurons: Morelli et al. 2021 and its successors.

Small holes are filled and small objects dropped; the maxima of a widened distance map start a compact watershed with
lines; the result is stored in 8 bits and labelled again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from cellmonai.instances.components import label_components
from cellmonai.instances.presets.compact_watershed import flood
from cellmonai.instances.presets.peaks import plateau_peaks, window_maximum

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MorelliSettings:
    """Sizes of the pipeline, in px and px² of 1600 x 1200 px pictures in which a neuron measures about 100 px.

    Parameters
    ----------
    fill_below_px : background regions smaller than this become foreground, also small pockets at the image border
    min_area_px : foreground regions smaller than this are dropped before the cut
    min_area_after_px : and parts smaller than this after it; 0 keeps them all
    widen_px : side of the square whose largest distance each pixel takes, so that near peaks run together
    window_px : side of the square in which a peak must be highest
    min_peak_area_px : peaks smaller than this start no cell
    compactness : what a px of distance to the marker costs, in px of height
    """

    fill_below_px: int = 600
    min_area_px: int = 200
    min_area_after_px: int = 0
    widen_px: int = 30
    window_px: int = 40
    min_peak_area_px: int = 25
    compactness: float = 1.0


MORELLI2021 = MorelliSettings()
TASHFEEN = MorelliSettings(min_area_px=40)
FNC_V2 = MorelliSettings(fill_below_px=50, min_area_after_px=200)


def morelli2021(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Label neurons as the article on c-ResUnet did.

    Parameters
    ----------
    mask : bool, shape (Y, X), foreground probability above the threshold
    original : with the faults of the published code: 8-bit labels, so that every 256th object vanishes; labels thrown
        away and recomputed from a binary image; squares of even side, which shift peaks by half a pixel; regions
        without a peak dropped. Without them, labels are whole numbers of 32 bits, floods touch, squares are one px
        larger, a region without a peak is one object, and parts below the minimum area are dropped after the cut too.

    Returns
    -------
    int32, shape (Y, X); 0 is background, objects are 1..N by their first pixel, each 4-connected

    References
    ----------
    Morelli et al. 2021, Automating cell counting in fluorescent microscopy through deep learning with c-ResUnet,
    Scientific Reports 11, 22920; code in github.com/robomorelli/cell_counting_yellow, evaluation_utils.py, which ran on
    scikit-image 0.17 or older. The pixels equal that code's, not those of today's scikit-image.
    """
    if not original:
        return _cut_without_faults(mask, MORELLI2021)
    return label_components(_in_8_bits(cut_compactly(mask, MORELLI2021)) != 0, connectivity=4)


def tashfeen(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Label neurons as `morelli2021` does, but keep foreground regions from 40 px on.

    The report of this system names the smaller minimum only; everything it leaves out is that of `morelli2021`,
    parameters and result included.
    """
    if not original:
        return _cut_without_faults(mask, TASHFEEN)
    return label_components(_in_8_bits(cut_compactly(mask, TASHFEEN)) != 0, connectivity=4)


def fnc_v2(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Label cells as the tools of the second edition of Fluorescent Neuronal Cells do.

    Parameters and result as for `morelli2021`, with two differences: only holes below 50 px are filled, and parts below
    200 px are dropped after the cut too. The smoothing of contours, off unless asked for there, is left out. The
    original's labels stay apart where they touch across a corner, as their 8-bit values differ, unless their numbers
    are 256 apart.

    Notes
    -----
    Unlike for the other presets of this file there are no reference pixels: the steps follow the published code's text.

    References
    ----------
    Clissa et al. 2024, Fluorescent Neuronal Cells v2: multi-task, multi-format annotations for deep learning in
    microscopy, Scientific Data 11, doi:10.1038/s41597-024-03005-9; code in github.com/clissa/fluocells-scientific-data,
    fluocells/utils/data.py.
    """
    if not original:
        return _cut_without_faults(mask, FNC_V2)
    return label_components(_in_8_bits(cut_compactly(mask, FNC_V2)))


def cut_compactly(mask: NDArray[np.bool_], settings: MorelliSettings) -> NDArray[np.int32]:
    """Cut a mask as the original does, before anything is stored in 8 bits; int32, shape (Y, X), 0 on lines."""
    inside = clean(mask, settings)
    height = _distance_px(inside)
    markers = peak_markers(height, inside, settings, even=True)
    labels = flood(-height, markers, inside, compactness=settings.compactness, with_lines=True)
    return _without_small(labels, settings.min_area_after_px)


def clean(mask: NDArray[np.bool_], settings: MorelliSettings) -> NDArray[np.bool_]:
    """Fill small regions of background, then drop small regions of foreground; all 4-connected."""
    background = label_components(~mask, connectivity=4)
    filled = _without_small(background, settings.fill_below_px) == 0
    kept: NDArray[np.bool_] = _without_small(label_components(filled, connectivity=4), settings.min_area_px) != 0
    return kept


def peak_markers(
    height: NDArray[np.float64], inside: NDArray[np.bool_], settings: MorelliSettings, *, even: bool
) -> NDArray[np.int32]:
    """Find and number the plateaus from which cells grow; squares of even side, or one px larger and centred."""
    centred = 0 if even else 1
    widened = window_maximum(height, settings.widen_px + centred)
    peaks = label_components(plateau_peaks(widened, inside, settings.window_px + centred), connectivity=4)
    return _without_small(peaks, settings.min_peak_area_px)


def _cut_without_faults(mask: NDArray[np.bool_], settings: MorelliSettings) -> NDArray[np.int32]:
    if not mask.any():  # a small field without cells is a small hole
        return np.zeros(mask.shape, np.int32)
    inside = clean(mask, settings)
    height = _distance_px(inside)
    markers = peak_markers(height, inside, settings, even=False)
    region = label_components(inside, connectivity=4)
    has_peak = np.bincount(region[markers > 0], minlength=int(region.max(initial=0)) + 1) > 0
    markers = np.where(has_peak[region], markers, region + markers.max(initial=0)).astype(np.int32)
    labels = flood(-height, markers, inside, compactness=settings.compactness)
    return label_components(_without_small(labels, max(settings.min_area_px, settings.min_area_after_px)))


def _distance_px(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Measure the Euclidean distance to the nearest background pixel of the image; the border is no background."""
    from scipy.ndimage import distance_transform_edt

    if inside.all():  # there is no distance; equal heights give no peak
        return np.ones(inside.shape)
    return cast("NDArray[np.float64]", distance_transform_edt(inside))


def _without_small(labels: NDArray[np.int32], least_px: int) -> NDArray[np.int32]:
    """Set labels of fewer than `least_px` px to 0; the others keep their numbers."""
    kept = np.bincount(labels.ravel()) >= least_px
    return np.where(kept[labels], labels, 0).astype(np.int32) if labels.size else labels


def _in_8_bits(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Store labels as the original does: numbers 256 apart become one, 256 itself background."""
    return (labels & 255).astype(np.uint8)
