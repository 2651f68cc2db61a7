"""Which crops a model errs on: background that it calls cell, so that training can see such crops more often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.data.places import all_places, pixels_at
from cellmonai.inference.predictor import Predictor
from cellmonai.instances.find import foreground
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import WITHOUT_DIGEST, has_digest
from cellmonai.models.load import LoadedModel, load_model
from cellmonai.training.stretches import cutting_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.data.samples import Sample
    from cellmonai.images.normalise import Normalisation
    from cellmonai.recipe.schema import Recipe


def artefact_factors(
    recipe: Recipe, samples: Sequence[Sample], *, normalisation: Normalisation, device: str, reporter: Reporter
) -> dict[str, int]:
    """Give how often crops are seen, by name: `sampling.artefacts.factor` where the model finds cells that are none.

    Parameters
    ----------
    samples : the training images, normalised
    normalisation : how they were

    Raises
    ------
    InputError
        The model cannot be read, or takes other channels or another normalisation than this recipe.
    """
    wanted = recipe.sampling.artefacts
    if wanted is None:
        return {}
    model = load_model(wanted.model)
    if not has_digest(wanted.model):
        reporter.note(f"{wanted.model}: {WITHOUT_DIGEST}")
    _require_same_input(model, samples, normalisation)
    card = model.card
    predictor = Predictor(
        model.net, radius_px=card.radius_px, divisor=card.divisor, tile_exact=card.tile_exact, device=device
    )
    threshold = InstanceSettings.from_json(card.operating_point).threshold
    false = []
    with reporter.stage("looking for artefacts", len(samples)) as stage:
        for sample in samples:
            found = foreground(predictor.predict(sample.image)[card.outputs.index("foreground")], threshold)
            false.append(found & (sample.labels == 0))
            stage.advance()
    cutting = cutting_of(recipe)
    places = all_places(samples, cutting)
    names = [name for name, place in places.items() if pixels_at(place, false, cutting.patch) >= wanted.min_px]
    reporter.note(f"{len(names)} of {len(places)} crops hold artefacts and are seen {wanted.factor} times an epoch")
    return dict.fromkeys(names, wanted.factor)


def _require_same_input(model: LoadedModel, samples: Sequence[Sample], normalisation: Normalisation) -> None:
    card = model.card
    if card.normalisation != normalisation or card.channels != samples[0].image.shape[0]:
        raise InputError(
            f"it takes {card.channels} channels normalised by {card.normalisation.method}, and this recipe gives other",
            where=str(model.path),
            cure="name a model that was trained with the same [data] channels and [normalise]",
        )
