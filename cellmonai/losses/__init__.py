"""Losses, the targets they compare with, and the maps that weigh their pixels."""
