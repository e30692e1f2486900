"""Lanes of many devices become ranksets, layers are counted, and work without a cost is refused."""

import numpy as np
import pytest

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.costs.assembler import Assembler, WindowCosts, over_rounds
from l3sim.testing.builders import small_hello, small_layout, small_model
from l3sim.work import (
    NO_REQUESTS,
    Chunk,
    Costs,
    Hello,
    Op,
    OpCost,
    RankAssignment,
    SlotAssignment,
    SubBatch,
    Window,
)
from tests.orchestrator.small_jobs import numbers

#: Two ranksets of two ranks, three layers: 0 and 2 are class 0, 1 is class 1.
LAYOUT, MODEL = small_layout(dp=2), small_model(layers=3)
GPU_OPS = {Op.EMBED: 1, Op.BLOCK_IN: 20, Op.BLOCK_OUT: 300, Op.HEAD: 4000}


def hellos() -> list[Hello]:
    """Replica 1: GPU; a process with modules of replicas 0 and 1; a process with one module; link."""
    assignments = [
        SlotAssignment("d0", "dimm-00", {}, (RankAssignment(0, 0, 0), RankAssignment(0, 1, 0))),
        SlotAssignment("d1", "dimm-01", {}, (RankAssignment(1, 1, 0), RankAssignment(1, 0, 0))),
        SlotAssignment("d2", "dimm-02", {}, (RankAssignment(1, 0, 1), RankAssignment(1, 1, 1))),
    ]
    bare = small_hello(layout=LAYOUT, model=MODEL, devices=(), slots=())
    parts = [
        (SlotAssignment("g", "gpu", {}),),
        tuple(assignments[:2]),
        (assignments[2],),
        (SlotAssignment("l", "link", {}),),
    ]
    return [
        Hello(bare.protocol_version, bare.job_id, bare.seed, MODEL, LAYOUT, tuple(part)) for part in parts
    ]


def gpu_costs(s: int, rounds: int = 1, prefill: int = 0) -> list[OpCost]:
    ops = {**GPU_OPS, Op.ATTEND_PREFILL: prefill} if prefill else GPU_OPS
    each = np.arange(rounds).reshape(1, 1, rounds)
    return [OpCost(op, s, (0,), (1,), cost + each, cost * 2 + each[0]) for op, cost in ops.items()]


def attention(device: int, *lanes: list[list[int]]) -> OpCost:
    """Lanes over the two domains of a device, each [class][round]; energy 1000 a class and round."""
    duration = np.array(lanes, dtype=np.int64)
    energy = np.full(duration.shape[1:], 1000, dtype=np.int64)
    return OpCost(Op.ATTEND_DECODE, 0, (device,) * len(lanes), (0, 1), duration, energy)


def link(op: Op, s: int, by_class: list[list[int]]) -> OpCost:
    """Costs [rankset][class], on this replica's domains of either way."""
    first = 4 + (2 if op is Op.TRANSFER_UP else 0)
    duration = np.array(by_class, dtype=np.int64)[:, :, None]
    return OpCost(op, s, (0, 0), (first, first + 1), duration, np.full((2, 1), 7, dtype=np.int64))


def decode_window(rounds: int = 1) -> Window:
    return Window(5, 1, rounds, (SubBatch(0, numbers([3]), numbers([9])),))


def decode_answers(valid: tuple[int, ...] = (2, 2, 2, 2), rounds: int = 2) -> list[Costs]:
    """One request: layers of class 0 on rankset 0, of class 1 on rankset 1."""
    on = [[6, 0], [0, 8]]
    return [
        Costs(5, valid[0], tuple(gpu_costs(0, rounds))),
        # Domain 0 of d1 is rankset 1, domain 1 is rankset 0.
        Costs(5, valid[1], (attention(1, [[0, 0], [50, 51]], [[40, 41], [0, 0]]),)),
        Costs(5, valid[2], (attention(0, [[44, 45], [0, 0]], [[0, 0], [30, 31]]),)),
        Costs(5, valid[3], (link(Op.TRANSFER_DOWN, 0, on), link(Op.TRANSFER_UP, 0, on))),
    ]


def assembled(window: Window, answers: list[Costs]) -> WindowCosts:
    return Assembler(1, LAYOUT, MODEL, hellos()).assemble(window, answers)


def test_decoding() -> None:
    found = assembled(decode_window(2), decode_answers())
    durations = found.durations
    assert durations.b_first.tolist() == [[21, 0], [23, 0]]
    assert durations.b_mid.tolist() == [[320, 0], [322, 0]]
    assert durations.b_last.tolist() == [[4300, 0], [4302, 0]]
    assert durations.p.tolist() == [[0, 0], [0, 0]]
    nothing = [[0, 0], [0, 0]]
    # The slowest rank of each rankset: (round, sub-batch, class, rankset).
    assert durations.a.tolist() == [[[[44, 0], [0, 50]], nothing], [[[45, 0], [0, 51]], nothing]]
    assert durations.d.tolist() == [[[[6, 0], [0, 8]], nothing]] * 2
    assert durations.u.tolist() == durations.d.tolist()
    assert not durations.kv.any()
    assert durations.unchunked.tolist() == [False, False]


