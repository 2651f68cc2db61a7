"""What `evaluate` is told and what it finds, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.images.labels import AS_STORED, ValueChoice
from cellmonai.report.evaluation import CENTRE_MEANINGS, GREATER_IS_BETTER, MEANINGS
from cellmonai.workflows.evaluating.centres import CentreRadius

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellmonai.core.progress import Warned
    from cellmonai.instances.mask_kind import AskedKind
    from cellmonai.report.evaluation import EvaluatedImage
    from cellmonai.workflows.evaluating.centres import CentreMatching


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """What `evaluate` may be told.

    Parameters
    ----------
    output : folder for evaluation.csv, evaluation.json and run.json; None writes nothing
    kind, truth_kind : what the predictions and the truth are; `auto` looks at the values
    choice, truth_choice : values of the predictions and of the truth that are cells, where the user names them
    fail_under : measure -> least value it must reach
    bootstrap : how often images are drawn again for 95 % intervals; 0 gives none
    seed : of the bootstrap; None is 0
    recursive : compare the files in folders inside folders too, under equal names of these folders
    overwrite : replace outputs that exist
    centre_radius_px : match cells also by centres less than this apart, in px; None does not
    centre_matching : which of several near centres are paired; None is `optimal`

    Raises
    ------
    UsageError
        A measure of `fail_under` does not exist, is better when smaller or is of centres that are not matched; a seed
        is given without a bootstrap; the radius is not above 0; a matching of centres is given without a radius; values
        are named for label images.
    """

    output: Path | None = None
    kind: AskedKind = "auto"
    truth_kind: AskedKind = "auto"
    choice: ValueChoice = AS_STORED
    truth_choice: ValueChoice = AS_STORED
    fail_under: Mapping[str, float] = field(default_factory=dict)
    bootstrap: int = 0
    seed: int | None = None
    recursive: bool = False
    overwrite: bool = False
    centre_radius_px: float | None = None
    centre_matching: CentreMatching | None = None

    def __post_init__(self) -> None:
        if self.centre_matching is not None and self.centre_radius_px is None:
            raise UsageError("it is of use with --centres alone", where="--centre-matching", cure="add --centres 40")
        with_centres = self.centres is not None  # a wrong radius is refused here
        for name in self.fail_under:
            _require_least_value(name, with_centres=with_centres)
        for kind, choice, start in ((self.kind, self.choice, "--"), (self.truth_kind, self.truth_choice, "--truth-")):
            if choice.is_given and kind == "labels":
                option = start + ("cell-values" if choice.cell_values else "mask-threshold")
                raise UsageError("makes a binary mask", where=option, cure=f"leave {start}kind labels out")
        if self.bootstrap < 0:
            raise UsageError(f"{self.bootstrap} draws", where="--bootstrap", cure="give 0 for none, or 1000")
        if self.seed is not None and not self.bootstrap:
            raise UsageError("a seed is of use with --bootstrap alone", where="--seed", cure="add --bootstrap 1000")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"the seed is {self.seed}", where="--seed", cure="give a whole number, 0 or more")

    @property
    def centres(self) -> CentreRadius | None:
        """How centres are matched; None where that is not asked for."""
        if self.centre_radius_px is None:
            return None
        return CentreRadius(self.centre_radius_px, self.centre_matching or "optimal")

    def as_json(self) -> dict[str, Any]:
        """Give what the run record keeps."""
        return {
            "kind": self.kind,
            "truth_kind": self.truth_kind,
            **self.choice.as_json(),
            **{f"truth_{name}": value for name, value in self.truth_choice.as_json().items()},
            "fail_under": dict(self.fail_under),
            "bootstrap": self.bootstrap,
            "seed": (self.seed or 0) if self.bootstrap else None,
            **(self.centres.as_json() if self.centres else {}),
        }

    def missed(self, summary: Mapping[str, Any]) -> tuple[str, ...]:
        """Say which measures are under their least value, or undefined."""
        return tuple(
            f"{name} is {_number(summary[name])}, at least {least:g} was asked for"
            for name, least in self.fail_under.items()
            if summary[name] is None or summary[name] < least
        )


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """What `evaluate` found; `failures` are (image, reason), `missed` the measures under their least value."""

    inputs: tuple[str, str]
    parameters: dict[str, Any]
    images: tuple[EvaluatedImage, ...]
    failures: tuple[tuple[str, str], ...]
    summary: dict[str, Any]
    totals: dict[str, Any]
    missed: tuple[str, ...]
    outputs: tuple[str, ...]
    warnings: tuple[Warned, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--json` prints."""
        return {
            "schema": "cellmonai.evaluate/1",
            "version": metadata.version("cellmonai"),
            "command": "evaluate",
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "parameters": self.parameters,
            "partial": bool(self.failures),
            "images": [image.as_json() for image in self.images],
            "failures": [{"image": image, "reason": reason} for image, reason in self.failures],
            "summary": self.summary,
            "totals": self.totals,
            "missed": list(self.missed),
        }


def _require_least_value(name: str, *, with_centres: bool) -> None:
    """Refuse a measure of `fail_under` that cannot be asked to reach a least value."""
    if name in CENTRE_MEANINGS:
        if not with_centres:
            raise UsageError(
                f"{name!r} is measured with --centres alone", where="--fail-under", cure="add --centres 40"
            )
    elif name not in MEANINGS:
        known = (*GREATER_IS_BETTER, *CENTRE_MEANINGS)
        raise UsageError(f"there is no measure {name!r}", where="--fail-under", cure=did_you_mean(name, known))
    elif name not in GREATER_IS_BETTER:
        raise UsageError(
            f"{name!r} has no least value to reach",
            where="--fail-under",
            cure="use one of " + ", ".join(GREATER_IS_BETTER),
        )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
