"""What stacks answer at levels `fast` and `command`: a rank lane is the call of its busiest channel.

This tests `model` and `device`.
"""

from typing import Any

import numpy as np
import pytest

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast import table_cache
from l3sim.services.hbm_pim.channel import kernel_of
from l3sim.services.hbm_pim.device import HbmPimDevice
from l3sim.services.hbm_pim.energy import weights
from l3sim.services.hbm_pim.spread import Spread
from l3sim.work import Hello, Op
from tests.services.builders import decoding, hello, machine, op_cost, reshaped, window

#: (request, offset, first module, context): eight heads over four modules, two of each request on each.
RESIDENTS = [(0, 0, 0, 100), (1, 0, 1, 5000)]


def job(**keys: Any) -> tuple[Hello, DeviceSession]:
    """Four stacks outside of GPUs, heads striped if not said."""
    settings = {"attention__mapping": "striped"} | {f"attention__{key}": value for key, value in keys.items()}
    on = machine("hbm-pim-ext-dgx-a100", attention__modules=4, **settings)
    message = hello("attention", on, "llama-2-70b", 4, modules=range(4))
    return message, HbmPimDevice([Identity(f"d{m}") for m in range(4)]).open(message)


@pytest.mark.parametrize("level", ["fast", "command"])
@pytest.mark.parametrize("pu", ["bank", "buffer"])
def test_a_lane_is_the_call_of_the_busiest_channel(level: str, pu: str) -> None:
    message, session = job(level=level, pu=pu)
    on = machine(
        "hbm-pim-ext-dgx-a100", attention__modules=4, attention__pu=pu, attention__mapping="striped"
    ).attention
    kernel = kernel_of(on, message.model, message.layout)
    both = window(decoding(RESIDENTS[:1]), decoding(RESIDENTS[1:], index=1), residents=RESIDENTS, rounds=2)
    (answer,) = session.estimate([both])
    for index, (_, _, _, context) in enumerate(RESIDENTS):
        cost = op_cost(answer, Op.ATTEND_DECODE, index)
        for round_ in range(2):
            tokens = [-(-(context + 1 + round_) // 16)] * 2
            took = (
                table_cache.table_of(kernel).call(np.array(tokens))
                if level == "fast"
                else attend(kernel, tokens)
            )
            time = took.cycles * on.channel.tck_ps
            assert cost.duration_ps[:, 0, round_].tolist() == [time] * 4
            energy = 4 * sum(float(took.values @ of) for of in weights(on, kernel).values()) / 1000
            assert abs(int(cost.energy_nj[0, round_]) - energy) <= 4  # lanes, each rounded


@pytest.mark.parametrize("level", ["fast", "command"])
def test_a_lane_is_the_busiest_channel_of_its_stack(level: str) -> None:
    message, session = job(level=level, mapping="head_per_channel")
    on = machine("hbm-pim-ext-dgx-a100", attention__modules=4).attention
    kernel = kernel_of(on, message.model, message.layout)
    # Eight heads over four stacks of eight channels: two of each request on a stack, on channels of their
    # own. A fifth request shares every channel of stacks 0 to 3 with the first.
    residents = [(request, 0, 0, 700) for request in range(4)] + [(4, 0, 0, 3000)]
    spread = Spread(message.layout, on.heads_at_once)
    assert [spread.place(0) for _ in residents] == [0, 2, 4, 6, 0]
    (answer,) = session.estimate([window(decoding(residents), residents=residents)])
    cost = op_cost(answer, Op.ATTEND_DECODE)
    tokens = [-(-701 // 2), -(-3001 // 2)]
    if level == "fast":
        took = table_cache.table_of(kernel).call(np.array(tokens))
        single = table_cache.table_of(kernel).call(np.array(tokens[:1]))
    else:
        took, single = attend(kernel, tokens), attend(kernel, tokens[:1])
    assert cost.duration_ps[:, 0, 0].tolist() == [took.cycles * on.channel.tck_ps] * 4
    by_part = weights(on, kernel).values()
    energy = 8 * sum(float((took.values + 3 * single.values) @ of) for of in by_part) / 1000
    assert int(cost.energy_nj[0, 0]) == pytest.approx(energy, abs=40)  # 32 channels, each rounded


def test_heads_of_requests_that_left_make_room() -> None:
    message, _ = job(mapping="head_per_channel")
    spread = Spread(message.layout, 8)
    first = [spread.place(0) for _ in range(4)]
    spread.add(0, first[2], -1)
    assert spread.place(0) == first[2]
    assert spread.heads.tolist() == [[1] * 4] * 8
    # More heads than places go round again.
    wide = Spread(message.layout, 1)
    assert wide.place(1) == 0
    assert wide.heads.tolist() == [[2] * 4]


def test_a_job_checks_itself() -> None:
    new = [(request, 0, first, 0) for request, _, first, _ in RESIDENTS]
    _, session = job(check_fidelity=1.0)
    session.window(window(decoding(new), residents=new, rounds=3))
    found = session.audit()[0].fidelity
    assert (found.windows, found.calls) == (1, 1)
    assert found.gap_ppm <= 5000
    _, rough = job(check_fidelity=1.0, level="roofline")
    rough.window(window(decoding(new), residents=new, rounds=3))
    assert rough.audit()[0].fidelity.calls == 0


def test_a_model_that_does_not_fit_is_refused_by_slot() -> None:
    on = machine("hbm-pim-ext-dgx-a100", attention__modules=4, attention__mapping="striped")
    message = hello("attention", on, reshaped("llama-2-7b", head_size=80), 1, modules=range(4))
    device = HbmPimDevice([Identity(f"d{m}") for m in range(4)])
    with pytest.raises(
        InvalidInput, match=r"^dimm-00.mapping: heads of 80 elements do not fill .*; use head_per_channel, or"
    ):
        device.open(message)
