"""A commented recipe fitted to data that were looked at: facts in, TOML text out."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tomli_w

from cellmonai.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDEST = 100  # characters of a comment line
_SPARSE = 0.004  # share of foreground below which the 99.8th percentile says little about the cells
_LAYOUTS = {
    "pairs": "images and masks with equal names",
    "splits": "folders train, val and test, each with images and masks",
    "nnunet": "as for nnU-Net: imagesTr/x_0000.tif and labelsTr/x.tif",
    "dsb2018": "as in the 2018 Data Science Bowl",
    "bbbc005": "as in BBBC005: the number of cells stands in the file name",
}


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What was seen of the data.

    Parameters
    ----------
    layout, root, masks, tables : as the recipe will say them
    pairs : images with a mask
    sizes : (Y, X) in px of the images looked at
    channels, channel_names, dtype : of the first image
    brightest : 99.8th percentile of each image looked at, the same way in all channels
    darkest : lowest 1st percentile of them
    foreground : share of the pixels inside cells, of each image looked at
    area_px : median area of an object in px², None when no mask held an object
    objects : median number of objects in an image
    groups : attribute that names what belongs together, and how many values it has, or None
    attributes : values of each attribute that has few, with how many images each has
    value_choice : `cell_values` or `mask_threshold` of the masks, where the user named them
    only_counts : whether the truth of some images is a number and not a label image
    split_by : attribute that says which images are for validation, where the data set is split already
    """

    layout: str
    root: str
    pairs: int
    sizes: tuple[tuple[int, int], ...]
    channels: int
    dtype: str
    brightest: tuple[float, ...]
    darkest: float
    foreground: tuple[float, ...]
    masks: str | None = None
    tables: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    area_px: float | None = None
    objects: float | None = None
    groups: tuple[str, int] | None = None
    attributes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    only_counts: bool = False
    value_choice: Mapping[str, Any] = field(default_factory=dict)
    split_by: str | None = None

    @property
    def diameter_px(self) -> float | None:
        """Diameter of a disc of the median area."""
        return None if self.area_px is None else 2 * math.sqrt(self.area_px / math.pi)


def draft_recipe(facts: DataFacts) -> str:
    """Write a recipe that fits `facts`, every choice explained beside it."""
    sections = (_head, _data, _normalise, _sampling, _network, _training, _instances)
    return "\n".join(section(facts) for section in sections)


def choose_patch(facts: DataFacts) -> int:
    """Give the side of a crop in px: about eight cells across, within 128 to 384, not above the smallest image.

    Multiples of 32 fit every network of the catalogue.
    """
    wanted = 256 if facts.diameter_px is None else 8 * facts.diameter_px
    smallest = min((min(size) for size in facts.sizes), default=256)
    return 32 * math.ceil(max(32, min(max(wanted, 128), 384, smallest)) / 32)


def choose_per_image(facts: DataFacts) -> int:
    """Give the crops per image and epoch: 96 crops an epoch at least, as every epoch ends with a validation."""
    return min(16, math.ceil(96 / max(1, facts.pairs)))


def choose_width(facts: DataFacts) -> int:
    """Give the network's width: 16 for few grey images, 32 where there is more to learn, and data to learn it from.

    Widths between are no cheaper than the next multiple of 16 on a CPU, whose vectors hold 16 numbers.
    """
    return 32 if facts.pairs > 200 or facts.channels > 1 else 16


def choose_minutes(facts: DataFacts) -> int:
    """Give the time for training in minutes on a laptop: more images carry more passes before they are worn out."""
    return 5 if facts.pairs <= 100 else 10 if facts.pairs <= 300 else 15


def choose_range(facts: DataFacts) -> tuple[float, float] | None:
    """Give fixed intensities for normalisation where percentiles would turn noise of nearly empty images into cells.

    With less foreground than the upper percentile leaves above it, that percentile is background. One scale serves
    only images of like brightness, so it is not chosen where the fuller images differ more than fourfold.
    """
    bright = [value for value, share in zip(facts.brightest, facts.foreground, strict=True) if share >= _SPARSE]
    if len(bright) in (0, len(facts.brightest)) or max(bright) - facts.darkest > 4 * (min(bright) - facts.darkest):
        return None
    return float(math.floor(facts.darkest)), float(math.ceil(max(bright)))


def _head(facts: DataFacts) -> str:
    return _lines(
        f"# Fitted by `cellmonai recipe init` to {facts.pairs:,} images with masks.",
        "# What is left out has a default; `cellmonai recipe check` prints them all.",
    )


