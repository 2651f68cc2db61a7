"""What networks run on here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cellmonai.core.errors import UsageError
from cellmonai.inference.devices import Device, choose_precision
from cellmonai.inference.machine import real_precisions, torch_devices, torch_facts, torch_speed

CPU = Device("cpu", "tests")


def test_the_cpu_comes_first_and_has_no_memory_of_its_own() -> None:
    first = torch_devices()[0]
    assert (first.name, first.memory_bytes) == ("cpu", None)
    assert first.precisions == real_precisions(CPU)


@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
def test_a_precision_is_named_exactly_where_it_can_be_chosen(precision: str) -> None:
    if precision in real_precisions(CPU):
        assert choose_precision(precision, CPU) == precision
        return
    with pytest.raises(UsageError):
        choose_precision(precision, CPU)


def test_torch_says_what_it_takes_by_itself() -> None:
    facts = torch_facts()
    assert facts["auto_device"] in {device.name for device in torch_devices()}
    assert facts["threads"] == torch.get_num_threads()


def test_the_speed_is_that_of_whole_passes_over_the_image() -> None:
    speed = torch_speed(nn.Conv2d(1, 1, 3, padding=1).eval(), np.zeros((64, 32), np.float32), seconds=0.01)
    assert (speed.engine, speed.passes >= 1) == ("torch", True)
    assert speed.mpx_per_second > 0.01
