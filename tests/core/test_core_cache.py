"""Where the cache is, and what happens where there can be none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cellmonai.core import cache as cache_module
from cellmonai.core.cache import VARIABLE, cache_place, open_cache, readable_caches, temporary_cache

HOME = Path.home()


@pytest.fixture(autouse=True)
def _new_process() -> None:
    cache_module._temporary_folder.cache_clear()  # other tests of this process may have needed one


@pytest.mark.parametrize(
    ("environ", "system", "place"),
    [
        pytest.param({}, "linux", HOME / ".cache" / "cellmonai", id="Linux"),
        pytest.param({"XDG_CACHE_HOME": "/big"}, "linux", Path("/big/cellmonai"), id="Linux, moved"),
        pytest.param({"XDG_CACHE_HOME": "here"}, "linux", HOME / ".cache" / "cellmonai", id="a relative XDG path"),
        pytest.param({}, "darwin", HOME / "Library" / "Caches" / "cellmonai", id="macOS"),
        pytest.param({"LOCALAPPDATA": "/local"}, "win32", Path("/local/cellmonai/cache"), id="Windows"),
        pytest.param({VARIABLE: "/own", "XDG_CACHE_HOME": "/big"}, "linux", Path("/own"), id="the variable wins"),
        pytest.param({VARIABLE: "~/own"}, "linux", HOME / "own", id="the variable may begin at home"),
        pytest.param({VARIABLE: ""}, "linux", HOME / ".cache" / "cellmonai", id="an empty variable names nothing"),
    ],
)
def test_the_cache_is_where_the_system_has_it(environ: dict[str, str], system: str, place: Path) -> None:
    assert cache_place(environ, system) == place


def test_the_cache_is_made_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "deep" / "cache"))
    assert readable_caches() == []
    cache = open_cache()
    assert (cache.folder, cache.why_temporary) == (tmp_path / "deep" / "cache", "")
    assert list(cache.folder.iterdir()) == []
    assert readable_caches() == [cache.folder]
    if os.name == "posix":
        assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way_gives_a_folder_for_this_process_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    cache = open_cache()
    assert cache.why_temporary == "File exists"
    assert cache.folder.is_dir()
    assert readable_caches() == [cache.folder] == [temporary_cache("").folder]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv(VARIABLE, str(shared))
    assert open_cache().why_temporary == f"{shared} can be written by other users"
    assert shared not in readable_caches()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_can_still_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    ready.mkdir(mode=0o500)
    monkeypatch.setenv(VARIABLE, str(ready))
    assert "Permission denied" in open_cache().why_temporary
    assert ready in readable_caches()


def test_the_folder_of_a_process_is_gone_when_it_ends() -> None:
    code = "from cellmonai.core.cache import temporary_cache; print(temporary_cache('').folder)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert Path(told).name.startswith("cellmonai-")
    assert not Path(told).exists()
