"""What names and sheets say of images: plate, well, site, treatment."""
