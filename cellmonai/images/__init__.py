"""Files to arrays: readers, writers, dataset layouts, pairing, budget."""
