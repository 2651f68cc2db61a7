"""Painted fields of cells with known counts."""

from cellmonai.simulate.field import paint_field
from cellmonai.simulate.settings import Field, FieldSettings
from cellmonai.simulate.variety import draw_settings

__all__ = ["Field", "FieldSettings", "draw_settings", "paint_field"]
