"""What is not drawn in `tests/l3sim/test_placement.py`: who attends."""

import pytest

from l3sim.specs.catalog import load_machine, load_model, machine_names
from l3sim.specs.layout import DecodePlacement


@pytest.mark.parametrize("name", machine_names())
def test_a_layout_says_who_attends_as_its_machine_does(name: str) -> None:
    machine = load_machine(name)
    layout = machine.attention.layout(load_model("llama-2-7b"), 1, 1)
    assert layout.decode is machine.placement
    assert layout.on_gpu == (layout.decode is DecodePlacement.GPU) == name.startswith("gpu-only-")
    assert layout.chips_per_head >= 1
