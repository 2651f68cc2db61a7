"""What int8 changed, in words, and when it is much."""

from __future__ import annotations

import pytest

from cellmonai.inference.int8_difference import Int8Difference


def difference(f32: int, int8: int) -> Int8Difference:
    return Int8Difference(
        windows=32,
        px=32 * 256**2,
        digest="ab",
        network_sha256="cd",
        threshold=0.5,
        mask_px_f32=90_000,
        mask_px_changed=1_234,
        objects_f32=f32,
        objects_int8=int8,
        largest=0.1234,
        mean=0.001,
    )


def test_the_sentence_holds_objects_pixels_and_probabilities() -> None:
    assert difference(1200, 1187).sentence == (
        "int8 beside f32 on 32 windows (2.1 Mpx, threshold 0.5): 1,200 -> 1,187 objects, 1,234 of 90,000 px of the "
        "mask changed, probabilities by up to 0.12"
    )


@pytest.mark.parametrize(
    ("f32", "int8", "large"),
    [
        pytest.param(100, 100, False, id="the same"),
        pytest.param(100, 105, False, id="five more in a hundred"),
        pytest.param(100, 106, True, id="more"),
        pytest.param(100, 94, True, id="fewer"),
        pytest.param(0, 0, False, id="none in both"),
        pytest.param(0, 1, True, id="one out of nothing"),
    ],
)
def test_more_than_a_twentieth_of_the_objects_is_large(*, f32: int, int8: int, large: bool) -> None:
    assert difference(f32, int8).is_large == large
