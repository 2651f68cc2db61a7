"""Post-processing of published systems, as it was and repaired."""
