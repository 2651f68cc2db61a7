"""Which images train, validate and stay unseen: whole groups, drawn by a hash of the seed."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError, RecipeError
from cellmonai.core.text import did_you_mean
from cellmonai.images.split_folders import part_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cellmonai.images.layouts import Pair


_NO_ATTRIBUTES = "name a table that has it in data.tables"


@dataclass(frozen=True, slots=True)
class Split:
    """Pairs by what they are for; `test` is what neither training nor validation took. No group is in two of them."""

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]


def group_of(pair: Pair, group_by: str | None) -> str:
    """Give the group of a pair: an attribute's value, or what a regular expression's one group finds in its name.

    Without `group_by` every image is its own group.

    Raises
    ------
    RecipeError
        No such attribute, or the expression does not match the name.
    """
    if group_by is None:
        return pair.name
    if "(" in group_by:
        match = re.search(group_by, pair.name)
        if match is None:
            raise RecipeError(
                f"the expression {group_by!r} does not match the name {pair.name!r}",
                where="data.group_by",
                cure="write one whose group is in every name",
            )
        return match[1]
    if group_by not in pair.attributes:
        raise RecipeError(
            f"image {pair.name!r} has no attribute {group_by!r}",
            where="data.group_by",
            cure=did_you_mean(group_by, pair.attributes) if pair.attributes else _NO_ATTRIBUTES,
        )
    return pair.attributes[group_by]


def select_pairs(pairs: Sequence[Pair], wanted: Mapping[str, Sequence[str]]) -> list[Pair]:
    """Keep the pairs whose attributes have one of the wanted values, compared as text.

    Raises
    ------
    RecipeError
        An attribute that no pair has, or nothing is left.
    """
    kept = list(pairs)
    for attribute, values in wanted.items():
        known = {key for pair in pairs for key in pair.attributes}
        if attribute not in known:
            cure = did_you_mean(attribute, known) if known else _NO_ATTRIBUTES
            raise RecipeError(f"no image has an attribute {attribute!r}", where="data.select", cure=cure)
        kept = [pair for pair in kept if pair.attributes.get(attribute) in values]
    if not kept:
        raise RecipeError("selects none of the images", where="data.select", cure="widen it")
    return kept


def split_pairs(pairs: Sequence[Pair], *, group_by: str | None, train: float, validation: float, seed: int) -> Split:
    """Split whole groups by shares of the images; the order of groups is a hash of seed and group name alone.

    Adding an image to one group moves no other group, and neither file order nor machine matters.

    Parameters
    ----------
    train, validation : shares from 0 to 1, together at most 1; the rest is the test share

    Raises
    ------
    InputError
        Fewer groups than shares that must not be empty.
    """
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[group_of(pair, group_by)].append(pair)
    shares = {"test": 1.0 - train - validation, "validation": validation, "train": train}
    wanted = [name for name, share in shares.items() if share > 1e-9]
    if len(groups) < len(wanted):
        raise InputError(
            f"groups of images: {len(groups)}, too few for {' and '.join(wanted)}",
            where="data.split",
            cure="add images of other fields or slides, or group them less coarsely",
        )
    order = sorted(groups, key=lambda group: _hash(f"{seed}|{group}"))
    return _fill(order, groups, shares, wanted)


def split_as_told(
    pairs: Sequence[Pair], attribute: str, *, group_by: str | None, by_shares: Callable[[Sequence[Pair]], Split]
) -> Split:
    """Split pairs by what an attribute of them says: train, validation or test.

    Parameters
    ----------
    by_shares : divides the pairs for training where none is for validation

    Raises
    ------
    RecipeError
        No such attribute, a value that is none of these words, no pair to train on, or a group on both sides.
    """
    parts: dict[str, list[Pair]] = {"train": [], "validation": [], "test": []}
    for pair in pairs:
        said = pair.attributes.get(attribute)
        part = part_named(said) if said is not None else None
        if part is None:
            what = f"has no attribute {attribute!r}" if said is None else f"has {said!r} as {attribute!r}"
            raise RecipeError(
                f"image {pair.name!r} {what}", where="data.split.by", cure="write train, validation or test for each"
            )
        parts[part].append(pair)
    if not parts["train"]:
        raise RecipeError(
            "no image is for train", where="data.split.by", cure="name another attribute, or widen select"
        )
    if not parts["validation"]:
        drawn = by_shares(parts["train"])
        return Split(drawn.train, drawn.validation, (*drawn.test, *parts["test"]))
    _refuse_torn_groups(parts, group_by)
    return Split(*(tuple(sorted(parts[name], key=lambda pair: pair.name)) for name in ("train", "validation", "test")))


def _refuse_torn_groups(parts: Mapping[str, Sequence[Pair]], group_by: str | None) -> None:
    if group_by is None:
        return
    places: dict[str, str] = {}
    for part, pairs in parts.items():
        for pair in pairs:
            group = group_of(pair, group_by)
            if places.setdefault(group, part) != part:
                raise RecipeError(
                    f"images of {group!r} are for {places[group]} and for {part}",
                    where="data.group_by",
                    cure="take group_by or split.by out",
                )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _fill(order: list[str], groups: Mapping[str, list[Pair]], shares: Mapping[str, float], wanted: list[str]) -> Split:
    """Hand out groups in order until each share has its number of images; training takes what is left."""
    total = sum(len(pairs) for pairs in groups.values())
    parts: dict[str, list[Pair]] = {"train": [], "validation": [], "test": []}
    for position, name in enumerate(wanted):
        still_needed = len(wanted) - position - 1
        goal = shares[name] * total
        while len(order) > still_needed:
            if parts[name] and (name != "train") and len(parts[name]) + len(groups[order[0]]) / 2 > goal:
                break
            parts[name].extend(groups[order.pop(0)])
    return Split(*(tuple(sorted(parts[name], key=lambda pair: pair.name)) for name in ("train", "validation", "test")))
