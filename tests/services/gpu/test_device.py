"""The GPU side as a device."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.gpu.kernels import LIMITS
from l3sim.services.gpu.model import GroupCosts
from l3sim.specs.catalog import load_model
from l3sim.work import Chunk, Commit, Costs, Op
from tests.services.builders import decoding, hello, machine, op_cost, window

RESIDENTS = [(0, 0, 0, 100), (1, 1, 3, 2000), (2, 2, 5, 7)]


def session(dp: int = 2, tp: int = 4, **overrides: Any) -> DeviceSession:
    return GpuDevice([Identity("gpu", overrides=overrides)]).open(
        hello("gpu", machine(), "llama-2-70b", tp, dp)
    )


def test_operations_of_a_pass() -> None:
    chunk = Chunk(9, 512, 0, False)
    places = [*RESIDENTS, (9, 0, 0, 0)]
    asked = window(decoding(RESIDENTS, 0, [chunk]), decoding([], 1), residents=places, replica=1)
    (answer,) = session().estimate([asked])
    assert [(cost.op, cost.sub_batch) for cost in answer.costs] == [
        (op, 0) for op in ("embed", "block_in", "attend_prefill", "block_out", "head")
    ]
    group = GroupCosts(machine().gpu, load_model("llama-2-70b"), 4)
    for cost in answer.costs:
        assert (list(cost.device), list(cost.domain)) == ([0], [1])
        assert (cost.duration_ps.shape, cost.energy_nj.shape) == ((1, 1, 1), (1, 1))
        if cost.op == Op.ATTEND_PREFILL:
            duration = group.attend_prefill_ps([chunk])
        else:
            duration = group.dense_ps(Op(cost.op), 515, 3)
        assert cost.duration_ps[0, 0, 0] == duration
        # (400 W - 50 W) on each of the 4 GPUs.
        assert cost.energy_nj[0, 0] == pytest.approx(1400 * duration / 1e3, abs=1)


def test_no_prefill_attention_without_chunks_and_one_cost_for_all_rounds() -> None:
    (answer,) = session().estimate([window(decoding(RESIDENTS), residents=RESIDENTS, rounds=40)])
    assert answer.valid_rounds == 40
    assert [cost.op for cost in answer.costs] == ["embed", "block_in", "block_out", "head"]
    assert all(cost.duration_ps.shape == (1, 1, 1) for cost in answer.costs)


def test_ready() -> None:
    (ready,) = session().ready()
    assert ready.domains == ("replica-0", "replica-1")
    assert ready.idle_mw == 8 * 50_000
    (region,) = ready.regions
    assert (region.name, region.capacity_bytes) == ("hbm", 8 * int(85899345920 * 0.94))


def test_an_override_is_felt() -> None:
    asked = window(decoding(RESIDENTS), residents=RESIDENTS)
    base, slow = (
        op_cost(session(**overrides).estimate([asked])[0], Op.BLOCK_OUT).duration_ps[0, 0, 0]
        for overrides in (dict[str, Any](), {"memory_bytes_per_s": 1e12})
    )
    assert slow > 1.5 * base


@pytest.mark.parametrize(
    ("tp", "dp", "overrides", "message"),
    [
        (8, 2, {}, "gpu.gpus: 8 here, 8 x 2 GPUs are needed; lower tp or dp"),
        (4, 2, {"idle_w": 500.0}, "gpu.idle_w: must not exceed tdp_w (400"),
        (4, 2, {"compute_flops": 1e-9}, "gpu: a cost must be finite"),
    ],
)
def test_what_is_refused(tp: int, dp: int, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        session(dp, tp, **overrides)
    assert message in str(caught.value)


def test_counters_sum_to_the_time_of_committed_rounds() -> None:
    one = session()
    new = [(request, offset, rank, 0) for request, offset, rank, _ in RESIDENTS]
    answer = one.window(window(decoding(new), residents=new, rounds=7))
    prefill = decoding([], 0, [Chunk(9, 512, 0, False)])
    other = one.window(window(prefill, residents=[(9, 0, 0, 0)], window_id=2, replica=1))
    (account,) = one.close([Commit(1, 3), Commit(2, 1)])
    assert set(account.counters) == {f"{limit}_ps" for limit in LIMITS}
    assert account.counters["attention_ps"] > 0

    def whole(costs: Costs) -> int:
        once = {cost.op: int(cost.duration_ps[0, 0, 0]) for cost in costs.costs}
        layers = [once.pop(op, 0) for op in (Op.BLOCK_IN, Op.BLOCK_OUT, Op.ATTEND_PREFILL)]
        return sum(once.values()) + load_model("llama-2-70b").layers * sum(layers)

    assert sum(account.counters.values()) == 3 * whole(answer) + whole(other)


def test_one_device_serves_all_replicas() -> None:
    once = hello("gpu", machine(), "llama-2-70b", 4)
    twice = replace(once, slots=(once.slots[0], replace(once.slots[0], device_id="other", slot="gpu-1")))
    with pytest.raises(InvalidInput, match="one GPU device serves all replicas"):
        GpuDevice([Identity("gpu"), Identity("other")]).open(twice)


def test_answers_cannot_be_changed_by_who_gets_them() -> None:
    (answer,) = session().estimate([window(decoding(RESIDENTS), residents=RESIDENTS)])
    with pytest.raises(ValueError, match="read-only"):
        np.add(answer.costs[0].duration_ps, 1, out=answer.costs[0].duration_ps)


def test_partial_results_are_merged_before_the_output_projection() -> None:
    """Stripes of 192 tokens on 8 ranks: 100 tokens on 1 rank, 2,000 on 8, 383 on 2, soon on 3."""
    on = machine(attention__partition="block", attention__kv_block_tokens=64, attention__stripe_tokens=192)
    striped = GpuDevice([Identity("gpu")]).open(hello("gpu", on, "llama-2-70b", 4, 2))
    residents = [(0, 0, 0, 99), (1, 1, 3, 1999), (2, 2, 5, 382)]
    asked = window(decoding(residents), residents=residents, rounds=3)
    (answer,), (plain,) = striped.estimate([asked]), session().estimate([asked])
    out, before = op_cost(answer, Op.BLOCK_OUT), op_cost(plain, Op.BLOCK_OUT)
    # 16 query heads a GPU of 128 elements: FP32 outputs, maximum and sum read, FP16 outputs written.
    gpu = machine().gpu
    bandwidth = gpu.memory_bytes_per_s * gpu.memory_efficiency
    sizes = [16 * (parts * (128 + 2) * 4 + 2 * 128 * 2) for parts in (10, 10, 11)]
    merged = [round((size / bandwidth + gpu.stream_launch_us / 1e6) * 1e12) for size in sizes]
    assert out.duration_ps[0, 0].tolist() == [before.duration_ps[0, 0, 0] + more for more in merged]
    assert out.energy_nj[0].tolist() == [
        pytest.approx(before.energy_nj[0, 0] + 1400 * more / 1e3, abs=1) for more in merged
    ]
    for op in ("embed", "block_in", "head"):
        assert op_cost(answer, op).duration_ps.tolist() == op_cost(plain, op).duration_ps.tolist()


def test_what_merging_takes_is_counted() -> None:
    on = machine(attention__partition="block", attention__kv_block_tokens=64, attention__stripe_tokens=192)
    residents = [(0, 0, 0, 382), (1, 1, 3, 0)]
    opened = GpuDevice([Identity("gpu")]).open(hello("gpu", on, "llama-2-70b", 4, 2))
    opened.window(window(decoding([], 0, [Chunk(0, 382, 0, True)]), residents=residents))
    asked = replace(window(decoding(residents[:1]), rounds=3, window_id=2, commits=[Commit(1, 1)]), places=())
    costs = opened.window(asked)
    (before,) = opened.audit()
    (after,) = opened.close([Commit(2, 3)])
    spent = sum(after.counters.values()) - sum(before.counters.values())
    layers = load_model("llama-2-70b").layers
    of_layer = {Op.BLOCK_IN: layers, Op.BLOCK_OUT: layers}
    told = sum(
        of_layer.get(Op(cost.op), 1) * int(np.broadcast_to(cost.duration_ps[0, 0], 3).sum())
        for cost in costs.costs
    )
    assert spent == told
