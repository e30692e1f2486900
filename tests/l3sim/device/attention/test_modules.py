"""Sessions of modules without ranks: heads become module times, overrides differ, bad ranks are refused."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.services.hbm_pim.device import HbmPimDevice
from l3sim.services.hbm_pim.roofline import Head
from l3sim.units import ps
from l3sim.work import Hello, OpCost, RankAssignment
from tests.services.builders import decoding, hello, machine, window

ON = machine(
    "hbm-pim-ext-dgx-a100", attention__modules=4, attention__level="roofline", attention__mapping="striped"
)


def opened(message: Hello, **overrides: Any) -> DeviceSession:
    device = HbmPimDevice([Identity(f"d{m}", "", overrides if m == 1 else {}) for m in range(4)])
    return device.open(message)


def attended(session: DeviceSession, *requests: tuple[int, int]) -> OpCost:
    """Two rounds of requests (first module, context)."""
    residents = [(number, 0, first, context) for number, (first, context) in enumerate(requests)]
    (answer,) = session.estimate([window(decoding(residents), residents=residents, rounds=2)])
    (cost,) = answer.costs
    return cost


def test_a_module_takes_as_long_as_its_heads_one_after_the_other() -> None:
    message = hello("attention", ON, "llama-2-70b", 4, modules=range(4))
    session = opened(message)
    cost = attended(session, (0, 100), (1, 5000))
    head = Head.of(ON.attention, message.model, message.layout)
    # Eight heads over four modules: two of each request on each.
    for round_ in range(2):
        each = 2 * int(ps(head.cost_s(np.array([[101 + round_, 5001 + round_]]))).sum())
        assert cost.duration_ps[:, 0, round_].tolist() == [each] * 4
    assert list(cost.device) == [0, 1, 2, 3]
    assert (cost.energy_nj > 0).all()


def test_one_module_can_differ() -> None:
    message = hello("attention", ON, "llama-2-70b", 4, modules=range(4))
    plain = attended(opened(message), (0, 5000))
    other = attended(opened(message, ccd_l_tck=40), (0, 5000))
    plain_ps = dict(zip(plain.device, plain.duration_ps[:, 0, 0].tolist(), strict=True))
    other_ps = dict(zip(other.device, other.duration_ps[:, 0, 0].tolist(), strict=True))
    assert other_ps[1] > plain_ps[1]
    assert [other_ps[m] == plain_ps[m] for m in range(4)] == [True, False, True, True]


@pytest.mark.parametrize(
    ("assignments", "told"),
    [((), "got 0 assignments; give it one"), ((RankAssignment(0, 1, 0),), "dimm-00: knows one rankset only")],
)
def test_ranks_that_make_no_module_are_refused(assignments: tuple[RankAssignment, ...], told: str) -> None:
    message = hello("attention", ON, "llama-2-70b", 4, modules=range(4))
    first = dataclasses.replace(message.slots[0], assignments=assignments)
    with pytest.raises(InvalidInput, match=told):
        opened(dataclasses.replace(message, slots=(first, *message.slots[1:])))
