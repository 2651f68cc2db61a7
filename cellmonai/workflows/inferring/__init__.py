"""The steps of `infer`: jobs, model, image, record."""
