"""The lattice: what is read, what is kept, and where windows may begin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmonai.inference.windows import (
    Box,
    Lattice,
    halo_of,
    make_lattice,
    padded_shape,
    smallest_window,
    window_around,
)


@st.composite
def lattices(draw: st.DrawFn) -> tuple[Lattice, int, int, int]:
    divisor = draw(st.sampled_from([1, 2, 4, 8, 16]))
    halo = draw(st.integers(0, 60))
    window = smallest_window(halo, divisor) + draw(st.integers(0, 200))
    sides = st.integers(1, min(40 * divisor, 500))
    shape = (draw(sides), draw(sides))
    return make_lattice(shape, window=window, halo=halo, divisor=divisor), window, halo_of(halo, divisor), divisor


@settings(max_examples=60)
@given(lattices())
def test_cores_cover_every_pixel_of_the_padded_image_once(case: tuple[Lattice, int, int, int]) -> None:
    lattice, *_ = case
    seen = np.zeros(lattice.padded, np.uint8)
    for window in lattice.windows:
        seen[window.core.slices] += 1
    assert (seen == 1).all()


@settings(max_examples=60)
@given(lattices())
def test_every_window_reads_its_core_and_a_halo_cut_at_the_padded_edge(case: tuple[Lattice, int, int, int]) -> None:
    lattice, _, halo, _ = case
    rows, columns = lattice.padded
    for window in lattice.windows:
        core = window.core
        expected = (core.row0 - halo, core.col0 - halo, core.row1 + halo, core.col1 + halo)
        assert window.read.row0 <= max(expected[0], 0)
        assert window.read.col0 <= max(expected[1], 0)
        assert min(expected[2], rows) <= window.read.row1 <= rows
        assert min(expected[3], columns) <= window.read.col1 <= columns


@settings(max_examples=60)
@given(lattices())
def test_windows_begin_and_end_at_multiples_of_the_divisor(case: tuple[Lattice, int, int, int]) -> None:
    lattice, _, _, divisor = case
    for window in lattice.windows:
        for box in (window.read, window.core):
            assert all(edge % divisor == 0 for edge in (box.row0, box.col0, box.row1, box.col1))


@settings(max_examples=60)
@given(lattices())
def test_no_window_is_larger_than_asked_for_or_smaller_than_the_network_takes(
    case: tuple[Lattice, int, int, int],
) -> None:
    lattice, longest, _, divisor = case
    assert max(lattice.largest) <= longest
    assert min(min(window.read.shape) for window in lattice.windows) >= 2 * divisor


@settings(max_examples=60)
@given(lattices())
def test_windows_of_an_image_have_one_size_give_or_take_a_divisor(case: tuple[Lattice, int, int, int]) -> None:
    lattice, _, _, divisor = case
    for axis in (0, 1):
        lengths = {window.read.shape[axis] for window in lattice.windows}
        assert max(lengths) - min(lengths) <= divisor


@settings(max_examples=60)
@given(lattices())
def test_the_padding_of_a_window_is_what_lies_beyond_the_image(case: tuple[Lattice, int, int, int]) -> None:
    lattice, *_ = case
    for window in lattice.windows:
        inside = window.read.clipped(lattice.shape)
        assert (window.read.row1 - inside.row1, window.read.col1 - inside.col1) == window.pad
        assert min(inside.shape) >= 1


@pytest.mark.parametrize(
    ("shape", "padded"),
    [
        pytest.param((1, 1), (32, 32), id="one pixel"),
        pytest.param((32, 48), (32, 48), id="already a multiple"),
        pytest.param((33, 100), (48, 112), id="odd sizes"),
    ],
)
def test_images_are_padded_to_multiples_of_the_divisor(shape: tuple[int, int], padded: tuple[int, int]) -> None:
    assert padded_shape(shape, 16) == padded


def test_an_image_that_fits_is_one_window_without_halo() -> None:
    lattice = make_lattice((500, 512), window=512, halo=107, divisor=16)
    assert [window.read for window in lattice.windows] == [Box(0, 0, 512, 512)]
    assert lattice.windows[0].core == Box(0, 0, 512, 512)


def test_a_line_of_windows_overlaps_by_two_halos_and_shares_the_length_evenly() -> None:
    lattice = make_lattice((64, 1000), window=512, halo=107, divisor=16)
    assert [(w.read.col0, w.core.col0, w.core.col1, w.read.col1) for w in lattice.windows] == [
        (0, 0, 368, 480),
        (256, 368, 624, 736),
        (512, 624, 1008, 1008),
    ]


@pytest.mark.parametrize("window", [239, 100, 0])
def test_a_window_without_a_core_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match="expected at least 240 px"):
        make_lattice((1000, 1000), window=window, halo=107, divisor=16)


@settings(max_examples=60)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 60), st.sampled_from([1, 4, 16]), st.data())
def test_the_window_around_a_pixel_keeps_the_rules_of_the_lattice(
    rows: int, columns: int, halo: int, divisor: int, data: st.DataObject
) -> None:
    row, col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    window = window_around((rows, columns), row=row, col=col, halo=halo, divisor=divisor)
    edges = (window.read.row0, window.read.col0, window.read.row1, window.read.col1)
    padded, rounded = padded_shape((rows, columns), divisor), halo_of(halo, divisor)
    assert all(edge % divisor == 0 for edge in edges)
    assert edges == (
        max(row // divisor * divisor - rounded, 0),
        max(col // divisor * divisor - rounded, 0),
        min((row // divisor + 1) * divisor + rounded, padded[0]),
        min((col // divisor + 1) * divisor + rounded, padded[1]),
    )
    assert window.pad == (max(edges[2] - rows, 0), max(edges[3] - columns, 0))


@pytest.mark.parametrize("pixel", [(-1, 0), (0, -1), (10, 0), (0, 20)], ids=str)
def test_a_pixel_outside_the_image_has_no_window(pixel: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected one inside"):
        window_around((10, 20), row=pixel[0], col=pixel[1], halo=3, divisor=1)
