"""The model file carries everything, executes nothing and is not trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cellmonai.core.errors import DivergedError, InputError, OutputError
from cellmonai.images.normalise import Normalisation
from cellmonai.models.file import ModelCard, has_digest, read_card, read_tensors, write_model
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


NESTED: list[object] = []
for _ in range(900):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"format": 99}, "format 99", id="a newer format"),
        pytest.param({"format": True}, "format True", id="a format that is no number"),
        pytest.param({"surprise": 1}, "unknown field 'surprise'", id="an unknown entry"),
        pytest.param({"normalisation": {"method": "range", "evil": 1}}, "normalisation.evil", id="a normalisation"),
        pytest.param({"normalisation": {"method": "magic"}}, "normalisation.method 'magic'", id="an unknown method"),
        pytest.param({"normalisation": {"low": float("nan")}}, "normalisation", id="a percentile of NaN"),
        pytest.param({"normalisation": {"low": 5, "high": 2}}, "normalisation.low 5", id="percentiles the wrong way"),
        pytest.param({"normalisation": {"high": "99"}}, "normalisation.high '99'", id="a percentile as text"),
        pytest.param({"normalisation": {"clip": 1}}, "normalisation.clip 1", id="1 for true"),
        pytest.param({"channels": "3"}, "channels '3'", id="a number as text"),
        pytest.param({"channels": True}, "channels True", id="true as a number"),
        pytest.param({"channels": 10**9}, "channels 1000000000", id="a billion channels"),
        pytest.param({"channels": 2}, "1 channel_names for 2 channels", id="too few names"),
        pytest.param({"channel_names": [7]}, r"channel_names \[7\]", id="a number as a name"),
        pytest.param({"channel_names": "D"}, "channel_names 'D'", id="a name that is no list"),
        pytest.param({"channel_names": ["\ud800"]}, "channel_names", id="a name that is no text"),
        pytest.param({"channel_names": ["D" * 10**5]}, "channel_names", id="a name without end"),
        pytest.param({"parameters": []}, r"parameters \[\]", id="parameters as a list"),
        pytest.param({"parameters": {"width": NESTED}}, "parameters with other values", id="deeply nested parameters"),
        pytest.param({"outputs": ["other"]}, "outputs", id="no foreground"),
        pytest.param({"radius_px": -1}, "radius_px -1", id="a negative radius"),
        pytest.param({"divisor": 0}, "divisor 0", id="a divisor of 0"),
        pytest.param({"divisor": 16.0}, "divisor 16.0", id="a divisor with a fraction"),
        pytest.param({"tile_exact": "yes"}, "tile_exact 'yes'", id="a word where true or false is meant"),
        pytest.param({"pixel_size_um": [0, 0]}, r"pixel_size_um \[0, 0\]", id="pixels of size 0"),
        pytest.param({"pixel_size_um": [-1, 0.5]}, "pixel_size_um", id="a negative pixel size"),
        pytest.param({"pixel_size_um": [10**400, 1]}, "pixel_size_um", id="a pixel size of 10^400"),
        pytest.param({"pixel_size_um": [0.5]}, "pixel_size_um", id="one side of a pixel"),
        pytest.param({"pixel_size_um": 0.5}, "pixel_size_um 0.5", id="a single pixel size"),
        pytest.param({"object_diameter_px": float("nan")}, "object_diameter_px nan", id="a diameter of NaN"),
        pytest.param({"object_diameter_px": float("inf")}, "object_diameter_px inf", id="an infinite diameter"),
        pytest.param({"object_diameter_px": -3}, "object_diameter_px -3", id="a negative diameter"),
        pytest.param({"operating_point": {"threshold": -0.5}}, "threshold is -0.5", id="a negative threshold"),
        pytest.param({"operating_point": {"threshold": "0.5"}}, "threshold is no number", id="a threshold as text"),
        pytest.param({"operating_point": {"threshold": True}}, "threshold is no number", id="a threshold of true"),
        pytest.param({"operating_point": {"threshold": float("nan")}}, "operating_point", id="a threshold of NaN"),
        pytest.param({"operating_point": {"opening": 10**400}}, "operating_point", id="an opening of 10^400"),
        pytest.param({"operating_point": {"split": 1}}, "split is no word", id="a split that is a number"),
        pytest.param({"operating_point": {"fill_holes": 2}}, "fill_holes is no word, true", id="holes as a number"),
        pytest.param({"operating_point": {"magic": 1}}, "unknown setting 'magic'", id="an unknown setting"),
        pytest.param({"calibration": []}, "calibration", id="a calibration that is a list"),
        pytest.param({"calibration": {"version": 1}}, "calibration .* is missing", id="a calibration without numbers"),
        pytest.param({"versions": {"torch": 2}}, "versions", id="a version that is a number"),
        pytest.param({"text": 5}, "text 5", id="a text that is a number"),
        pytest.param({"licence": None}, "licence None", id="no licence at all"),
        pytest.param({"network": "os.system"}, "a network that cannot be built", id="an unknown network"),
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
        with pytest.raises(InputError, match=r"has a card with (activation|outputs)"):
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


def test_the_same_card_and_tensors_give_the_same_bytes(model: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "again.safetensors", read_card(model), read_tensors(model))
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()


def test_a_flipped_bit_in_any_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model(path, CARD, {"a": np.arange(6, dtype=np.float32)})
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"m\.safetensors: "):
            read_card(path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda content: content[:-4] + content[-8:-4], id="other weights"),
        pytest.param(lambda content: content.replace(b"0.45", b"0.55"), id="another threshold"),
        pytest.param(lambda content: content.replace(b"DAPI", b"GFPx"), id="another channel"),
    ],
)
def test_a_change_of_equal_length_is_noticed_by_all_readers(model: Path, change: Callable[[bytes], bytes]) -> None:
    model.write_bytes(change(model.read_bytes()))
    for read in (read_card, read_tensors, load_model):
        with pytest.raises(InputError, match="was changed: it is not what its digest was made of"):
            read(model)


@pytest.mark.parametrize(
    ("value", "number"), [(np.nan, "1 values"), (np.inf, "1 values"), (-np.inf, "1 values")], ids=["NaN", "inf", "-inf"]
)
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float, number: str) -> None:
    from safetensors.numpy import save_file

    tensors = {"a": np.array([1.0, value], np.float32)}
    save_file(tensors, tmp_path / "m.safetensors", metadata={"cellmonai": json.dumps(CARD.as_json())})
    with pytest.raises(InputError, match=f"the tensor a holds {number} that are NaN or infinite"):
        read_tensors(tmp_path / "m.safetensors")
    with pytest.raises(DivergedError, match="NaN or infinite"):
        write_model(tmp_path / "new.safetensors", CARD, tensors)
    assert not (tmp_path / "new.safetensors").exists()


def test_a_model_without_a_digest_is_read_and_known_by_it(model: Path) -> None:
    assert has_digest(model)
    _with_card(model)
    assert not has_digest(model)
    assert read_card(model) == CARD


@pytest.mark.skipif(os.name != "posix", reason="no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.safetensors"
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
    }[kind]()
    with pytest.raises(InputError, match=r"m\.safetensors: "):
        read_card(path)
