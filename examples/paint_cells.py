"""Paint a fluorescence field whose cells are known, and save it with its label image.

    python paint_cells.py [FOLDER]

Useful to try settings, to test a pipeline, or to learn how blur and crowding change counts.
"""

import sys
from pathlib import Path

import numpy as np
from tifffile import imwrite

from cellmonai.images.write import write_labels
from cellmonai.simulate import FieldSettings, paint_field

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "painted")
(folder / "images").mkdir(parents=True, exist_ok=True)

looks = {
    "sparse": FieldSettings(shape=(256, 256), cells=12, clustering=0.0),
    "crowded": FieldSettings(shape=(256, 256), cells=70, clustering=0.7, overlap=0.15),
    "out_of_focus": FieldSettings(shape=(256, 256), cells=40, defocus_px=3.0),
    "dim_and_noisy": FieldSettings(shape=(256, 256), cells=40, exposure=0.2, noise=0.25, background=0.4),
}
for name, settings in looks.items():
    field = paint_field(settings, seed=1)  # the same seed gives the same pixels
    imwrite(folder / "images" / f"{name}.tif", field.image)
    write_labels(folder / "masks" / f"{name}.tif", field.labels, pixel_size_um=None, overwrite=True)
    inside = field.labels > 0
    contrast = field.image[inside].mean() / field.image[~inside].mean()
    area_px = np.bincount(field.labels.ravel())[1:].mean()
    print(f"{name:14s} {field.count:3d} cells of {area_px:4.0f} px, {contrast:4.1f} times brighter than the background")
print(f"images and label images in {folder}")