def test_busy_times_and_energy_count_layers_and_every_rank() -> None:
    found = assembled(decode_window(2), decode_answers())
    sums = {name: [over_rounds(value, 1), over_rounds(value, 2)] for name, value in found.busy_ps.items()}
    # Two layers of class 0, one of class 1; embedding and head once.
    attend = [2 * (40 + 44) + 50 + 30, 2 * (41 + 45) + 51 + 31]
    gpu = [1 + 3 * 20 + 3 * 300 + 4000, 1 + 3 * 20 + 3 * 300 + 4000 + 8]
    assert sums == {
        "gpu": [gpu[0], gpu[0] + gpu[1]],
        "attention": [attend[0], sum(attend)],
        "link_down": [20, 40],
        "link_up": [20, 40],
    }
    energy = {role: over_rounds(value, 2) for role, value in found.energy_nj.items()}
    assert energy == {"gpu": 2 * gpu[0] * 2 + 8, "attention": 2 * 2 * 3000, "link": 2 * 2 * 21}


def test_prefill_has_kv_and_no_decode_tasks() -> None:
    window = Window(5, 1, 1, (SubBatch(1, NO_REQUESTS, NO_REQUESTS, (Chunk(3, 4, 0, last=True),)),))
    kv = link(Op.TRANSFER_KV, 1, [[5, 6], [7, 0]])
    found = assembled(
        window, [Costs(5, 1, tuple(gpu_costs(1, prefill=9))), *[Costs(5, 1, ())] * 2, Costs(5, 1, (kv,))]
    )
    assert found.durations.p.tolist() == [[0, 9]]
    # (class, rankset): the other way round than the device's lanes.
    assert found.durations.kv[0, 1].tolist() == [[5, 7], [6, 0]]
    assert not found.durations.a.any()
    assert over_rounds(found.busy_ps["link_down"], 1) == 2 * (5 + 7) + 6


def test_the_shortest_sight_bounds_the_rounds() -> None:
    found = assembled(decode_window(2), decode_answers(valid=(2, 1, 2, 2)))
    assert found.rounds == 1
    assert found.durations.rounds == 1
    assert found.durations.a[0, 0].tolist() == [[44, 0], [0, 50]]


@pytest.mark.parametrize("missing", [0, 3])
def test_work_without_a_cost_is_refused(missing: int) -> None:
    answers = decode_answers()
    answers[missing] = Costs(5, 2, ())
    with pytest.raises(InvariantBroken, match="window 5: some work has no cost, or a cost has no work"):
        assembled(decode_window(2), answers)


@pytest.mark.parametrize("kept", [0, 1])
def test_work_that_crosses_a_link_one_way_only_is_refused(kept: int) -> None:
    answers = decode_answers()
    answers[3] = Costs(5, 2, answers[3].costs[kept : kept + 1])
    with pytest.raises(InvariantBroken, match="some work has no cost"):
        assembled(decode_window(2), answers)


@pytest.mark.parametrize(("prefill", "moves"), [(9, False), (0, True)])
def test_a_chunk_without_prefill_or_without_a_transfer_is_refused(prefill: int, moves: bool) -> None:
    window = Window(5, 1, 1, (SubBatch(1, NO_REQUESTS, NO_REQUESTS, (Chunk(3, 4, 0, last=True),)),))
    kv = (link(Op.TRANSFER_KV, 1, [[5, 6], [7, 0]]),) if moves else ()
    nothing = Costs(5, 1, ())
    with pytest.raises(InvariantBroken, match="some work has no cost"):
        assembled(
            window, [Costs(5, 1, tuple(gpu_costs(1, prefill=prefill))), nothing, nothing, Costs(5, 1, kv)]
        )


def test_attention_for_nothing_is_refused() -> None:
    window = Window(5, 1, 2, (SubBatch(0, NO_REQUESTS, NO_REQUESTS, (Chunk(3, 4, 0, last=True),)),))
    with pytest.raises(InvariantBroken, match="a cost has no work"):
        assembled(window, decode_answers())


def test_a_rank_of_another_replica_is_refused() -> None:
    answers = decode_answers()
    answers[1] = Costs(5, 2, (attention(0, [[1, 1], [1, 1]]),))
    with pytest.raises(InvariantBroken, match="costs attention on a rank it has not"):
        assembled(decode_window(2), answers)
