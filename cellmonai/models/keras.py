"""Weights of a c-ResUnet from Keras, read from HDF5 without running anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.models.hdf5 import arrays_below, child, names_in, open_hdf5, read_floats, shape_of
from cellmonai.models.keras_layers import layers_of_c_resunet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.models.keras_layers import Kind

    # number that Keras gave a layer, by kind, with its group in the file
    Numbered = dict[Kind, dict[int, Any]]

LARGEST_WIDTH = 128
"""Of a file that is read: its largest kernel then has 26 million numbers."""

# the first layer of the published weights: red, green, blue
_PUBLISHED_KERNEL = (0.0028932514, -0.16237044, -0.0057095936)
_PUBLISHED = {
    "colour_conv.bias": 0.2927297,
    "colour_bn.weight": 0.17005211,
    "colour_bn.bias": -0.03283687,
    "colour_bn.running_mean": 0.2896597,
    "colour_bn.running_var": 7.10894e-05,
}
_KINDS: tuple[Kind, ...] = ("conv2d", "conv2d_transpose", "batch_normalization")
_WORDS: dict[Kind, str] = {
    "conv2d": "convolutions",
    "conv2d_transpose": "transposed convolutions",
    "batch_normalization": "batch norms",
}
_CURE = "give the HDF5 file of a c-ResUnet, as Keras writes it with model.save('c-ResUnet.h5')"


def read_keras_cresunet(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    """Read the weights of a c-ResUnet that Keras saved.

    Parameters
    ----------
    path : HDF5 file of a whole model (`model_weights/LAYER/LAYER/NAME:0`) or of weights alone

    Returns
    -------
    The parameters of the catalogue's `c_resunet`, with the width of the file, and its tensors by name: float32 in the
    layout of torch, and an int64 counter for each batch norm.

    Raises
    ------
    InputError
        The file is no HDF5 file (a pickle is never opened), links to elsewhere, is another network, lacks a layer,
        leaves open which layer is which, or holds an array of another shape, type or range.

    References
    ----------
    Morelli et al. 2021, Scientific Reports 11, 22920; weights: github.com/robomorelli/cell_counting_yellow.
    """
    with open_hdf5(path, cure=_CURE) as file:
        weights = child(file, "model_weights", path)
        numbered = _numbered_layers(file if weights is None else weights, path)
        firsts = {kind: _first_number(kind, numbered, path) for kind in _KINDS}
        width = _width(numbered["conv2d"][firsts["conv2d"] + 1], path)
        state: dict[str, NDArray[np.generic]] = {}
        for layer in layers_of_c_resunet(width):
            group = numbered[layer.kind][firsts[layer.kind] + layer.ordinal - 1]
            found = arrays_below(group, path)
            _require(set(layer.arrays) <= set(found), f"{group.name} lacks {_missing(layer.arrays, found)}", path)
            state |= layer.tensors({name: read_floats(found[name], layer.arrays[name], path) for name in layer.arrays})
    _check_variances(state, path)
    _refuse_swapped_colours(state, path)
    options = {"attention_gates": False, "activation": "elu", "colour_transform": True, "second_bridge": True}
    return {"width": width, **options}, state


def is_published(state: Mapping[str, NDArray[np.generic]]) -> bool:
    """Tell by the first layer whether tensors are the weights that Morelli et al. published.

    They read almost only the green channel.
    """
    first = state["colour_conv.weight"].ravel()
    return _close(first, _PUBLISHED_KERNEL) and all(_close(state[name], value) for name, value in _PUBLISHED.items())


def _numbered_layers(weights: Any, path: Path) -> Numbered:  # noqa: ANN401 - h5py has no types
    """Find the layers by kind; Keras calls them conv2d, conv2d_1, … in new versions and conv2d_1, … in old ones."""
    numbered: Numbered = {kind: {} for kind in _KINDS}
    for name in names_in(weights, path):
        match = re.fullmatch(r"(conv2d|conv2d_transpose|batch_normalization)(?:_([1-9][0-9]{0,5}))?", name)
        if match and (layer := child(weights, name, path)) is not None:
            kind = next(kind for kind in _KINDS if kind == match[1])
            numbered[kind][int(match[2] or 0)] = layer
    _require(any(numbered.values()), "holds no layers of a Keras model", path)
    return numbered


def _first_number(kind: Kind, numbered: Numbered, path: Path) -> int:
    """Give the number of the first layer of a kind: Keras counts on through a session, so it need not be 1.

    Only as many layers as a c-ResUnet has, without a gap, leave no doubt which is which.
    """
    expected = sum(layer.kind == kind for layer in layers_of_c_resunet(1))
    numbers = sorted(numbered[kind])
    found = {kind: len(layers) for kind, layers in numbered.items()}
    if found == {"conv2d": 18, "conv2d_transpose": 3, "batch_normalization": 13}:
        raise InputError(
            "holds a plain ResUnet: its first convolution reads the colours and its bridge has one block",
            where=str(path),
            cure="give the file of a c-ResUnet, or train the plain one with network.colour_transform = false and "
            "network.second_bridge = false",
        )
    _require(len(numbers) == expected, f"holds {len(numbers)} {_WORDS[kind]}, a c-ResUnet has {expected}", path)
    if numbers[-1] - numbers[0] != expected - 1:
        gap = next(n for n in range(numbers[0], numbers[-1]) if n not in numbered[kind])
        raise InputError(
            f"numbers its {_WORDS[kind]} {numbers[0]} to {numbers[-1]} without {gap}: it is not clear which is which",
            where=str(path),
            cure="save the model alone, from a new Keras session",
        )
    return numbers[0]


def _width(second: Any, path: Path) -> int:  # noqa: ANN401 - h5py has no types
    """Read the width off the second convolution, the first of the stem."""
    arrays = arrays_below(second, path)
    _require("kernel" in arrays, f"{second.name} lacks kernel", path)
    shape = shape_of(arrays["kernel"], path)
    _require(len(shape) == 4, f"{arrays['kernel'].name} has the shape {shape}, expected (3, 3, 1, width)", path)
    _require(1 <= shape[-1] <= LARGEST_WIDTH, f"has a width of {shape[-1]}, at most {LARGEST_WIDTH} is read", path)
    return shape[-1]


def _check_variances(state: Mapping[str, NDArray[Any]], path: Path) -> None:
    for name, values in state.items():
        if name.endswith("running_var"):
            _require(float(values.min()) >= 0, f"holds a negative variance in the layer of {name}", path)


def _refuse_swapped_colours(state: Mapping[str, NDArray[np.generic]], path: Path) -> None:
    first = state["colour_conv.weight"].ravel()
    if _close(first[::-1], _PUBLISHED_KERNEL) and not _close(first, _PUBLISHED_KERNEL):
        raise InputError(
            "holds the published first layer with red and blue swapped",
            where=str(path),
            cure="give the original file; images are read as red, green, blue",
        )


def _close(values: NDArray[np.generic], expected: float | tuple[float, ...]) -> bool:
    return bool(np.allclose(np.asarray(values, np.float64), expected, rtol=1e-4, atol=0))


def _missing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return " and ".join(name for name in wanted if name not in found)


def _require(fits: bool, what: str, path: Path) -> None:  # noqa: FBT001 - a condition, as in assert
    if not fits:
        raise InputError(what, where=str(path), cure=_CURE)
