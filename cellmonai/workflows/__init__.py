"""One story per command, from paths and settings to files; no consoles, no torch."""
