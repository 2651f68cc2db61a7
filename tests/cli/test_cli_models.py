"""`cellmonai models` as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cellmonai.models.file import read_card
from cellmonai.nets.catalogue import NETWORKS, network_names

Command = Callable[..., "subprocess.CompletedProcess[str]"]
WEIGHTS = Path(__file__).parents[1] / "data/oracles/keras_cresunet_n1.npz"


@pytest.fixture(name="models")
def _models(cellmonai: Command, tmp_path: Path) -> Command:
    def run(*words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = cellmonai("models", *words, cwd=tmp_path, COLUMNS="200")
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_the_list_has_a_line_of_numbers_and_a_line_of_words_for_every_network(models: Command) -> None:
    done = models("list")
    lines = [line for line in done.stdout.splitlines() if line.split() and line.split()[0] in network_names()]
    assert [line.split()[0] for line in lines] == network_names() * 2
    of_unet = [[cell.strip() for cell in line.split("│")] for line in lines if line.startswith("unet ")]
    assert of_unet[0][1:] == ["31,036,481", "124.2", "107", "16", "exact", "recipes/unet.toml"]
    assert of_unet[1][2] == "Ronneberger et al. 2015, arXiv:1505.04597"
    assert "cellmonai models show c_resunet" in done.stderr
    assert models("list", "--quiet").stderr == ""


def test_the_list_as_json_holds_what_inference_must_know(models: Command) -> None:
    done = models("list", "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.stderr == ""
    assert (document["schema"], document["command"]) == ("cellmonai.models.list/1", "models list")
    found = {network["name"]: network for network in document["networks"]}
    assert list(found) == network_names()
    assert found["fpn"]["tile_exact"] is False
    assert found["fpn"]["maps"] == 2
    assert found["c_resunet"]["parameters"] == {"trainable": 1_707_287, "running": 1_890}
    assert found["c_resunet"]["settings"]["activation"] == "elu"


def test_every_recipe_of_the_list_is_there() -> None:
    folder = Path(__file__).parents[2] / "recipes"
    assert [row.name for row in NETWORKS if not (folder / row.recipe).is_file()] == []


def test_the_list_is_printed_without_torch() -> None:
    code = (
        "import sys; sys.argv = ['cellmonai', 'models', 'list', '--quiet']\nfrom cellmonai.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'monai', 'numpy', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_show_counts_the_network_with_the_parameters_and_channels_asked_for(models: Command) -> None:
    done = models(
        "show", "unet_bilinear", "--set", "width=64", "--set", "reading=halved", "--set", "bias=true", "--json"
    )
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.stderr == ""
    assert (document["schema"], document["name"]) == ("cellmonai.models.show/1", "unet_bilinear")
    assert document["parameters"] == {"trainable": 17_266_241, "running": 8_832}
    assert (document["radius_px"], document["divisor"], document["tile_exact"]) == (122, 16, True)
    assert document["settings"] == {"width": 64, "reading": "halved", "bias": True, "dropout": 0.1}
    assert document["allowed"]["width"]["minimum"] == 2
    assert document["recipe"] == "gowt1.toml"
    more = json.loads(models("show", "unet", "--set", "width=16", "--channels", "3", "--outputs", "2", "--json").stdout)
    # 2 more channels for 16 kernels of 3 x 3, one more map from 16 and its bias
    assert more["parameters"]["trainable"] == 1_942_289 + 2 * 16 * 9 + 16 + 1
    assert (more["channels"], more["maps"]) == (3, 2)


def test_show_prints_every_parameter_with_its_bounds_and_the_command_that_uses_them(models: Command) -> None:
    done = models("show", "monai_unet", "--set", "levels=4", "--set", "network.width=")
    cells = [[cell.strip() for cell in line.split("│")] for line in done.stdout.splitlines()]
    assert ["levels", "4", "5", "2 to 5", "sizes it works at, each half the one before"] in cells
    assert ["width", "16", "16", "2 to 512"] in [row[:4] for row in cells]
    assert ["receptive field", "51 px around a pixel"] in cells
    assert "cellmonai fit recipe.toml --set network.name=monai_unet --set network.levels=4" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(["unett"], "unknown network 'unett'; did you mean 'unet'?", id="network with a typo"),
        pytest.param(
            ["unet", "--set", "widht=8"], "--set widht: unet has no parameter 'widht'; did", id="typo in --set"
        ),
        pytest.param(
            ["unet", "--set", "width=0"], "--set width: 0 does not fit; expected 1 to 512.", id="out of bounds"
        ),
        pytest.param(["unet", "--set", "width"], "--set width: expected parameter=value; such as", id="no value"),
        pytest.param(["unet", "--set", "width=[1"], "--set width: '[1' is no TOML value;", id="no TOML"),
        pytest.param(["unet", "--set", "channels=3"], "--set channels: is no parameter; give it as", id="an option"),
        pytest.param(
            ["fpn", "--outputs", "3"], "--outputs: fpn always gives 2 maps: foreground,", id="maps of its own"
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_code_4(models: Command, words: list[str], sentence: str) -> None:
    done = models("show", *words, code=4)
    assert done.stderr.startswith(f"error: {sentence}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_keras_weights_become_a_model_file(models: Command, tmp_path: Path) -> None:
    with np.load(WEIGHTS) as arrays, h5py.File(tmp_path / "keras.h5", "w") as file:
        for key in arrays:
            layer, _, name = key.partition("/")
            if name:
                file[f"model_weights/{layer}/{layer}/{name}:0"] = arrays[key]
    words = ("import", "keras.h5", "--output", "cells.safetensors", "--threshold", "0.6")
    done = models(*words)
    assert done.stdout == "cells.safetensors\n"
    assert "cellmonai infer my_images/ --model cells.safetensors" in done.stderr
    card = read_card(tmp_path / "cells.safetensors")
    assert (card.network, card.parameters["width"], card.operating_point["threshold"]) == ("c_resunet", 4, 0.6)
    assert models(*words, code=5).stderr.startswith("error: cells.safetensors: the output exists already;")
    document = json.loads(models(*words, "--overwrite", "--json").stdout)
    assert (document["schema"], document["published"]) == ("cellmonai.models.import/1", False)


def test_the_shell_completes_names_of_networks() -> None:
    code = "import sys; sys.argv = ['cellmonai']; from cellmonai.cli.app import main; main()"
    asked = {"_CELLMONAI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "cellmonai models show monai_"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **asked}
    )
    assert "monai_attention_unet" in done.stdout
    assert "monai_unet" in done.stdout
    assert "basic_unet" not in done.stdout
