"""What every compiled function takes: arrays by type, whole numbers (int64) and real ones (double), in order."""

from __future__ import annotations

SIGNATURES: dict[str, str] = {
    # heights.c
    "heights": "uint8[] int int int int uint16[] uint32[] int",
    # basins.c
    "basin_ids": "uint32[] int int int int32[] int32[]",
    "basin_roots": "uint32[] int int int int int32[] int int64[]",
    "region_sums": "int32[] int int int int64[]",
    "basin_edges": "uint32[] int int int int32[] int int64[] int64[] int64[]",
    "relabel": "int32[] int int32[] int32[]",
    # components.c
    "components": "int32[] int int int int32[]",
    # unite.c
    "unite_shallow": "int int64[] int int64[] int64[] int64[] real real int64[]",
    "unite_seeds": "int uint8[] int int64[] int64[] int64[]",
    "unite_learned": "int int64[] int int64[] int64[] int64[] int real real float64[] int64[]",
    # labels.c
    "label_strip": "int32[] int int int int int int64[] int32[] int32[]",
    "hull_side": "int int32[] int32[] int32[]",
    "hull_rows": "int int64[] int32[] int32[] int32[]",
    "hull_lengths": "int int64[] int32[] int32[] real real float64[] float64[]",
    "value_sums_uint8": "int32[] uint8[] int int64[]",
    "value_sums_uint16": "int32[] uint16[] int int64[]",
    "value_sums_int64": "int32[] int64[] int int64[]",
    "value_sums_float32": "int32[] float32[] int float64[]",
    "value_sums_float64": "int32[] float64[] int float64[]",
    # outlines.c
    "walk_rings": "int int64[] int64[] int64[]",
    # compact_watershed.c
    "flood": "float64[] uint8[] int32[] int int real int int",
}
"""Functions by their names without `cellmonai_`. All give an int64, or nothing."""
