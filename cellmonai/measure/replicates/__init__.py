"""Counts of groups of images, with intervals between units of replication."""
