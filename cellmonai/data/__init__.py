"""Training samples: splits, MONAI transforms, caching, loaders."""
