"""The model file carries everything, executes nothing and is not trusted."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cellmonai.core.errors import InputError, OutputError
from cellmonai.images.normalise import Normalisation
from cellmonai.models.file import ModelCard, read_card, read_tensors, write_model
from cellmonai.models.load import load_model, tensors_of
from cellmonai.nets.catalogue import build, describe

PARAMETERS = {"width": 2, "dropout": 0.0}
FACTS = describe("basic_unet", PARAMETERS)
CARD = ModelCard(
    network="basic_unet",
    parameters=PARAMETERS,
    channels=1,
    channel_names=("DAPI",),
    normalisation=Normalisation("range", 0.0, 255.0),
    operating_point={"threshold": 0.45, "split": "auto"},
    radius_px=FACTS.radius_px,
    divisor=FACTS.divisor,
    tile_exact=FACTS.tile_exact,
    pixel_size_um=(0.65, 0.65),
    object_diameter_px=21.5,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    write_model(path, CARD, tensors_of(build("basic_unet", PARAMETERS, channels=1, outputs=1)))
    return path


def test_a_card_survives_writing_and_reading(model: Path) -> None:
    assert read_card(model) == CARD


def test_a_network_survives_writing_and_reading(model: Path) -> None:
    torch.manual_seed(0)
    original = build("basic_unet", PARAMETERS, channels=1, outputs=1).eval()
    image = torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        assert torch.equal(load_model(model).net(image), original(image))


def test_the_card_is_read_without_torch(model: Path) -> None:
    code = "import sys; from pathlib import Path; from cellmonai.models.file import read_card; "
    code += f"read_card(Path({str(model)!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_existing_model_is_not_replaced(model: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        write_model(model, CARD, {})


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.99])
def test_a_model_cut_off_anywhere_is_refused(model: Path, share: float) -> None:
    data = model.read_bytes()
    model.write_bytes(data[: int(len(data) * share)])
    for read in (read_card, read_tensors, load_model):
        with pytest.raises(InputError, match=r"model\.safetensors"):
            read(model)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x04\x95pickle", id="a pickle"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="a zip as torch.save writes"),
        pytest.param((2).to_bytes(8, "little") + b"{}", id="no card"),
        pytest.param((2**40).to_bytes(8, "little") + b"{}", id="a header that promises a terabyte"),
        pytest.param((4).to_bytes(8, "little") + b"[[[[", id="broken JSON"),
        pytest.param((2).to_bytes(8, "little") + b"[]", id="a list"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"strange\.safetensors"):
        read_card(path)


def _with_card(path: Path, **changes: object) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    document = {**CARD.as_json(), **changes}
    save_file(tensors, path, metadata={"cellmonai": json.dumps(document)})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"format": 99}, "format 99", id="a newer format"),
        pytest.param({"surprise": 1}, "cannot be read", id="an unknown entry"),
        pytest.param({"normalisation": {"method": "range", "evil": 1}}, "cannot be read", id="a wrong normalisation"),
        pytest.param({"channels": "3"}, "channels does not fit", id="a number as text"),
        pytest.param({"channels": 10**9}, "channels does not fit", id="a billion channels"),
        pytest.param({"parameters": []}, "parameters does not fit", id="parameters as a list"),
        pytest.param({"outputs": ["other"]}, "outputs does not fit", id="no foreground"),
        pytest.param({"normalisation": {"method": "magic"}}, "normalisation does not fit", id="an unknown method"),
        pytest.param({"network": "os.system"}, "a network that is not here", id="an unknown network"),
        pytest.param({"parameters": {"width": 4}}, "other tensors", id="tensors of another width"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(model: Path, changes: dict[str, object], sentence: str) -> None:
    _with_card(model, **changes)
    with pytest.raises(InputError, match=sentence):
        load_model(model)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        pytest.param(
            {"activation": "sigmoid", "outputs": ["foreground", "uncertainty"]}, True, id="every map for itself"
        ),
        pytest.param({"activation": "categorical", "outputs": ["foreground", "border"]}, True, id="categorical"),
        pytest.param({"activation": "categorical"}, False, id="categorical without a border"),
        pytest.param({"activation": "softmax"}, False, id="unknown"),
        pytest.param({"outputs": ["foreground", "foreground"]}, False, id="two maps of one name"),
    ],
)
def test_how_logits_become_maps_must_fit_the_maps(model: Path, changes: dict[str, object], *, fits: bool) -> None:
    _with_card(model, **changes)
    if fits:
        assert read_card(model).activation == changes["activation"]
    else:
        with pytest.raises(InputError, match=r"(activation|outputs) does not fit"):
            read_card(model)


def test_a_card_of_before_there_were_activations_is_of_the_sigmoid(model: Path) -> None:
    from safetensors.numpy import load_file, save_file

    document = {key: value for key, value in CARD.as_json().items() if key != "activation"}
    save_file(load_file(model), model, metadata={"cellmonai": json.dumps(document)})
    assert read_card(model) == CARD


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.safetensors: cannot be read"):
        read_card(tmp_path / "absent.safetensors")


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7, dtype=np.int64)}
    write_model(tmp_path / "m.safetensors", replace(CARD, text="ü"), tensors)
    found = read_tensors(tmp_path / "m.safetensors")
    assert all(
        np.array_equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in tensors
    )
