"""Cells matched by their centres, as `--centres` asks for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.core.errors import UsageError
from cellmonai.measure.centres import match_label_centres

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.measure.matching import MatchCounts

CentreMatching = Literal["optimal", "greedy"]


@dataclass(frozen=True, slots=True)
class CentreRadius:
    """How near two centres must be, and which of several near ones are paired.

    Parameters
    ----------
    radius_px : centres at exactly this distance are too far
    matching : `optimal` pairs as many centroids as possible; `greedy` walks the centres of bounding boxes in raster
        order, as published with 50 px

    Raises
    ------
    UsageError
        The radius is not a finite number above 0.

    References
    ----------
    `greedy` with 50 px: Morelli et al. 2021, Scientific Reports 11, 22920.
    """

    radius_px: float
    matching: CentreMatching = "optimal"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius_px) and self.radius_px > 0):
            raise UsageError(
                f"a radius of {self.radius_px:g} px", where="--centres", cure="give pixels above 0, as 40 or 50"
            )

    def match(self, predicted_labels: NDArray[Any], true_labels: NDArray[Any]) -> MatchCounts:
        """Count the matches of two label images of the same shape (Y, X)."""
        return match_label_centres(predicted_labels, true_labels, radius_px=self.radius_px, rule=self.matching).counts

    @property
    def words(self) -> str:
        """How near, and by which rule."""
        return f"less than {self.radius_px:g} px apart ({self.matching})"

    @property
    def options(self) -> str:
        """The options of the command line that ask for this."""
        return f"--centres {self.radius_px:.15g} --centre-matching {self.matching}"

    def as_json(self) -> dict[str, Any]:
        """Give what the run record keeps."""
        return {"centre_radius_px": self.radius_px, "centre_matching": self.matching}
