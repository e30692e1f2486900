"""The interconnect as a device."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.units import nj
from l3sim.work import Chunk, Op
from tests.services.builders import Resident, decoding, hello, machine, op_cost, window

HELLO = hello("link", machine(), "llama-2-70b", 4, 2)


def session() -> DeviceSession:
    return InterconnectDevice([Identity("link")]).open(HELLO)


def test_paths() -> None:
    (ready,) = session().ready()
    assert len(ready.domains) == 2 * 2 * 4
    assert ready.domains[(1 * 2 + 0) * 4 + 2] == "replica-1/down/rankset-2"
    assert ready.domains[(0 * 2 + 1) * 4 + 3] == "replica-0/up/rankset-3"
    assert ready.idle_mw == 20_000


def test_lanes_go_round_with_the_layer() -> None:
    residents = [(0, 1, 0, 50), (1, 1, 3, 60), (2, 2, 0, 70)]
    asked = window(decoding(residents, 1), residents=residents, rounds=9, replica=1)
    (answer,) = session().estimate([asked])
    assert [(cost.op, cost.sub_batch) for cost in answer.costs] == [("transfer_down", 1), ("transfer_up", 1)]
    down, up = answer.costs
    assert (list(down.domain), list(up.domain)) == ([8, 9, 10, 11], [12, 13, 14, 15])
    assert (down.duration_ps.shape, down.energy_nj.shape) == ((4, 4, 1), (4, 1))
    two, one = down.duration_ps[1, 0, 0], down.duration_ps[2, 0, 0]
    assert two > 0
    assert one > 0
    for rankset in range(4):
        for layer in range(4):
            expected = {1: two, 2: one}.get((rankset - layer) % 4, 0)
            assert down.duration_ps[rankset, layer, 0] == expected
    # Two replicas share the 40 W of all links and channels.
    energy = nj(20.0, np.array([two, one])).sum()
    assert down.energy_nj.tolist() == [[energy]] * 4


@pytest.mark.parametrize("dp", [1, 2, 4, 8])
def test_all_replicas_together_draw_what_the_host_does(dp: int) -> None:
    opened = InterconnectDevice([Identity("link")]).open(hello("link", machine(), "llama-2-7b", 8 // dp, dp))
    (ready,) = opened.ready()
    ranksets = len(ready.domains) // (2 * dp)
    places: list[Resident] = [(0, 0, 0, 50)]
    answers = opened.estimate(
        [window(decoding(places, 0), residents=places, replica=replica) for replica in range(dp)]
    )
    durations = {int(answer.costs[0].duration_ps.sum()) // ranksets for answer in answers}
    assert len(durations) == 1
    energy = sum(int(answer.costs[0].energy_nj[0, 0]) for answer in answers)
    assert energy == pytest.approx(int(nj(40.0, np.array(durations.pop()))), abs=dp)


def test_chunks_go_down_by_themselves() -> None:
    chunks = [Chunk(0, 300, 0, False), Chunk(1, 200, 100, True)]
    places: list[Resident] = [(0, 3, 1, 0), (1, 3, 1, 0)]
    (answer,) = session().estimate([window(decoding([], 0, chunks), residents=places)])
    (kv,) = answer.costs
    assert (kv.op, kv.sub_batch, list(kv.domain)) == ("transfer_kv", 0, [0, 1, 2, 3])
    # All 8 KV heads of 500 tokens on one channel.
    assert kv.duration_ps[3, 0, 0] == pytest.approx(1e6 + 500 * 8 * 512 / 25.6e9 * 1e12, abs=1)
    assert np.count_nonzero(kv.duration_ps) == 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), min_size=2, max_size=20), st.data())
def test_sub_batches_do_not_disturb_each_other(bins: list[tuple[int, int]], data: st.DataObject) -> None:
    residents = [(i, *where, 10) for i, where in enumerate(bins)]
    cut = data.draw(st.integers(1, len(bins) - 1))
    first, second = residents[:cut], residents[cut:]
    both, alone = session().estimate(
        [
            window(decoding(first, 0), decoding(second, 1), residents=residents),
            window(decoding(second, 1), residents=residents),
        ]
    )
    for op in (Op.TRANSFER_DOWN, Op.TRANSFER_UP):
        one, other = op_cost(both, op, 1), op_cost(alone, op, 1)
        assert one.duration_ps.tolist() == other.duration_ps.tolist()
        assert one.energy_nj.tolist() == other.energy_nj.tolist()


def test_what_the_machine_decides_is_no_override() -> None:
    with pytest.raises(InvalidInput, match=r"link\.overlap: belongs to the whole machine"):
        InterconnectDevice([Identity("link", overrides={"overlap": "off"})])


def test_absurd_rates_are_refused() -> None:
    device = InterconnectDevice([Identity("link", overrides={"pcie_bytes_per_s": 1e-9})])
    with pytest.raises(InvalidInput, match="link: a cost must be finite"):
        device.open(HELLO)
