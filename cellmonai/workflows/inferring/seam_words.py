"""What is said of windows that meet: of averages in general, and of what came of running windows again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.workflows.inferring.failures import amount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def blended_warning(stitch: str, *, tile_exact: bool) -> str:
    """Say what averaging windows means, or keeping the lowest of them, before the first image is done."""
    if stitch == "minimum":
        return (
            "where windows overlap the lowest probability is kept (minimum), so a cell that one of them sees cut by "
            "its edge shrinks or is lost there"
        )
    ending = "results near their seams depend on where windows lie, so cells there may be lost, doubled or invented"
    if tile_exact:
        return f"windows are averaged ({stitch}) though exact would equal the whole image; {ending}"
    return (
        "this network's result depends on everything its window holds (instance norm, squeeze-excite or the like); "
        f"windows are averaged, and {ending}, above all beside empty areas. A larger --window lowers it"
    )


def begun_window_warning(side: tuple[int, int]) -> str:
    """Say that an unfinished run was continued with its own windows, on which averages depend."""
    return (
        f"the unfinished run that was continued had windows of {side[1]} x {side[0]} px, which were kept; --overwrite "
        "starts anew with those of now"
    )


def seams_note(found: Sequence[Mapping[str, Any]], *, stitch: str) -> str | None:
    """Say what came of running windows again, over all planes that have seams; None where none has."""
    several = [each for each in found if each["windows"]]
    if not several:
        return None
    windows = sum(each["windows"] for each in several)
    where = "across seams" if stitch == "exact" else "between those used"
    return (
        f"seams: {amount(windows, 'window')} run again {where} differ by at most "
        f"{max(each['largest_difference'] for each in several):g} in probability, "
        f"{sum(each['mask_px'] for each in several)} px of the mask and "
        f"{amount(sum(each['objects'] for each in several), 'object')}"
    )


def seams_warning(found: Mapping[str, Any], *, stitch: str, tile_exact: bool) -> str:
    """Say by how much windows that were run again differ, and what to do about it."""
    where = "windows that were run again elsewhere" if stitch == "exact" else "windows that lie between those used"
    differ = (
        f"{where} differ by up to {found['largest_difference']:g} in probability, {found['mask_px']} px of the mask "
        f"and {found['objects']} objects"
    )
    if stitch == "exact":
        return f"{differ}, more than rounding explains; give a larger --window or --engine torch, and please report it"
    cure = "leave --stitch out" if tile_exact else "give a larger --window, or train a network without instance norm"
    return f"{differ}, more than {found['bound']:g} is what the place of windows decides; {cure}"
