"""The compiled kernels and their NumPy twins: tests that ask for `twin` run with both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellmonai.measure.shapes.label_kernels import label_kernels

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["c", "numpy"], scope="module")
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Measure with the compiled kernels, then with their NumPy twins."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr("cellmonai.measure.shapes.label_kernels.library", lambda: None)
        elif label_kernels() is None:
            pytest.skip("built without a compiler")
        yield request.param
