"""Weights of a Keras c-ResUnet: read to the last bit, and refused with the reason where they are something else."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import torch

from cellmonai.core.errors import InputError
from cellmonai.models.keras import LARGEST_WIDTH, is_published, read_keras_cresunet
from cellmonai.models.keras_layers import layers_of_c_resunet
from cellmonai.nets.c_resunet import CResUnet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

ORACLES = Path(__file__).parents[1] / "data/oracles"
FIRST = {
    "conv2d_1/kernel": np.float32([0.0028932514, -0.16237044, -0.0057095936]).reshape(1, 1, 3, 1),
    "conv2d_1/bias": np.float32([0.2927297]),
    "batch_normalization_1/gamma": np.float32([0.17005211]),
    "batch_normalization_1/beta": np.float32([-0.03283687]),
    "batch_normalization_1/moving_mean": np.float32([0.2896597]),
    "batch_normalization_1/moving_variance": np.float32([7.10894e-05]),
}  # as printed by the authors


@pytest.fixture(scope="module")
def oracle() -> Arrays:
    """A c-ResUnet of width 4 with random weights as Keras holds it, an input and what Keras makes of it."""
    with np.load(ORACLES / "keras_cresunet_n1.npz") as archive:
        return dict(archive)


def write_keras(path: Path, arrays: Arrays, *, root: str = "model_weights", rename: Callable[[str], str] = str) -> Path:
    """Write arrays `layer/name` as Keras 2 writes a model, with a layer without weights and an optimizer."""
    with h5py.File(path, "w") as file:
        weights = file.require_group(root)
        weights.create_group("max_pooling2d_1")
        file.create_dataset("optimizer_weights/Adam/iterations:0", data=np.int64(7))
        for key in sorted(arrays, key=lambda key: key[::-1]):  # any order but that of the layers
            layer, _, name = key.partition("/")
            if not layer.startswith(("input", "output")):
                layer = rename(layer)
                weights.create_dataset(f"{layer}/{layer}/{name}:0", data=arrays[key])
    return path


@pytest.fixture
def keras(tmp_path: Path, oracle: Arrays) -> Path:
    return write_keras(tmp_path / "c-ResUnet.h5", oracle)


def probabilities(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    parameters, state = read_keras_cresunet(path)
    net = CResUnet(channels=3, outputs=1, **parameters)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)
    with torch.inference_mode():
        return torch.sigmoid(net.eval()(torch.from_numpy(image).permute(0, 3, 1, 2))).permute(0, 2, 3, 1).numpy()


def test_the_network_gives_what_keras_gives(keras: Path, oracle: Arrays) -> None:
    assert read_keras_cresunet(keras)[0]["width"] == 4
    assert np.abs(probabilities(keras, oracle["input_nhwc"]) - oracle["output_nhwc"]).max() < 1e-5


def test_layers_are_mapped_by_their_number_as_the_reference_map_says() -> None:
    key_map = json.loads((ORACLES / "keras_key_map.json").read_text("utf-8"))
    found: dict[str, dict[str, str]] = {"conv2d": {}, "conv2d_transpose": {}, "batch_normalization": {}}
    for layer in layers_of_c_resunet(16):
        found[layer.kind][str(layer.ordinal)] = layer.name
    assert found == {kind: key_map[kind] for kind in found}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda n: n - 1, id="from none, as Keras 3"),
        pytest.param(lambda n: n + 21, id="second model of a session"),
    ],
)
def test_a_model_whose_layers_are_counted_from_elsewhere_is_the_same_model(
    tmp_path: Path, oracle: Arrays, keras: Path, change: Callable[[int], int]
) -> None:
    def rename(layer: str) -> str:
        kind, _, number = layer.rpartition("_")
        return f"{kind}_{change(int(number))}".removesuffix("_0")

    other = write_keras(tmp_path / "other.h5", oracle, rename=rename)
    (_, wanted), (_, found) = read_keras_cresunet(keras), read_keras_cresunet(other)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_a_file_of_weights_alone_is_read_as_well(tmp_path: Path, oracle: Arrays) -> None:
    path = write_keras(tmp_path / "weights.h5", oracle, root="/")
    assert np.abs(probabilities(path, oracle["input_nhwc"]) - oracle["output_nhwc"]).max() < 1e-5


def test_names_that_a_session_made_unique_inside_a_layer_do_not_matter(keras: Path, oracle: Arrays) -> None:
    with h5py.File(keras, "r+") as file:
        file["model_weights"].move("conv2d_3/conv2d_3", "conv2d_3/conv2d_3_1")
    assert np.abs(probabilities(keras, oracle["input_nhwc"]) - oracle["output_nhwc"]).max() < 1e-5


def test_weights_in_double_precision_are_rounded(tmp_path: Path, oracle: Arrays) -> None:
    path = write_keras(tmp_path / "double.h5", {key: value.astype(np.float64) for key, value in oracle.items()})
    assert {array.dtype for array in read_keras_cresunet(path)[1].values()} == {np.dtype("f4"), np.dtype("i8")}


def test_the_published_weights_are_known_by_their_first_layer(tmp_path: Path, oracle: Arrays, keras: Path) -> None:
    assert is_published(read_keras_cresunet(write_keras(tmp_path / "p.h5", oracle | FIRST))[1])
    assert not is_published(read_keras_cresunet(keras)[1])


def test_swapped_colours_of_the_published_weights_are_refused(tmp_path: Path, oracle: Arrays) -> None:
    swapped = {"conv2d_1/kernel": FIRST["conv2d_1/kernel"][:, :, ::-1]}
    path = write_keras(tmp_path / "bgr.h5", oracle | FIRST | swapped)
    with pytest.raises(InputError, match=r"bgr\.h5: holds the published first layer with red and blue swapped"):
        read_keras_cresunet(path)


def _plain_resunet(arrays: Arrays) -> Arrays:
    """The same without colour transform and second bridge block, counted anew, as its own model would be."""
    gone = {"conv2d": {1, 13, 14}, "batch_normalization": {1, 9, 10}, "conv2d_transpose": set()}
    kept: Arrays = {"conv2d_1/kernel": np.zeros((3, 3, 3, 4), np.float32), "conv2d_1/bias": np.zeros(4, np.float32)}
    for key, array in arrays.items():
        layer, _, name = key.partition("/")
        kind, _, number = layer.rpartition("_")
        if kind in gone and int(number) not in gone[kind]:
            new = int(number) - sum(int(number) > other for other in gone[kind])
            kept.setdefault(f"{kind}_{new}/{name}", array)
    return kept


def test_a_plain_resunet_is_refused_with_the_cure(tmp_path: Path, oracle: Arrays) -> None:
    path = write_keras(tmp_path / "plain.h5", _plain_resunet(oracle))
    with pytest.raises(InputError, match=r"holds a plain ResUnet: .*network\.colour_transform = false"):
        read_keras_cresunet(path)


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"conv2d_8/kernel": _zeros(3, 3, 8, 15)}, r"conv2d_8/kernel:0 has the shape", id="wrong shape"),
        pytest.param({"conv2d_1/kernel": _zeros(1, 1, 1, 1)}, r"expected \(1, 1, 3, 1\)", id="grey input"),
        pytest.param({"conv2d_21/bias": np.array([1])}, "int64, expected floating-point", id="whole numbers"),
        pytest.param({"conv2d_21/bias": np.float32([np.nan])}, "not finite", id="not a number"),
        pytest.param({"conv2d_21/bias": np.array([1e300])}, "not finite", id="beyond float32"),
        pytest.param({"batch_normalization_1/moving_variance": np.float32([-1])}, "negative variance", id="variance"),
        pytest.param({"conv2d_22/kernel": _zeros(1, 1, 4, 1)}, "22 convolutions, a c-ResUnet has 21", id="one more"),
        pytest.param({"conv2d_2/kernel": _zeros(3, 3, 1, LARGEST_WIDTH + 1)}, "at most 128 is read", id="too wide"),
        pytest.param({"conv2d_2/kernel": _zeros(3, 3)}, r"expected \(3, 3, 1, width\)", id="no kernel"),
        pytest.param({"conv2d_2/kernel": _zeros(3, 3, 1, 8)}, r"conv2d_2/bias:0 has the shape \(4,\)", id="width"),
        pytest.param({"conv2d_9/more/kernel": _zeros(1)}, "two arrays named kernel", id="two of one name"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, oracle: Arrays, changes: Arrays, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_keras_cresunet(write_keras(tmp_path / "m.h5", oracle | changes))


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        pytest.param("conv2d_21", "holds 20 convolutions, a c-ResUnet has 21", id="the last layer"),
        pytest.param("conv2d_transpose_2", "holds 2 transposed convolutions, a c-ResUnet has 3", id="one of three"),
        pytest.param("batch_normalization_7", "holds 15 batch norms, a c-ResUnet has 16", id="a batch norm"),
        pytest.param("conv2d_5/conv2d_5/bias:0", "conv2d_5 lacks bias", id="an array"),
        pytest.param("conv2d_2/conv2d_2/kernel:0", "conv2d_2 lacks kernel", id="the array that tells the width"),
    ],
)
def test_a_missing_layer_or_array_is_named(keras: Path, layer: str, sentence: str) -> None:
    with h5py.File(keras, "r+") as file:
        del file["model_weights"][layer]
    with pytest.raises(InputError, match=sentence):
        read_keras_cresunet(keras)


def test_numbers_with_a_gap_leave_open_which_layer_is_which(keras: Path) -> None:
    with h5py.File(keras, "r+") as file:
        file["model_weights"].move("conv2d_21", "conv2d_30")
    with pytest.raises(InputError, match="numbers its convolutions 1 to 30 without 21"):
        read_keras_cresunet(keras)


BIAS = "model_weights/conv2d_3/conv2d_3/bias:0"


def _soft_link(file: h5py.File) -> None:
    del file[BIAS]
    file[BIAS] = h5py.SoftLink("/model_weights/conv2d_5/conv2d_5/bias:0")


def _external_link(file: h5py.File) -> None:
    del file[BIAS]
    file[BIAS] = h5py.ExternalLink("other.h5", f"/{BIAS}")


def _linked_layer(file: h5py.File) -> None:
    del file["model_weights/conv2d_3"]
    file["model_weights/conv2d_3"] = h5py.ExternalLink("other.h5", "/model_weights/conv2d_3")


def _linked_root(file: h5py.File) -> None:
    del file["model_weights"]
    file["model_weights"] = h5py.ExternalLink("other.h5", "/model_weights")


def _external_values(file: h5py.File) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, shape=(4,), dtype="f4", external=[("other.raw", 0, 16)])


def _virtual_values(file: h5py.File) -> None:
    del file[BIAS]
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", BIAS, shape=(4,))
    file.create_virtual_dataset(BIAS, layout)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(_soft_link, "a link instead of an array", id="soft link"),
        pytest.param(_external_link, "a link instead of an array", id="external link"),
        pytest.param(_linked_layer, "a link instead of an array", id="a layer that is an external link"),
        pytest.param(_linked_root, "a link instead of an array", id="all weights behind an external link"),
        pytest.param(_external_values, "values of .* in another file", id="values in a raw file"),
        pytest.param(_virtual_values, "values of .* in another file", id="virtual dataset"),
    ],
)
def test_what_points_out_of_the_file_is_refused_without_looking_there(
    keras: Path, change: Callable[[h5py.File], None], sentence: str
) -> None:
    shutil.copy(keras, keras.with_name("other.h5"))  # where the links point to there is a good file
    with h5py.File(keras, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=sentence):
        read_keras_cresunet(keras)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        pytest.param("w.pkl", pickle.dumps({"conv2d_1": [1]}), "is a pickle, which is not opened because", id="pickle"),
        pytest.param("w.h5", pickle.dumps([1], protocol=2), "is a pickle", id="pickle under another name"),
        pytest.param("w.pkl", pickle.dumps([1], protocol=0), "is a pickle", id="pickle of text"),
        pytest.param("w.keras", b"PK\x03\x04" + bytes(60), "is a zip archive, as Keras 3", id="zip"),
        pytest.param("w.h5", b"", "is no HDF5 file", id="empty"),
        pytest.param("w.h5", b"\x89HDF\r\n\x1a\n" + bytes(50), "is damaged", id="nothing after the signature"),
    ],
)
def test_what_is_no_hdf5_file_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as failure:
        read_keras_cresunet(path)
    assert "model.save" in failure.value.cure


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.target,)

    def __init__(self, target: Path) -> None:
        self.target = target


def test_what_a_pickle_would_run_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "trap.pkl").write_bytes(pickle.dumps(_Trap(tmp_path / "sprung")))
    with pytest.raises(InputError, match="is a pickle"):
        read_keras_cresunet(tmp_path / "trap.pkl")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_file_cut_off_is_refused(keras: Path, share: float) -> None:
    data = keras.read_bytes()
    keras.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="is damaged"):
        read_keras_cresunet(keras)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.h5", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_keras_cresunet(path)


def test_a_model_without_layers_is_no_c_resunet(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "empty.h5", {})
    with pytest.raises(InputError, match="holds no layers of a Keras model"):
        read_keras_cresunet(path)


def test_an_array_in_the_place_of_a_group_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["model_weights"] = np.zeros(3)
    with pytest.raises(InputError, match="expected a group"):
        read_keras_cresunet(tmp_path / "a.h5")


def test_more_entries_than_a_model_has_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for index in range(1_001):
            file.create_group(f"model_weights/layer_{index}")
    with pytest.raises(InputError, match="more than 1000"):
        read_keras_cresunet(tmp_path / "many.h5")


def test_weights_are_read_without_torch(keras: Path) -> None:
    code = "import sys; from pathlib import Path; from cellmonai.models.keras import read_keras_cresunet; "
    code += f"read_keras_cresunet(Path({str(keras)!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
