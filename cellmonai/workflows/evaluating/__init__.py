"""The steps of `evaluate`: pairs, reading, cases, result."""
