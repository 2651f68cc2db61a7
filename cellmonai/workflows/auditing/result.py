"""What a filled audit says: the corrected total, its intervals, and how much more counting would narrow them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.measure.audits.estimates import NORMAL_LABEL

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.workflows.auditing.record import AuditRecord

LEVEL = 0.95
"""Of intervals, where no other is asked for."""


@dataclass(frozen=True, slots=True)
class AuditedUnit:
    """A unit that was counted: its number, where it lies, and both counts."""

    number: int
    image: str
    plane: str
    box: tuple[int, int, int, int]
    ai_count: int
    true_count: int
    stratum: int

    @property
    def error(self) -> int:
        """True minus predicted count: positive where the computer missed cells."""
        return self.true_count - self.ai_count


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many units a half-width of the total takes; None where a method cannot say."""

    half_width: float
    betting: int | None
    normal: int | None


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit found.

    Parameters
    ----------
    sheet : the file that was read
    record : what was frozen at the draw
    counted : the units that were counted, in the order of the draw
    total : estimated number of cells in all units, without bias
    interval : betting interval of that number, whole numbers, both ends in it; None when void
    normal : the textbook interval beside it; None with fewer than two units in a stratum
    most_wrong : units with an error, of all, at most (with the chance `level`)
    sizes : units to count for narrower intervals
    level : chance at least with which the interval holds the true total
    """

    sheet: Path
    record: AuditRecord
    counted: tuple[AuditedUnit, ...]
    total: float
    interval: tuple[int, int] | None
    normal: tuple[float, float] | None
    most_wrong: int
    sizes: tuple[SampleSize, ...]
    level: float = LEVEL

    @property
    def units(self) -> int:
        """How many units there are in all."""
        return int(self.record.frame.counts.size)

    @property
    def ai_total(self) -> int:
        """Cells in all units as the computer counted them."""
        return int(self.record.frame.counts.sum())

    @property
    def wrong(self) -> int:
        """Units counted whose predicted count was wrong."""
        return sum(unit.error != 0 for unit in self.counted)

    @property
    def beyond_bound(self) -> tuple[AuditedUnit, ...]:
        """Units with an error beyond the declared bound."""
        return tuple(unit for unit in self.counted if abs(unit.error) > self.record.bounds[unit.stratum])

    @property
    def partial(self) -> bool:
        """Whether fewer units were counted than drawn."""
        return len(self.counted) < len(self.record.drawn)

    @property
    def interval_reason(self) -> str | None:
        """Say why there is no interval; None when there is one."""
        if self.interval is not None:
            return None
        worst = max(self.beyond_bound, key=lambda unit: abs(unit.error))
        one = self.record.unit.removesuffix("s")
        return (
            f"void: {one} {worst.number} is off by {abs(worst.error):,} cells, beyond the bound of "
            f"{self.record.bounds[worst.stratum]:,} that was declared at the draw; draw and count a new audit with a "
            "greater bound"
        )

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--json` prints."""
        ends = None if self.interval is None else {"low": self.interval[0], "high": self.interval[1]}
        normal = None if self.normal is None else {"low": _rounded(self.normal[0]), "high": _rounded(self.normal[1])}
        return {
            "schema": "cellmonai.audit/1",
            "version": version("cellmonai"),
            "command": "count",
            "inputs": [self.sheet.as_posix()],
            "outputs": [],
            "warnings": [],
            "unit": self.record.unit,
            "units": self.units,
            "drawn": len(self.record.drawn),
            "counted": len(self.counted),
            "partial": self.partial,
            "ai_total": self.ai_total,
            "total": _rounded(self.total),
            "interval": None if ends is None else {**ends, "level": self.level, "method": "betting"},
            "interval_reason": self.interval_reason,
            "normal_interval": None if normal is None else {**normal, "level": self.level, "label": NORMAL_LABEL},
            "bounds": list(self.record.bounds),
            "wrong_units": {"seen": self.wrong, "at_most": self.most_wrong, "of": self.units, "level": self.level},
            "sample_sizes": [
                {"half_width": _rounded(s.half_width), "betting": s.betting, "normal": s.normal} for s in self.sizes
            ],
            "seed": self.record.seed,
            "seed_given": self.record.seed_given,
            "digest": self.record.digest,
            "audited": [
                {
                    "unit": unit.number,
                    "image": unit.image,
                    "plane": unit.plane,
                    "box": list(unit.box),
                    "ai_count": unit.ai_count,
                    "true_count": unit.true_count,
                }
                for unit in self.counted
            ],
        }


def _rounded(value: float) -> float:
    return round(value, 3)
