"""What a person looks at: tables, overlays, plots, CSV."""
