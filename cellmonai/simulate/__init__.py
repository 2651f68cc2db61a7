"""Painted fields of cells with known counts."""
