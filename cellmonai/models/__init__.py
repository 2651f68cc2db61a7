"""The model file: everything needed to run a network, nothing executable."""
