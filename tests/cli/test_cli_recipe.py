"""`cellmonai recipe` as a user calls it: words in, text, files and exit code out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    rows, cols = np.mgrid[:64, :64]
    labels = (((rows % 32) - 16) ** 2 + ((cols % 32) - 16) ** 2 <= 49) * (1 + rows // 32 * 2 + cols // 32)
    for name in ("images", "masks"):
        (tmp_path / "my cells" / name).mkdir(parents=True)
    for i in range(6):
        tifffile.imwrite(tmp_path / "my cells" / "images" / f"{i}.tif", (30 + 100 * (labels > 0)).astype(np.uint8))
        tifffile.imwrite(tmp_path / "my cells" / "masks" / f"{i}.tif", labels.astype(np.uint16))
    return tmp_path


@pytest.fixture(name="recipe")
def _recipe(folder: Path, cellmonai: Command) -> Command:
    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = cellmonai("recipe", *words, cwd=folder, COLUMNS="200")
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if code > 2:
            assert done.stdout == ""
            assert done.stderr.count("\n") == 1
        return done

    return run


def test_init_check_and_what_comes_next(recipe: Command, folder: Path) -> None:
    made = recipe("init", "my cells", "--output", "my recipe.toml")
    assert made.stdout == "my recipe.toml\n"
    assert "cellmonai recipe check 'my recipe.toml'" in made.stderr
    assert "cellmonai fit 'my recipe.toml'" in made.stderr
    assert 'root = "my cells"' in (folder / "my recipe.toml").read_text()

    checked = recipe("check", "my recipe.toml", "--set", "training.max_minutes=2", "--set", "augment=[]")
    lines = {line.split()[0]: line.split() for line in checked.stdout.splitlines() if line.strip()}
    assert lines["training.max_minutes"][-1] == "--set"
    assert lines["network.width"][-1] == "recipe"
    assert lines["training.optimizer"][-1] == "default"
    assert lines["augment"][2:] == ["[]", "│", "--set"]
    assert lines["train"][2] == "5"
    assert "cellmonai fit 'my recipe.toml' --set training.max_minutes=2 --set 'augment=[]'" in checked.stderr


def test_json_prints_one_document_and_quiet_nothing_but_results(recipe: Command, folder: Path) -> None:
    made = recipe("init", "my cells", "--json")
    document: dict[str, Any] = json.loads(made.stdout)
    assert made.stderr == ""
    assert document["schema"] == "cellmonai.recipe.init/1"
    assert (document["images"], document["layout"], document["outputs"]) == (6, "pairs", ["recipe.toml"])
    checked = json.loads(recipe("check", "recipe.toml", "--json", "--set", "training.seed=9").stdout)
    assert checked["schema"] == "cellmonai.recipe.check/1"
    assert checked["recipe"]["training"]["seed"] == 9
    assert checked["sources"]["training.seed"] == "--set"
    assert checked["data"]["images"] == {"train": 5, "validation": 1, "test": 0}
    assert [warning["code"] for warning in checked["warnings"]] == ["few_images"]
    quiet = recipe("check", "recipe.toml", "--quiet")
    assert "data.layout" in quiet.stdout
    assert "next:" not in quiet.stderr
    assert recipe("init", "my cells", "--quiet", "--overwrite").stderr == ""


def test_schema_prints_json_schema(recipe: Command, folder: Path) -> None:
    schema = json.loads(recipe("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "basic_unet" in schema["$defs"]["Network"]["properties"]["name"]["enum"]
    assert recipe("schema", "--json").stdout == recipe("schema").stdout


def test_a_recipe_is_not_overwritten_unasked(recipe: Command, folder: Path) -> None:
    (folder / "recipe.toml").write_text("mine")
    refused = recipe("init", "my cells", code=5)
    assert refused.stderr.startswith("error: recipe.toml: the output exists already;")
    assert (folder / "recipe.toml").read_text() == "mine"
    recipe("init", "my cells", "--overwrite")
    assert "[data]" in (folder / "recipe.toml").read_text()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["check", "none.toml"], 3, "error: none.toml: there is no such recipe; cellmonai", id="no recipe"),
        pytest.param(["check", "bad.toml"], 4, "error: bad.toml:4 training.epoch: unknown key; did you", id="typo"),
        pytest.param(
            ["check", "good.toml", "--set", "training.epoch=1"],
            4,
            "error: --set training.epoch: unknown key; did you mean training.epochs?",
            id="typo in --set",
        ),
        pytest.param(
            ["check", "good.toml", "--set", "network.name=unett"],
            4,
            "error: --set network.name: unknown network 'unett'; did you mean",
            id="unknown network",
        ),
        pytest.param(
            ["check", "good.toml", "--set", "data.root=x\n[red]"], 3, "error: ", id="name that holds anything"
        ),
        pytest.param(["check", "lost.toml"], 3, "error: ", id="data that are not there"),
        pytest.param(["init", "nowhere"], 3, "error: nowhere: there is no such folder;", id="no data"),
        pytest.param(["init", "bad.toml"], 3, "error: bad.toml: is a file, not a folder;", id="file for a folder"),
        pytest.param(["init", "my cells", "-o", "bad.toml/r.toml"], 5, "error: bad.toml", id="file in the way"),
    ],
)
def test_failures_are_one_sentence_and_a_code(
    recipe: Command, folder: Path, words: list[str], code: int, sentence: str
) -> None:
    (folder / "bad.toml").write_text("[data]\nlayout = 'pairs'\n[training]\nepoch = 1\n")
    (folder / "good.toml").write_text("[data]\nlayout = 'pairs'\nroot = 'my cells'\n")
    (folder / "lost.toml").write_text("[data]\nlayout = 'pairs'\nroot = 'lost'\n")
    assert recipe(*words, code=code).stderr.startswith(sentence)


@pytest.mark.parametrize("words", [["check"], ["init"], ["check", "--st", "a=1"], ["nonsense"]], ids=" ".join)
def test_wrong_words_are_usage(recipe: Command, words: list[str]) -> None:
    recipe(*words, code=2)


def test_debug_shows_where_it_failed(cellmonai: Command, folder: Path) -> None:
    done = cellmonai("recipe", "check", "none.toml", "--debug", cwd=folder)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_recipe_commands_import_neither_torch_nor_scipy(folder: Path) -> None:
    code = (
        "import sys\nsys.argv = ['cellmonai', 'recipe', 'init', 'my cells', '--quiet']\n"
        "from cellmonai.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.argv = ['cellmonai', 'recipe', 'check', 'recipe.toml', '--quiet']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'monai', 'ignite', 'scipy', 'skimage', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
