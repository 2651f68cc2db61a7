"""Files for other programs: QuPath, ImageJ, napari, Parquet."""
