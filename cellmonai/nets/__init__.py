"""Networks, one file each, and their catalogue."""
