"""The recipe: schema, loading, errors with file, key and line."""
