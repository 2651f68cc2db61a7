"""MONAI's engines put together: data in, a fitted model out."""
