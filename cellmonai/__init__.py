"""Segment and count cells in microscopy images, on MONAI."""
