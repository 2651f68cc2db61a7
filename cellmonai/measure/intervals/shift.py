"""Is this image like the images that intervals were calibrated on? A rank test with a known rate of false alarms.

Twelve features describe an image and what was counted in it. How unlike an image is, is the largest of its robust z;
whether that is too unlike is decided by its rank among the calibration images and never by the z itself, since "any
|z| > 3.5" alarms falsely on 12 to 41 % of good images where 20 are known.

References
----------
Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, chapter 2 (conformal p-values). Benjamini and
Hochberg 1995, Controlling the false discovery rate, JRSS B 57.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

ALARM = 0.05
"""An image whose p-value is at most this is unlike the calibration set."""

LEAST_REFERENCES = 19
"""With fewer calibration groups no p-value can be as low as 0.05."""

_MAD_TO_SD = 1.4826  # of a normal distribution
_LEAST_MAD_SHARE = 0.01  # of the median: features that are equal in all references must not turn noise into alarms
_TINY = 1e-12
_MOST_MADS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Feature:
    """What a feature is called in sentences, and the transform that takes the skew out of it."""

    words: str
    transform: Callable[[float], float]


def _log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _log_share(share: float) -> float:
    return math.log(max(share, 0.0) + 0.01)  # a percent of saturated pixels is where they begin to matter


def _plain(value: float) -> float:
    return value


FEATURES = {
    "intensity_01": Feature("1 % intensity", _log),
    "intensity_25": Feature("25 % intensity", _log),
    "intensity_50": Feature("median intensity", _log),
    "intensity_75": Feature("75 % intensity", _log),
    "intensity_99": Feature("99 % intensity", _log),
    "saturated": Feature("share of saturated pixels", _log_share),
    "sharpness": Feature("fine detail (Laplacian)", _log),
    "dynamic_range": Feature("dynamic range", _log),
    "pixel_size": Feature("pixel size", _log),
    "density": Feature("density of cells", _log),
    "area_median": Feature("median cell area", _log),
    "area_iqr": Feature("spread of cell areas", _log),
    "confidence": Feature("mean confidence", _plain),
}
"""By name; of further channels the names end in `@1`, `@2`, …"""


@dataclass(frozen=True, slots=True)
class ShiftResult:
    """How unlike the references one image is.

    Parameters
    ----------
    p : share of the references and itself that are at least as unlike; nan where no feature could be compared
    feature : the name of the feature with the largest robust z
    mads : how many median absolute deviations it lies above (positive) or below the median, after its transform
    """

    p: float
    feature: str
    mads: float

    @property
    def alarm(self) -> bool:
        """Whether the image is unlike the references, or nothing could be compared."""
        return not self.p > ALARM

    @property
    def words(self) -> str:
        """`99 % intensity is 8.0 MAD above that of the calibration images`."""
        if not self.feature:
            return "no feature of it can be compared with the calibration images"
        size = abs(self.mads)
        amount = f"more than {_MOST_MADS_SHOWN}" if size > _MOST_MADS_SHOWN else f"{size:.{0 if size >= 10 else 1}f}"
        side = "above" if self.mads > 0 else "below"
        return f"{feature_words(self.feature)} is {amount} MAD {side} that of the calibration images"


@dataclass(frozen=True, slots=True)
class ShiftReferences:
    """Features of one calibration image per group, as measured.

    Parameters
    ----------
    names : of `FEATURES`, with a channel where there are several
    values : per group one value per name; nan where it is undefined, as cell areas where there is no cell

    Raises
    ------
    ValueError
        Unknown or repeated names, rows of another length, or infinite values.
    """

    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if not is_feature(name):
                raise ValueError(f"unknown feature {name!r}")
        if len(set(self.names)) < len(self.names) or any(len(row) != len(self.names) for row in self.values):
            raise ValueError("features are repeated or rows have another length")
        if any(math.isinf(value) for row in self.values for value in row):
            raise ValueError("a feature is infinite")

    def compare(self, features: Mapping[str, float]) -> ShiftResult:
        """Compare an image by the features that both know; nan is known to be undefined."""
        both = [place for place, name in enumerate(self.names) if name in features]
        if not both:
            return ShiftResult(math.nan, "", 0.0)
        names = [self.names[place] for place in both]
        references = [_transformed(names, [row[place] for place in both]) for row in self.values]
        p, z = rank_test(np.array(references), np.array(_transformed(names, [features[name] for name in names])))
        worst = int(np.argmax(np.abs(z)))
        return ShiftResult(p, names[worst], float(z[worst]) * _MAD_TO_SD)


def _transformed(names: Sequence[str], values: Sequence[float]) -> list[float]:
    return [FEATURES[name.partition("@")[0]].transform(value) for name, value in zip(names, values, strict=True)]


def is_feature(name: str) -> bool:
    """Tell whether a name is one of `FEATURES`, perhaps of a further channel."""
    kind, at, channel = name.partition("@")
    return kind in FEATURES and (not at or (channel.isdecimal() and channel.isascii() and len(channel) < 5))


def feature_words(name: str) -> str:
    """Give a feature's name for people."""
    kind, _, channel = name.partition("@")
    return FEATURES[kind].words + (f" of channel {channel}" if channel else "")


def rank_test(references: NDArray[np.float64], new: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Rank the largest robust z of a new row among those of the references.

    Parameters
    ----------
    references : shape (n, F), already transformed; nan is undefined and counts as ordinary
    new : shape (F,), likewise

    Returns
    -------
    p = #{s_j ≥ s_new} / (n + 1), over references and the new row; and the z of the new row, shape (F,)

    Notes
    -----
    Medians and deviations are those of the references and the new row together, so that all n + 1 rows are treated
    alike: if the new image is exchangeable with them, p ≤ 0.05 happens with a probability of at most 0.05, whatever the
    features' distribution.
    """
    rows = np.vstack([references, new[None]])
    z = np.zeros_like(rows)
    known = np.isfinite(rows).any(axis=0)
    rows = rows[:, known]
    middle = np.nanmedian if np.isnan(rows).any() else np.median  # the second is five times as fast
    median = middle(rows, axis=0)
    mad = middle(np.abs(rows - median), axis=0)
    mad = np.maximum(mad, np.maximum(_LEAST_MAD_SHARE * np.abs(median), _TINY))
    z[:, known] = np.nan_to_num((rows - median) / (_MAD_TO_SD * mad))
    scores = np.abs(z).max(axis=1, initial=0.0)
    return float(np.count_nonzero(scores >= scores[-1])) / len(scores), z[-1]


def benjamini_hochberg(p_values: Sequence[float], *, level: float = ALARM) -> list[bool]:
    """Tell which of many p-values to act on so that on average at most `level` of these alarms are false.

    To say of a folder of images how many are unlike the calibration set; p-values of n references are at least
    1 / (n + 1), so few odd images among many cannot stand out.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    fits = p[order] <= level * np.arange(1, p.size + 1) / max(p.size, 1)
    alarms = np.zeros(p.size, bool)
    alarms[order[: int(np.flatnonzero(fits).max(initial=-1)) + 1]] = True
    return [bool(alarm) for alarm in alarms]
