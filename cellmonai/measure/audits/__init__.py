"""Design-based totals from units counted by hand."""
