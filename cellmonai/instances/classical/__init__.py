"""Segmentation without training: the floor that a learned result has to beat."""
