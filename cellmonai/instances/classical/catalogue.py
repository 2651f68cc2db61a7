"""The methods without training that `infer --method` knows: a plain table, read without scikit-image."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.core.errors import UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.instances.settings import InstanceSettings
from cellmonai.recipe.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Method:
    """One way from intensities to cells.

    Parameters
    ----------
    name : what the user types
    title : what it is called in sentences
    meaning : the steps in one sentence
    source : the article
    parameters : what `--set` may change
    bytes_per_px : memory at its peak beside the image in [0, 1]; measured on crowded cells and noise, and a third more
    gives : a mask, whose touching cells `count` splits; or objects, which `count` takes as they are
    """

    name: str
    title: str
    meaning: str
    source: str
    parameters: Mapping[str, Parameter]
    bytes_per_px: int
    gives: Literal["mask", "objects"] = "mask"


def _smooth(default: float) -> Parameter:
    return Parameter(default, "standard deviation of the Gaussian blur before anything else, px", low=0.0, high=100.0)


_FACTOR = Parameter(1.0, "times Otsu's threshold; below 1 takes dimmer pixels in", low=0.0, high=10.0)

# The defaults were chosen on the fluorescence pictures of that half of DSB2018's groups on which splitting rules are
# fitted (tests/benchmarks/fit_split_rule.py), never on the half that the tables are measured on.
_TABLE = (
    Method(
        name="otsu",
        title="Otsu's threshold",
        meaning="pixels above the grey level that parts the histogram into the two most different classes",
        source="Otsu 1979, IEEE Trans. Syst. Man Cybern. 9(1), 62-66",
        parameters={"smooth_px": _smooth(1.0), "factor": _FACTOR},
        bytes_per_px=16,
    ),
    Method(
        name="local_threshold",
        title="local threshold",
        meaning="pixels brighter than the mean of the window around them, holes filled",
        source="Bradley and Roth 2007, J. Graphics Tools 12(2), 13-21",
        parameters={
            "smooth_px": _smooth(1.0),
            "window": Parameter(0.2, "side of the window, share of the image's shorter side", low=0.0, high=1.0),
            "weights": Parameter("mean", "weights of the window's pixels", choices=("mean", "gaussian")),
            "offset": Parameter(0.05, "how much brighter a cell is, share of the image's range", low=-1.0, high=1.0),
            "fill_holes": Parameter(True, "fill what a mask encloses", choices=(False, True)),  # noqa: FBT003
        },
        bytes_per_px=24,
    ),
    Method(
        name="canny",
        title="Canny's edges, closed and filled",
        meaning="edges of the gradient, gaps closed, what they enclose filled, lines removed",
        source="Canny 1986, IEEE Trans. Pattern Anal. Mach. Intell. 8(6), 679-698",
        parameters={
            "smooth_px": _smooth(2.0),
            "low": Parameter(0.05, "gradient where an edge may go on, share of the steepest", low=0.0, high=1.0),
            "high": Parameter(0.1, "gradient where an edge begins, share of the steepest", low=0.0, high=1.0),
            "closing_px": Parameter(3, "radius of the disc that bridges gaps, px", low=0, high=50),
            "opening_px": Parameter(3, "radius of the disc that removes lines, px", low=0, high=50),
            "mirror_px": Parameter(64, "mirrored band that closes outlines at the border, px", low=0, high=1000),
        },
        bytes_per_px=50,
    ),
    Method(
        name="watershed",
        title="watershed from distance peaks",
        meaning="Otsu's foreground without holes, divided by a watershed from the peaks of the distance to background",
        source="Beucher and Lantuéjoul 1979, Int. Workshop on Image Processing, Rennes",
        parameters={
            "smooth_px": _smooth(1.0),
            "factor": _FACTOR,
            "min_distance_px": Parameter(5, "two markers are farther apart than this, px", low=1, high=1000),
            "surface": Parameter("distance", "what is flooded", choices=("distance", "gradient", "intensity")),
        },
        bytes_per_px=64,
        gives="objects",
    ),
    Method(
        name="region_growing",
        title="seeded region growing",
        meaning="bright peaks take in the neighbours most like the region's mean, up to a tolerance",
        source="Adams and Bischof 1994, IEEE Trans. Pattern Anal. Mach. Intell. 16(6), 641-647",
        parameters={
            "smooth_px": _smooth(1.0),
            "seed_smooth_px": Parameter(3.0, "blur in which peaks are looked for, px", low=0.0, high=100.0),
            "seed_distance_px": Parameter(8, "two seeds are farther apart than this, px", low=1, high=1000),
            "tolerance": Parameter(
                0.5, "difference to the region's mean, share of the mean's height above the background", 0.0, 10.0
            ),
        },
        bytes_per_px=160,
        gives="objects",
    ),
    Method(
        name="kmeans",
        title="k-means on intensity",
        meaning="pixels of the brightest groups of grey levels around k means",
        source="Lloyd 1982, IEEE Trans. Inf. Theory 28(2), 129-137",
        parameters={
            "smooth_px": _smooth(1.0),
            "clusters": Parameter(2, "how many groups", low=2, high=20),
            "bright": Parameter(1, "how many of the brightest groups are cells", low=1, high=19),
        },
        bytes_per_px=56,
    ),
    Method(
        name="mean_shift",
        title="mean shift on intensity",
        meaning="pixels of the groups of grey levels that climb to a brighter histogram peak than the background's",
        source="Comaniciu and Meer 2002, IEEE Trans. Pattern Anal. Mach. Intell. 24(5), 603-619",
        parameters={
            "smooth_px": _smooth(1.0),
            "bandwidth": Parameter(0.03, "how far a grey level looks, share of the image's range", 0.001, 1.0),
        },
        bytes_per_px=32,
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _TABLE})
"""All methods by name."""


@dataclass(frozen=True, slots=True)
class ChosenMethod:
    """A method with the values of its parameters; those not given take their defaults.

    Raises
    ------
    UsageError
        Unknown method or parameter, with the nearest name, or a value that does not fit.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise UsageError(f"unknown method {self.name!r}", where="--method", cure=did_you_mean(self.name, METHODS))
        full = {key: parameter.default for key, parameter in self.method.parameters.items()}
        for key, value in self.parameters.items():
            full[key] = self._checked(key, value)
        _refuse_together(self.name, full)
        object.__setattr__(self, "parameters", MappingProxyType(full))

    @property
    def method(self) -> Method:
        """Its row."""
        return METHODS[self.name]

    @property
    def operating_point(self) -> InstanceSettings:
        """How `count` makes objects of its masks: those of a method that divides cells itself are not split again."""
        return InstanceSettings(split="none" if self.method.gives == "objects" else "auto")

    @property
    def sentence(self) -> str:
        """The method with its parameters, as `Otsu's threshold (smooth_px 1, factor 1)`."""
        return f"{self.method.title} ({', '.join(f'{key} {_shown(value)}' for key, value in self.parameters.items())})"

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Find the cells of an image (Y, X) float32 in [0, 1] as a mask; objects that touch are cut apart."""
        from cellmonai.instances.classical.run import mask_of  # brings scikit-image

        return mask_of(self.name, image, self.parameters)

    def as_json(self) -> dict[str, Any]:
        """Give name, source and parameters, for records."""
        return {"name": self.name, "source": self.method.source, "parameters": dict(self.parameters)}

    def _checked(self, key: str, value: object) -> Any:  # noqa: ANN401 - whatever kind the default has
        known = self.method.parameters
        if key not in known:
            raise UsageError(f"{self.name} has no parameter {key!r}", where="--set", cure=did_you_mean(key, known))
        try:
            return known[key].check(value)
        except ValueError as error:
            raise UsageError(f"{value!r} does not fit", where=f"--set {key}", cure=str(error)) from error


def parse_parameters(words: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words; numbers and true or false as such, anything else as text; the last one of a key counts.

    Raises
    ------
    UsageError
        A word has no key or no `=`.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key.strip() or not equals:
            raise UsageError(f"{word!r} is no parameter", where="--set", cure="write it as key=value, as smooth_px=2")
        found[key.strip()] = _value(text.strip())
    return found


def _refuse_together(name: str, full: Mapping[str, Any]) -> None:
    """Refuse values that fit each by itself and not together."""
    if name == "kmeans" and full["bright"] >= full["clusters"]:
        what = f"all {full['clusters']} clusters would be cells, and none background"
        raise UsageError(what, where="--set bright", cure=f"give at most {full['clusters'] - 1}, or more clusters")
    if name == "canny" and full["low"] > full["high"]:
        what = f"low is {full['low']:g}, above high, {full['high']:g}"
        raise UsageError(what, where="--set low", cure="give at most what high is")


def _value(text: str) -> object:
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, too many digits, or nested too deeply
        return text
    return document["value"] if list(document) == ["value"] else text


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