def _data(facts: DataFacts) -> str:
    lines = ["[data]", *_key("layout", facts.layout, _LAYOUTS[facts.layout])]
    lines += _key("root", facts.root, f"{_sizes(facts)}, {facts.channels} channel(s), {facts.dtype}")
    if facts.masks is not None:
        lines += _key("masks", facts.masks, "folder of the masks, in root")
    for name, value in facts.value_choice.items():
        lines += _key(name, value, "which values of the masks are cells")
    if facts.tables:
        lines += _key("tables", list(facts.tables), "attributes of the images, for select and group_by")
    if facts.channels > 1:
        names = ", ".join(facts.channel_names)
        lines += [_comment(f"channels = [0] would use the first channel alone; there are {names}")]
    for name, values in facts.attributes.items():
        counts = ", ".join(f"{value} ({number:,})" for value, number in values.items())
        lines += [_comment(f"select = {{ {name} = … }} would use a part of the images; {name} is {counts}")]
    lines += _group(facts)
    if facts.split_by is not None:
        return _lines(*lines, *_key("split", {"by": facts.split_by}, "as the folders say; test is never learnt from"))
    lines += _key(
        "split",
        {"train": 0.8, "validation": 0.2, "seed": 0},
        "validation chooses the best epoch and the threshold; shares below 1 in all leave a rest for a test",
    )
    return _lines(*lines)


def _group(facts: DataFacts) -> list[str]:
    if facts.groups is None:
        why = "group_by keeps images of one slide, well or donor on one side of the split; none was recognised here"
        return [_comment(why)]
    name, number = facts.groups
    why = f"images of one {name} ({number:,} in all) stay on one side of the split, or the validation would flatter"
    return _key("group_by", name, why)


def _normalise(facts: DataFacts) -> str:
    bounds = choose_range(facts)
    if bounds is None:
        return _lines("[normalise]", *_key("method", "percentile", "each image by its own brightness, empty or full"))
    why = "one scale for all, since percentiles of the nearly empty images would turn their noise into cells"
    lines = ["[normalise]", *_key("method", "range", why)]
    return _lines(*lines, *_key("low", bounds[0], ""), *_key("high", bounds[1], "brightest of the images looked at"))


def _sampling(facts: DataFacts) -> str:
    patch = choose_patch(facts)
    size = f"cells are about {facts.diameter_px:.0f} px wide" if facts.diameter_px else "no cell size was seen"
    lines = ["[sampling]", *_key("patch", patch, f"side of a training crop in px; {size}")]
    per_image = choose_per_image(facts)
    why = f"crops per image and epoch, {per_image * facts.pairs:,} in all from {facts.pairs:,} images"
    return _lines(*lines, *_key("per_image", per_image, why))


def _network(facts: DataFacts) -> str:
    width = choose_width(facts)
    why = "channels of the first level; twice the width takes three times as long"
    loss = _key("name", "dice_focal", "overlap plus focal loss, calm on images without cells")
    return _lines("[network]", *_key("name", "basic_unet", "U-Net"), *_key("width", width, why), "", "[loss]", *loss)


def _training(facts: DataFacts) -> str:
    lines = ["[training]", *_key("epochs", 1000, "an upper bound, the minutes below usually end it")]
    lines += _key("batch_size", 4, "crops per step") + _key("learning_rate", 0.002, "size of the first steps")
    lines += _key("schedule", "cosine", "the steps shrink to nothing by the last minute")
    lines += _key("max_minutes", choose_minutes(facts), "enough to judge by on a laptop; more minutes, better cells")
    if facts.only_counts:
        lines += _key("monitor", "val_count_mae", "the truth of these images is a number of cells")
    else:
        lines += _key("monitor", "val_f1_50", "the best epoch finds most cells (F1 at an overlap of one half)")
    return _lines(*lines)


def _instances(facts: DataFacts) -> str:
    smallest = 10 if facts.area_px is None else max(10, round(facts.area_px / 20))
    seen = f"; the median cell has {facts.area_px:.0f}" if facts.area_px is not None else ""
    return _lines("[instances]", *_key("min_area_px", smallest, f"smaller objects are dirt, px²{seen}"))


def _sizes(facts: DataFacts) -> str:
    smallest, largest = min(facts.sizes), max(facts.sizes)
    first = f"images of {smallest[1]} x {smallest[0]}"
    return f"{first} px" if smallest == largest else f"{first} to {largest[1]} x {largest[0]} px"


def _key(name: str, value: Any, why: str) -> list[str]:  # noqa: ANN401 - a TOML value
    written = f"{name} = {_inline(value)}"
    return [_comment(why), written] if why else [written]


def _comment(text: str) -> str:
    return textwrap.fill(printable(text), _WIDEST, initial_indent="# ", subsequent_indent="# ")


def _inline(value: Any) -> str:  # noqa: ANN401 - a TOML value
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
