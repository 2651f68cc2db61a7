"""Windows and memory, decided from the shape of an image."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.inference.plan import Costs, Rules, make_plan, require_extra_window
from cellmonai.inference.tiling import Tiling
from cellmonai.inference.windows import Blending, Lattice

RULES = Rules(radius_px=107, divisor=16, tile_exact=True, stitch="exact", window=None, longest_core=1024, cut=False)
COSTS = Costs(window_bytes_per_px=1000.0, outputs=1, budget=8 << 30)
SMALLEST = 240


def test_an_image_that_fits_is_one_window() -> None:
    plan = make_plan((1, 1000, 1200), RULES, COSTS)
    assert (plan.windows, plan.largest) == (1, (1008, 1200))


def test_windows_grow_no_longer_than_the_longest_core_and_two_halos() -> None:
    plan = make_plan((1, 5000, 5000), RULES, COSTS)
    assert isinstance(plan.layout, Lattice)
    assert max(plan.largest) <= 1024 + 2 * 112


def test_windows_are_as_large_as_the_memory_allows() -> None:
    image = 2 * 4 * 2000 * 2000
    largest = make_plan((1, 2000, 2000), RULES, replace(COSTS, budget=image + 1000 * 512**2)).largest
    assert max(largest) <= 512
    assert make_plan((1, 2000, 2000), RULES, replace(COSTS, budget=image + 1000 * 512**2)).windows < 60


def test_the_smallest_window_is_used_before_the_budget_is_refused() -> None:
    shape, image = (1, 600, 600), 2 * 4 * 600 * 600
    just = replace(COSTS, budget=image + 1000 * SMALLEST**2)
    assert make_plan(shape, RULES, just).largest == (SMALLEST, SMALLEST)
    with pytest.raises(MemoryBudgetError, match="a window of 240 px"):
        make_plan(shape, RULES, replace(just, budget=just.budget - 1))


def test_what_the_caller_holds_counts() -> None:
    plan = make_plan((1, 600, 600), RULES, COSTS, held_bytes=123)
    assert plan.image_bytes == 123 + 2 * 4 * 600 * 600
    with pytest.raises(MemoryBudgetError):
        make_plan((1, 600, 600), RULES, COSTS, held_bytes=8 << 30)


def test_a_device_with_its_own_memory_bounds_the_windows() -> None:
    little = replace(COSTS, device_budget=1000 * 300**2)
    assert max(make_plan((1, 600, 600), RULES, little).largest) <= 300
    with pytest.raises(MemoryBudgetError, match="on the device"):
        make_plan((1, 600, 600), RULES, replace(COSTS, device_budget=1000))


def test_a_window_asked_for_is_taken_or_refused() -> None:
    asked = replace(RULES, window=500)
    assert max(make_plan((1, 2000, 2000), asked, COSTS).largest) <= 500
    with pytest.raises(MemoryBudgetError, match="a window of 500 px"):
        make_plan((1, 2000, 2000), asked, replace(COSTS, budget=100 << 20))


@pytest.mark.parametrize(
    ("shape", "windows"),
    [
        pytest.param((1, 512, 512), 4, id="both sides cut in two"),
        pytest.param((1, 300, 512), 2, id="only the longer side"),
        pytest.param((1, 100, 100), 1, id="too small to be cut"),
    ],
)
def test_cutting_gives_two_windows_along_the_longer_side(shape: tuple[int, int, int], windows: int) -> None:
    assert make_plan(shape, replace(RULES, cut=True), COSTS).windows == windows
    assert make_plan(shape, replace(RULES, cut=True, window=2000), COSTS).windows == windows


def test_cutting_leaves_a_smaller_window_as_asked_for() -> None:
    plans = [make_plan((1, 512, 512), replace(RULES, cut=cut, window=300), COSTS) for cut in (False, True)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("stitch", ["gaussian", "constant"])
def test_blended_windows_need_no_halo_but_more_memory(stitch: str) -> None:
    rules = replace(RULES, stitch=stitch, window=128)  # type: ignore[arg-type]
    plan = make_plan((1, 600, 600), rules, COSTS)
    assert isinstance(plan.layout, Blending)
    assert plan.largest == (128, 128)
    assert plan.image_bytes > make_plan((1, 600, 600), RULES, COSTS).image_bytes


def test_tiles_of_the_minimum_stitch_are_400_px_whatever_the_memory() -> None:
    rules, shape = replace(RULES, stitch="minimum"), (1, 1200, 1600)
    plan = make_plan(shape, rules, COSTS)
    assert isinstance(plan.layout, Tiling)
    assert (plan.windows, plan.largest) == (20, (400, 400))
    assert make_plan((1, 30, 500), rules, COSTS).largest == (400, 400)  # a smaller image is padded to a tile
    just = replace(COSTS, budget=plan.image_bytes + plan.window_bytes)
    assert make_plan(shape, rules, just) == plan
    with pytest.raises(MemoryBudgetError, match="a window of 400 px"):
        make_plan(shape, rules, replace(just, budget=just.budget - 1))


def test_a_window_asked_for_is_the_tile_rounded_down_to_the_divisor() -> None:
    plan = make_plan((1, 600, 600), replace(RULES, stitch="minimum", window=250), COSTS)
    assert isinstance(plan.layout, Tiling)
    assert plan.layout.side == 240
    assert [box.col0 for box in plan.layout.boxes] == [0] * 3 + [180] * 3 + [360] * 3


def test_cutting_gives_more_than_one_tile() -> None:
    rules = replace(RULES, stitch="minimum")
    assert make_plan((1, 300, 300), rules, COSTS).windows == 1
    assert make_plan((1, 300, 300), replace(rules, cut=True), COSTS).windows == 4


def test_an_extra_window_must_fit_beside_the_image() -> None:
    plan = make_plan((1, 600, 600), RULES, COSTS)
    just = replace(COSTS, budget=plan.image_bytes + 5000 * 240**2)
    require_extra_window(plan, just, (240, 240), 5000.0, name="saliency")
    with pytest.raises(MemoryBudgetError, match=r"saliency needs .* for a window of 248 x 240 px"):
        require_extra_window(plan, just, (240, 248), 5000.0, name="saliency")
    on_a_device = replace(COSTS, device_budget=5000 * 240**2)
    require_extra_window(plan, on_a_device, (240, 240), 5000.0, name="saliency")
    with pytest.raises(MemoryBudgetError, match="leave saliency out"):
        require_extra_window(plan, on_a_device, (241, 240), 5000.0, name="saliency")


@pytest.mark.parametrize(("stitch", "least"), [("exact", 240), ("gaussian", 64)])
def test_a_window_too_small_is_refused_only_where_it_is_needed(stitch: str, least: int) -> None:
    rules = replace(RULES, stitch=stitch, window=least - 1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"give {least} or more"):
        make_plan((1, 600, 600), rules, COSTS)
    assert make_plan((1, 48, 48), rules, COSTS).windows == 1


def test_exact_windows_of_a_network_that_is_not_are_refused() -> None:
    rules = replace(RULES, tile_exact=False, window=512)
    with pytest.raises(UsageError, match="cannot equal the whole image"):
        make_plan((1, 600, 600), rules, COSTS)
    assert make_plan((1, 500, 500), rules, COSTS).windows == 1
