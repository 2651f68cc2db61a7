"""import_keras: the weights of a Keras c-ResUnet in, a model file out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import UsageError
from cellmonai.core.files import refuse_existing, resolved, sha256_of
from cellmonai.core.record import versions
from cellmonai.images.channels import RGB_NAMES
from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.keras import is_published, read_keras_cresunet
from cellmonai.nets.catalogue import describe, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NETWORK = "c_resunet"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A finished import; `published` tells by the first layer whether the weights are those of Morelli et al. 2021."""

    source: Path
    source_sha256: str
    model: Path
    model_sha256: str
    parameters: Mapping[str, Any]
    operating_point: Mapping[str, Any]
    published: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Give the document of `cellmonai.models.import/1`."""
        return {
            "schema": "cellmonai.models.import/1",
            "version": version("cellmonai"),
            "command": "models import",
            "inputs": [str(self.source)],
            "outputs": [str(self.model)],
            "warnings": [],
            "seconds": round(self.seconds, 3),
            "model": str(self.model),
            "model_sha256": self.model_sha256,
            "source_sha256": self.source_sha256,
            "network": _NETWORK,
            "parameters": dict(self.parameters),
            "operating_point": dict(self.operating_point),
            "published": self.published,
        }


def import_keras(path: Path, *, output: Path, threshold: float = 0.5, overwrite: bool = False) -> ImportResult:
    """Write the weights of a c-ResUnet that Keras saved as a model file that `infer` runs.

    Parameters
    ----------
    path : HDF5 file that Keras wrote
    output : the model file to write, as model.safetensors
    threshold : foreground probability of the operating point; the file does not hold one
    overwrite : replace a model file that is there

    Raises
    ------
    InputError
        The file does not fit; see `models.keras.read_keras_cresunet`.
    UsageError, OutputError
        The threshold is no probability, or `output` is `path`, exists or cannot be written.
    """
    started = time.monotonic()
    point = InstanceSettings(threshold=threshold).as_json()
    if resolved(output) == resolved(path):
        raise UsageError("is also the file to import", where=str(output), cure="choose another --output")
    refuse_existing([output], overwrite=overwrite)
    found, tensors = read_keras_cresunet(path)
    parameters = resolve(_NETWORK, found)
    network, digest = describe(_NETWORK, parameters), sha256_of(path)
    card = ModelCard(
        network=_NETWORK,
        parameters=parameters,
        channels=3,
        channel_names=RGB_NAMES,
        normalisation=Normalisation("range", 0.0, 255.0),
        operating_point=point,
        radius_px=network.radius_px,
        divisor=network.divisor,
        tile_exact=network.tile_exact,
        versions=versions(),
        text=f"imported from Keras weights with the SHA-256 digest {digest}",
    )
    write_model(output, card, tensors, overwrite=overwrite)
    return ImportResult(
        source=path,
        source_sha256=digest,
        model=output,
        model_sha256=sha256_of(output),
        parameters=parameters,
        operating_point=point,
        published=is_published(tensors),
        seconds=time.monotonic() - started,
    )
