"""Conformal intervals of counts, and the test whether an image is like those of a calibration."""
