"""From a mask in memory to cells, measurements and napari layers; no files, no command line.

    python measure_arrays.py

Paints cells, splits those that touch, measures them, and gives what a napari widget would return.
"""

import numpy as np

from cellmonai.instances.find import find_instances
from cellmonai.instances.settings import InstanceSettings
from cellmonai.measure.objects import flag_objects, measure_objects
from cellmonai.report.exports.napari import napari_layers
from cellmonai.simulate import FieldSettings, paint_field

field = paint_field(FieldSettings(shape=(512, 512), cells=120, clustering=0.3, overlap=0.05), seed=1)

found = find_instances(field.labels > 0, InstanceSettings(min_area_px=20, border="frame"))
print(f"{found.count} cells in the counting frame, removed: {dict(found.removed)}")

cells = measure_objects(found.labels, pixel_size_um=(0.65, 0.65), image=field.image, channel_names=["DAPI"])
flags = flag_objects(cells)
print(f"median area {np.median(cells['area_um2']):.0f} µm², brightest {cells['intensity_mean_DAPI'].max():.0f}")
print(f"{flags['odd_shape'].sum()} of odd shape, {flags['unusually_large'].sum()} unusually large")

for data, options, kind in napari_layers(found.labels, cells, image=field.image, name="field"):
    print(f"{kind:7s} {options['name']:18s} {np.asarray(data).shape}")
# in napari: for layer in layers: viewer.add_layer(napari.layers.Layer.create(*layer))
