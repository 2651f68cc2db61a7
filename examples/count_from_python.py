"""Count and measure the cells of masks, without the command line.

    python count_from_python.py [FOLDER]

Paints a mask with cells that touch, counts it twice, and reads the table of cells.
"""

import csv
import sys
from pathlib import Path

import cellmonai
from cellmonai.images.write import write_mask
from cellmonai.simulate import FieldSettings, paint_field
from cellmonai.workflows.counting.settings import CountSettings

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "counted")
field = paint_field(FieldSettings(shape=(512, 512), cells=120, clustering=0.3, overlap=0.05), seed=1)
um_per_px = (0.65, 0.65)  # (y, x)
write_mask(folder / "masks" / "plate.tif", field.labels > 0, pixel_size_um=um_per_px, overwrite=True)

for split in ("none", "auto"):
    settings = CountSettings(output=folder / f"counts_{split}", split=split, min_area="20um2", overwrite=True)
    result = cellmonai.count([folder / "masks"], settings=settings)
    print(f"split {split:4s}: {result.total} cells counted, {field.count} painted")

with (folder / "counts_auto" / "cells.csv").open(newline="", encoding="utf-8") as stream:
    cells = list(csv.DictReader(stream))
largest = max(cells, key=lambda cell: float(cell["area_um2"]))
print(
    f"largest cell: {largest['area_um2']} µm² at x = {largest['centroid_x_um']} µm, y = {largest['centroid_y_um']} µm"
)
