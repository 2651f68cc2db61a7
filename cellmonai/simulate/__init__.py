"""Painted fields of cells with known counts."""

from cellmonai.simulate.field import paint_field
from cellmonai.simulate.settings import Field, FieldSettings

__all__ = ["Field", "FieldSettings", "paint_field"]
