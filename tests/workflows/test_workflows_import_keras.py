"""import_keras: Keras weights in, a model file out that infer runs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

from cellmonai.core.errors import InputError, OutputError, UsageError
from cellmonai.images.maps import read_maps
from cellmonai.models.file import read_card
from cellmonai.models.load import load_model
from cellmonai.nets.catalogue import describe
from cellmonai.workflows.import_keras import import_keras
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring.settings import InferSettings

ORACLE = Path(__file__).parents[1] / "data/oracles/keras_cresunet_n1.npz"


@pytest.fixture
def keras(tmp_path: Path) -> Path:
    path = tmp_path / "c-ResUnet.h5"
    with np.load(ORACLE) as archive, h5py.File(path, "w") as file:
        for key in archive.files:
            layer, _, name = key.partition("/")
            if name:
                file[f"model_weights/{layer}/{layer}/{name}:0"] = archive[key]
    return path


def test_the_card_says_what_the_original_takes(keras: Path, tmp_path: Path) -> None:
    result = import_keras(keras, output=tmp_path / "model.safetensors")
    card, facts = read_card(result.model), describe("c_resunet", {"width": 4})
    assert (card.network, card.parameters["width"], card.channel_names) == ("c_resunet", 4, ("red", "green", "blue"))
    assert (card.normalisation.method, card.normalisation.low, card.normalisation.high) == ("range", 0, 255)
    assert (card.radius_px, card.divisor, card.tile_exact) == (facts.radius_px, facts.divisor, facts.tile_exact)
    assert card.outputs == ("foreground",)
    assert card.operating_point["threshold"] == 0.5
    assert result.source_sha256 in card.text


def test_the_imported_model_gives_what_keras_gives(keras: Path, tmp_path: Path) -> None:
    net = load_model(import_keras(keras, output=tmp_path / "model.safetensors").model).net
    with np.load(ORACLE) as archive, torch.inference_mode():
        found = torch.sigmoid(net(torch.from_numpy(archive["input_nhwc"]).permute(0, 3, 1, 2)))
        assert np.abs(found.permute(0, 2, 3, 1).numpy() - archive["output_nhwc"]).max() < 1e-5


def test_infer_runs_an_imported_model_on_a_colour_image(keras: Path, tmp_path: Path) -> None:
    model = import_keras(keras, output=tmp_path / "model.safetensors").model
    pixels = np.random.default_rng(0).integers(0, 256, (45, 61, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "field.tif", pixels, photometric="rgb")
    infer([tmp_path / "field.tif"], settings=InferSettings(output=tmp_path / "out", model=model, device="cpu"))
    (written,) = (tmp_path / "out").glob("*maps*")
    maps = read_maps(written).maps
    with torch.inference_mode():
        image = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
        expected = torch.sigmoid(load_model(model).net(image))[0].numpy()
    assert np.abs(maps - expected).max() < 2e-3  # stored in half precision


def test_a_threshold_that_is_given_becomes_the_operating_point(keras: Path, tmp_path: Path) -> None:
    result = import_keras(keras, output=tmp_path / "model.safetensors", threshold=0.6)
    assert result.operating_point["threshold"] == 0.6
    assert read_card(result.model).operating_point == result.operating_point


def test_a_threshold_that_is_no_probability_is_refused(keras: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"threshold is 1\.5"):
        import_keras(keras, output=tmp_path / "model.safetensors", threshold=1.5)


def test_a_model_that_is_there_is_replaced_only_when_asked(keras: Path, tmp_path: Path) -> None:
    model = import_keras(keras, output=tmp_path / "model.safetensors").model
    with pytest.raises(OutputError, match="exists already"):
        import_keras(keras, output=model)
    import_keras(keras, output=model, threshold=0.7, overwrite=True)
    assert read_card(model).operating_point["threshold"] == 0.7


def test_the_file_to_import_is_never_replaced(keras: Path) -> None:
    before = keras.read_bytes()
    with pytest.raises(UsageError, match="is also the file to import"):
        import_keras(keras, output=keras.parent / "." / keras.name, overwrite=True)
    assert keras.read_bytes() == before


def test_nothing_is_written_when_the_file_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "weights.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="is a pickle"):
        import_keras(tmp_path / "weights.pkl", output=tmp_path / "model.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pkl"]


def test_the_document_says_what_was_done(keras: Path, tmp_path: Path) -> None:
    document = import_keras(keras, output=tmp_path / "model.safetensors").as_json()
    assert document["schema"] == "cellmonai.models.import/1"
    assert (document["inputs"], document["outputs"]) == ([str(keras)], [str(tmp_path / "model.safetensors")])
    assert document["parameters"] == {
        "width": 4,
        "attention_gates": False,
        "activation": "elu",
        "colour_transform": True,
        "second_bridge": True,
    }
    assert document["published"] is False
