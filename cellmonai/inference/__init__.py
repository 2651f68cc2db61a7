"""A model over an image of any size: windows, stitches, engines, map writers."""
