"""Drawing tiles to count by hand, and reading what was counted."""
