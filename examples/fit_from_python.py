"""Train a small network, run it and compare it with the truth, without the command line.

    python fit_from_python.py [FOLDER]

Paints its own images, so that it runs anywhere in about half a minute. For your own images put their folder, with
images/ and masks/ in it, in the place of `data`.
"""

import sys
from pathlib import Path

import numpy as np
from tifffile import imwrite

import cellmonai
from cellmonai.images.write import write_labels
from cellmonai.simulate import draw_settings, paint_field
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.inferring.settings import InferSettings

RECIPE = """
data = { layout = "pairs", root = "data" }
sampling = { patch = 128, per_image = 2 }
network = { name = "basic_unet", width = 8 }

[training]
epochs = 8
max_minutes = 0.2
batch_size = 4
learning_rate = 0.005
schedule = "cosine"
validate_every = 4
"""


def main(folder: Path) -> None:
    """Paint, fit, infer, count and evaluate in `folder`."""
    data, unseen = folder / "data", folder / "unseen"
    for number in range(16):
        place = data if number < 12 else unseen
        field = paint_field(draw_settings((192, 192), np.random.default_rng(number)), seed=number)
        (place / "images").mkdir(parents=True, exist_ok=True)
        imwrite(place / "images" / f"field_{number:02d}.tif", field.image)
        write_labels(place / "masks" / f"field_{number:02d}.tif", field.labels, pixel_size_um=None, overwrite=True)
    (folder / "recipe.toml").write_text(RECIPE)

    run = cellmonai.fit(folder / "recipe.toml", output=folder / "run", overwrite=True)
    settings = InferSettings(model=run.model, output=folder / "masks", overwrite=True)
    cellmonai.infer([unseen / "images"], settings=settings)
    counted = cellmonai.count([folder / "masks"], settings=CountSettings(output=folder / "counts", overwrite=True))
    compared = cellmonai.evaluate(folder / "counts", unseen / "masks")
    print(f"validation F1 {run.validation['f1_50']:.3f} after {run.epochs} epochs, model {run.model}")
    true, f1 = compared.totals["true_count"], compared.summary["f1_50"]
    print(f"unseen images: {counted.total} cells counted, {true} painted, F1 {f1:.3f}")


if __name__ == "__main__":  # workers that load images may start this file again
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "fitted"))
