"""The curves of a run become a picture of a fixed size, whatever was validated."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cellmonai.report.curves import write_curves

COLUMNS = {
    "epoch": [1, 2, 3],
    "train_loss": [0.5, 0.3, 0.2],
    "val_loss": [0.6, None, 0.3],
    "val_f1_50": [0.7, None, 0.9],
    "val_dice": [0.8, None, 0.9],
    "val_count_mae": [3.0, None, 1.0],
}


@pytest.mark.parametrize("monitor", ["val_f1_50", "val_count_mae", "val_loss", "val_dice"])
def test_curves_are_drawn_for_every_monitor(tmp_path: Path, monitor: str) -> None:
    write_curves(tmp_path / "curves.png", COLUMNS, monitor=monitor, best_epoch=3, overwrite=False)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1200, 500)
        colours = picture.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert any(colour == (0, 114, 178) for _, colour in colours)


def test_a_run_without_an_instance_score_is_drawn_too(tmp_path: Path) -> None:
    columns = {**COLUMNS, "val_f1_50": [None, None, None]}
    write_curves(tmp_path / "curves.png", columns, monitor="val_f1_50", best_epoch=1, overwrite=False)
    assert (tmp_path / "curves.png").stat().st_size > 1000
