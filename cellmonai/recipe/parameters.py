"""Parameters of what a recipe names: plain rows, checked without the library behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellmonai.core.errors import RecipeError
from cellmonai.core.text import did_you_mean

_LARGEST = 1e300  # a whole number may be beyond any float


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its default, which also says its kind, and what is allowed.

    Parameters
    ----------
    default : float (a number), int (a whole number), tuple of two floats (a range from, to) or str (a word)
    meaning : what it does, with its unit
    low, high : bounds, both allowed; for a range they hold for both ends
    choices : the only values allowed, when not empty
    """

    default: float | int | str | tuple[float, float]
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Any, ...] = ()

    def check(self, value: object) -> Any:  # noqa: ANN401 - whatever kind the default has
        """Give `value` in the kind of the default: whole numbers become floats, lists tuples.

        Raises
        ------
        ValueError
            It is of another kind or out of bounds; the message says what was expected, as in `expected 0 to 1`.
        """
        if misfit := self._misfit(value):
            raise ValueError(misfit)
        if isinstance(self.default, tuple) and isinstance(value, (list, tuple)):
            return tuple(float(end) for end in value)
        return float(value) if isinstance(self.default, float) and isinstance(value, (int, float)) else value

    @property
    def allowed(self) -> str:
        """The values allowed, in words: `2 to 512`, `'elu', 'relu'`."""
        return ", ".join(map(_as_in_toml, self.choices)) or self._bounds()

    def as_json_schema(self) -> dict[str, Any]:
        """Give this parameter as JSON Schema."""
        schema: dict[str, Any] = {"description": self.meaning}
        if self.choices:
            return schema | {"enum": list(self.choices), "default": self.default}
        number: dict[str, Any] = {"type": "integer" if isinstance(self.default, int) else "number"}
        if math.isfinite(self.low):
            number["minimum"] = self.low
        if math.isfinite(self.high):
            number["maximum"] = self.high
        if isinstance(self.default, tuple):
            pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
            return schema | pair | {"default": list(self.default)}
        return schema | number | {"default": self.default}

    def _misfit(self, value: object) -> str:
        """Say what was expected, or nothing when the value fits."""
        if self.choices:
            fits = any(type(choice) is type(value) and choice == value for choice in self.choices)
            return "" if fits else f"expected one of {self.allowed}"
        if not isinstance(self.default, tuple):
            return self._misfit_of_number(value)
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            return "expected two numbers [from, to]"
        if misfit := self._misfit_of_number(value[0]) or self._misfit_of_number(value[1]):
            return misfit
        return "" if value[0] <= value[1] else "expected [from, to] with from not above to"

    def _misfit_of_number(self, value: object) -> str:
        whole = isinstance(self.default, int)
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not abs(value) < _LARGEST:
            return "expected a whole number" if whole else "expected a number"
        return "" if self.low <= value <= self.high else f"expected {self._bounds()}"

    def _bounds(self) -> str:
        if math.isinf(self.high):
            return f"{self.low:g} or more"
        if math.isinf(self.low):
            return f"{self.high:g} or less"
        return f"{self.low:g} to {self.high:g}"


def _as_in_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


ParameterTable = Mapping[str, Mapping[str, Parameter]]
"""Name of the thing -> name of its parameter -> the parameter."""


def fill_parameters(
    owner: str, known: Mapping[str, Parameter], given: Mapping[str, Any], *, section: str
) -> dict[str, Any]:
    """Check the parameters given to `owner` and put defaults where none is given.

    Raises
    ------
    RecipeError
        An unknown parameter or a value that does not fit; `where` is the recipe's key, `section.parameter`.
    """
    full: dict[str, Any] = {key: parameter.default for key, parameter in known.items()}
    for key, value in given.items():
        if key not in full:
            cure = did_you_mean(key, full)
            raise RecipeError(f"{owner} has no parameter {key!r}", where=f"{section}.{key}", cure=cure)
        try:
            full[key] = known[key].check(value)
        except ValueError as error:
            raise RecipeError(f"{value!r} does not fit", where=f"{section}.{key}", cure=str(error)) from error
    return full
