"""What modules answer at levels `fast` and `command`: a rank lane is an attend call over its head groups.

This tests `model`, and the models of `services/dram/fast` and `services/dram/command`.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.dram.command.columns import Took
from l3sim.services.dram.command.energy import weights
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast.build import build
from l3sim.services.dram.fast.table import AttendTable
from l3sim.specs.model import ModelShape
from l3sim.work import Op
from tests.services.builders import Resident, identities, op_cost, reshaped, window
from tests.services.dimm_pim.test_device import ALL, STRIPES, attended, batches, cases, job, small


@cache
def table(kernel: Kernel) -> AttendTable:
    return build(kernel)


@pytest.mark.parametrize("level", ["fast", "command"])
@settings(max_examples=10)
@given(case=cases(), stripes=st.sampled_from(STRIPES))
# The two requests of a rank in either order are a cycle apart.
@example(case=(reshaped("llama-2-7b", heads=2, kv_heads=2), [], [(0, 0, 1, 4), (1, 0, 0, 0)], 1), stripes={})
def test_lanes_are_attend_calls(
    level: str, case: tuple[ModelShape, list[Resident], list[Resident], int], stripes: dict[str, Any]
) -> None:
    """A lane is one call over a rank's head groups; energy is of all lanes."""
    shape, first, second, rounds = case
    on = small(level, **stripes)
    session = job(shape, on=on)
    kernel = kernel_of(on.attention, shape, session.layout)
    picojoules = sum(weights(kernel).values())
    asked = window(*batches(first, second), residents=first + second, rounds=rounds)
    (answer,) = DimmPimDevice(identities(ALL)).open(session).estimate([asked])
    for index, half in enumerate((first, second)):
        if not half:
            continue
        cost = op_cost(answer, Op.ATTEND_DECODE, index)
        energy = np.zeros((4, rounds))
        for lane, (device, domain) in enumerate(zip(cost.device, cost.domain, strict=True)):
            assignment = session.slots[device].assignments[domain]
            for layer, round_ in np.ndindex(4, rounds):
                groups = attended(session, half, assignment, layer, round_)
                tokens, appends = [count for count, _ in groups], [new for _, new in groups]
                if not tokens:
                    assert cost.duration_ps[lane, layer, round_] == 0
                    continue
                took: Took = (
                    table(kernel).call(np.array(tokens), appends)
                    if level == "fast"
                    else attend(kernel, tokens, appends=appends)
                )
                assert cost.duration_ps[lane, layer, round_] == took.cycles * 625
                energy[layer, round_] += took.values @ picojoules / 1000
        assert np.abs(cost.energy_nj - energy).max() <= 16  # lanes, each rounded
