"""Random transforms of crops that MONAI does not have, one to a file."""
