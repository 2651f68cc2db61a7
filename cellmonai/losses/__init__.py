"""Losses on one-channel logits, each with its choices settled."""
