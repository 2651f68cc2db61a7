"""What all tests share: the folders of real data and reference values, and the command as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from cellmonai.kernels.library import VARIABLE, kernel_name, library

if TYPE_CHECKING:
    from collections.abc import Iterator

# a plain run draws the same examples every time; HYPOTHESIS_PROFILE=explore draws new and more ones
settings.register_profile("plain", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "plain"))

sys.path.insert(0, str(Path(__file__).parent))  # tests/painting.py for every folder


LONG_SECONDS = 7200
"""Time limit of tests that are marked `long`; that of the others stands in pyproject.toml."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests their time limit, where they have none of their own."""
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: it names the folder with the data for this test")
    folder = Path(value)
    assert folder.is_dir(), f"{variable} names no folder: {folder}"
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real images, see the environment variable CELLMONAI_DATA."""
    return _folder("CELLMONAI_DATA")


@pytest.fixture(scope="session")
def oracle_folder() -> Path:
    """Values that reference implementations give, see CELLMONAI_ORACLES."""
    return _folder("CELLMONAI_ORACLES")


@pytest.fixture(scope="session")
def small_data() -> Path:
    """Small CC0 images kept beside the tests."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="module", params=["c", "numpy"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests with the compiled kernels and again with their NumPy twins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, request.param)
        library.cache_clear()
        if kernel_name() != request.param:
            pytest.skip("the compiled kernels are not built here: install the package with a C compiler, as -e .")
        yield request.param
    library.cache_clear()


def run_cellmonai(
    *words: str | Path, cwd: Path | None = None, timeout: float = 300.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `cellmonai` in a process of its own, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "cellmonai", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=timeout,
        env={**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.fixture(scope="session")
def cellmonai() -> object:
    """The command: `cellmonai("count", folder, cwd=tmp_path)` gives returncode, stdout and stderr."""
    return run_cellmonai


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep converted networks of the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLMONAI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
