"""The settings: what is allowed, and their form in files."""

from __future__ import annotations

import json

import pytest

from cellmonai.core.errors import UsageError
from cellmonai.instances.settings import InstanceSettings


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("threshold", 1.5, "threshold is 1.5, expected a number in"),
        ("threshold", float("nan"), "expected a number in"),
        ("opening", -1, "opening is -1, expected a whole radius from 0 to 254 px"),
        ("closing", 2.5, "closing is 2.5, expected a whole radius"),
        ("split", "atuo", "did you mean 'auto'"),
        ("border", "drop", "use one of exclude, frame, keep"),
        ("min_area_px", -2, "min_area_px is -2, expected 0 or more"),
        ("max_area_px", 3, "nothing could be kept"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        InstanceSettings(**{field: value})  # type: ignore[arg-type]  # wrong on purpose


def test_settings_survive_writing_and_reading() -> None:
    settings = InstanceSettings(
        threshold=0.4, opening=2, fill_holes="all", split="none", max_area_px=900.0, border="exclude"
    )
    assert InstanceSettings.from_json(json.loads(json.dumps(settings.as_json()))) == settings


def test_missing_fields_take_their_defaults() -> None:
    assert InstanceSettings.from_json({"threshold": 0.3}) == InstanceSettings(threshold=0.3)


def test_an_unknown_field_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="unknown setting 'min_area'; did you mean 'min_area_px'"):
        InstanceSettings.from_json({"min_area": 3})
