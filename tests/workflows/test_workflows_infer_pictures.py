"""infer --pictures: what a network looked at, for images of any size, or why it cannot be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from random_networks import write_random_model

from cellmonai.core.errors import CellmonaiError, MemoryBudgetError, UsageError
from cellmonai.images.maps import read_maps
from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import tensors_of
from cellmonai.nets.catalogue import build, describe, resolve
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "gated.safetensors")


def write_untrained(path: Path, name: str, parameters: dict[str, Any], **card: object) -> Path:
    """Write a model file of a network with the weights it begins its training with."""
    torch.manual_seed(0)
    facts, outputs = describe(name, parameters), card.get("outputs", ("foreground",))
    values: dict[str, Any] = {
        "network": name,
        "parameters": resolve(name, parameters),
        "channels": 1,
        "channel_names": ("nuclei",),
        "normalisation": Normalisation(),
        "operating_point": InstanceSettings(threshold=0.5).as_json(),
        "radius_px": facts.radius_px,
        "divisor": facts.divisor,
        "tile_exact": facts.tile_exact,
    }
    net = build(name, parameters, channels=1, outputs=len(outputs))  # type: ignore[arg-type] # a tuple
    write_model(path, ModelCard(**(values | card)), tensors_of(net.eval()))
    return path


def write_noise(name: str, *shape: int) -> Path:
    path = Path(name)
    pixels = np.random.default_rng(1).integers(0, 4000, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


def run(images: list[Path], model: Path, **settings: object) -> InferResult:
    return infer(images, settings=InferSettings(model=model, **settings))  # type: ignore[arg-type] # each test gives what fits


def picture(folder: str, name: str) -> NDArray[np.uint8]:
    with Image.open(Path(folder) / name) as found:
        return np.asarray(found.convert("RGB"))


def shown(folder: str, stem: str = "x") -> dict[str, Any]:
    record = json.loads((Path(folder) / "run.json").read_text())
    (entry,) = (image for image in record["images"] if Path(image["image"]).stem == stem)
    return dict(entry["pictures"])


def test_attention_is_one_picture_with_a_map_for_every_gate(gated: Path) -> None:
    run([write_noise("x.tif", 70, 101)], gated, pictures=("attention",))
    assert sorted(path.name for path in Path("masks").glob("*.png")) == ["x_attention.png"]
    gates = shown("masks")["attention"]["gates"]
    assert [gate["px_per_value"] for gate in gates] == [4, 2, 1]
    assert all(0 <= low < high <= 1 for low, high in (gate["range"] for gate in gates))
    assert picture("masks", "x_attention.png").std() > 10


def test_attention_does_not_depend_on_the_window(gated: Path) -> None:
    image = write_noise("x.tif", 150, 203)
    run([image], gated, output=Path("one"), pictures=("attention",))
    run([image], gated, output=Path("many"), pictures=("attention",), window=104)
    assert shown("one")["attention"]["windows"] == 1
    assert shown("many")["attention"]["windows"] == 18
    assert np.array([gate["range"] for gate in shown("one")["attention"]["gates"]]) == pytest.approx(
        np.array([gate["range"] for gate in shown("many")["attention"]["gates"]]), abs=1e-5
    )
    one, many = picture("one", "x_attention.png"), picture("many", "x_attention.png")
    panels = slice(0, 2 * (26 + 3 * 150 + 16))  # the caption below differs: it tells the windows
    assert np.abs(one[panels].astype(int) - many[panels]).max() <= 2


def test_saliency_explains_the_pixel_asked_for_or_the_most_probable_one(gated: Path) -> None:
    image = write_noise("x.tif", 150, 203)
    run([image], gated, output=Path("asked"), pictures=("saliency",), at=(190, 20))
    run([image], gated, output=Path("best"), pictures=("saliency", "overlay"))
    assert shown("asked")["saliency"]["at_px"] == [190, 20]
    assert shown("asked")["saliency"]["box_px"] == [0, 144, 64, 203]  # 40 px around the 8 px that hold it
    x, y = shown("best")["saliency"]["at_px"]
    probability = read_maps(Path("best/x_maps.zarr")).maps[0]
    assert probability[y, x] == probability.max()  # of those that float16 makes equal
    assert shown("best")["saliency"]["probability"] == pytest.approx(probability[y, x], abs=1e-3)
    assert shown("best")["saliency"]["steepest"] > 0
    assert picture("asked", "x_saliency.png").shape != picture("best", "x_overlay.png").shape


def test_saliency_needs_one_small_window_of_a_large_image(gated: Path) -> None:
    run([write_noise("x.tif", 300, 400)], gated, pictures=("saliency",), window=104, at=(250, 150))
    row0, col0, row1, col1 = shown("masks")["saliency"]["box_px"]
    assert (row1 - row0, col1 - col0) == (88, 88)


def test_uncertainty_and_saliency_of_a_model_that_predicts_its_uncertainty() -> None:
    model = write_untrained(Path("fpn.safetensors"), "fpn", {}, outputs=("foreground", "uncertainty"))
    run([write_noise("x.tif", 70, 101)], model, pictures=("uncertainty", "saliency"), threshold=0.1)
    maps = read_maps(Path("masks/x_maps.zarr"))
    assert maps.names == ("foreground", "uncertainty")
    assert shown("masks")["uncertainty"]["range"] == pytest.approx([maps.maps[1].min(), maps.maps[1].max()], abs=1e-3)
    assert shown("masks")["saliency"]["box_px"] == [0, 0, 70, 101]  # its result depends on the whole image
    assert {"x_uncertainty.png", "x_saliency.png"} == {path.name for path in Path("masks").glob("*.png")}
    counted = count([Path("masks")], settings=CountSettings(split="auto"))
    assert counted.as_json()["parameters"]["landscape"] == "distance transform"


def test_maps_of_a_categorical_model_nest_and_split_cells_along_the_border() -> None:
    outputs = ("foreground", "border")
    parameters = {"width": 4, "levels": 3}
    name = "monai_attention_unet"
    for activation in ("categorical", "sigmoid"):
        path = Path(f"{activation}.safetensors")
        write_untrained(path, name, parameters, outputs=outputs, activation=activation)
        run([write_noise("x.tif", 70, 101)], path, output=Path(activation), pictures=("saliency",))
    foreground, border = read_maps(Path("categorical/x_maps.zarr")).maps
    assert (border <= foreground).all()
    # the sum of two odds: P(inside) + P(border) against the background, whose logit is 0
    odds = [p / (1 - p) for p in read_maps(Path("sigmoid/x_maps.zarr")).maps.astype(np.float64)]
    assert foreground == pytest.approx(sum(odds) / (1 + sum(odds)), abs=2e-3)
    assert border == pytest.approx(odds[1] / (1 + sum(odds)), abs=2e-3)
    assert json.loads(Path("categorical/run.json").read_text())["model"]["activation"] == "categorical"
    counted = count([Path("categorical")], settings=CountSettings(split="auto"))
    assert counted.as_json()["parameters"]["landscape"] == "1 - border map"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param({"pictures": ("attention",)}, "no attention gates; leave attention out", id="no gates"),
        pytest.param({"pictures": ("uncertainty",)}, "gives no uncertainty map, only foreground", id="no uncertainty"),
        pytest.param({"pictures": ("saliency",), "at": (101, 0)}, "x.tif, which is 101 x 70 px", id="x outside"),
        pytest.param({"pictures": ("saliency",), "at": (0, 70)}, "give X below 101 and Y below 70", id="y outside"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_done(settings: dict[str, Any], sentence: str) -> None:
    model = write_untrained(Path("plain.safetensors"), "basic_unet", {"width": 2})
    with pytest.raises(UsageError, match=sentence):
        run([write_noise("x.tif", 70, 101)], model, **settings)
    assert not Path("masks").exists()


@pytest.mark.parametrize("kind", ["attention", "saliency"])
def test_a_network_that_sees_everything_is_explained_in_one_window_only(tmp_path: Path, kind: str) -> None:
    model = write_random_model(tmp_path / "model.safetensors", tile_exact=False)
    image = write_noise("x.tif", 150, 203)
    with pytest.raises(UsageError, match=f"--pictures {kind}: .* use --window 208 for a single window"):
        run([image], model, pictures=(kind,), window=104)
    assert not Path("masks").exists()
    run([image], model, pictures=(kind,))
    assert Path(f"masks/x_{kind}.png").is_file()


def test_saliency_that_memory_does_not_hold_is_refused_before_the_start(gated: Path) -> None:
    image = write_noise("x.tif", 120, 120)
    run([image], gated, output=Path("without"), window=104, memory=72_000_000, engine="torch")
    with pytest.raises(MemoryBudgetError, match=r"x\.tif: saliency needs .* raise --memory or leave saliency out"):
        run([image], gated, output=Path("with"), window=104, memory=3_000_000, pictures=("saliency",))
    assert not Path("with").exists()


@pytest.mark.parametrize("stitch", ["constant", "minimum"])
def test_networks_are_explained_whatever_the_stitch(gated: Path, stitch: str) -> None:
    image = write_noise("x.tif", 150, 203)
    run([image], gated, stitch=stitch, window=64, pictures=("attention", "saliency"))
    assert len(shown("masks")["attention"]["gates"]) == 3


@pytest.mark.parametrize("wrong", [{"at": (1, 2)}, {"at": (-1, 2), "pictures": ("saliency",)}], ids=str)
def test_a_pixel_that_explains_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CellmonaiError) as caught:
        InferSettings(**wrong)
    assert caught.value.exit_code == 2
