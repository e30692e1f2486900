"""Costs written into the rows that the timeline walks, by hand."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.costs.kernels import GPU_OPS, complete, enter_attention, enter_blocks
from l3sim.orchestrator.engine.timeline.base import RoundCosts
from l3sim.units import Int64s
from l3sim.work import Op
from tests.orchestrator.small_jobs import numbers


def gpu_table(**durations: list[int]) -> Int64s:
    """Durations of operations by pass, one round."""
    table = np.zeros((len(GPU_OPS), 2, 1), dtype=np.int64)
    for name, by_pass in durations.items():
        table[GPU_OPS.index(Op[name]), :, 0] = by_pass
    return table


WORK = {"EMBED": [1, 0], "BLOCK_IN": [10, 0], "BLOCK_OUT": [100, 0], "HEAD": [1000, 0]}


def test_a_block_joins_the_end_of_one_layer_to_the_start_of_the_next() -> None:
    costs = RoundCosts.nothing(1, 1)
    enter_blocks(costs.rows, gpu_table(**WORK, ATTEND_PREFILL=[7, 0]))
    assert costs.b_first.tolist() == [[11, 0]]
    assert costs.b_mid.tolist() == [[110, 0]]
    assert costs.b_last.tolist() == [[1100, 0]]
    assert costs.p.tolist() == [[7, 0]]


def test_the_slowest_rank_of_a_rankset_counts_and_each_rank_has_its_own_time() -> None:
    """Two ranksets of two ranks, four layers: two of each class."""
    attend = np.zeros((2, 4, 2, 1), dtype=np.int64)
    attend[0, :, 0, 0] = [5, 9, 3, 2]  # class 0
    attend[0, :, 1, 0] = [1, 1, 4, 8]  # class 1
    attend[1, 0, 0, 0] = 6
    costs = RoundCosts.nothing(1, 2)
    rank_ps = enter_attention(costs.rows, attend, 2, numbers([2, 2]))
    assert costs.a[0, 0].tolist() == [[9, 3], [1, 8]]
    assert costs.a[0, 1].tolist() == [[6, 0], [0, 0]]
    assert rank_ps[:, 0].tolist() == [2 * (5 + 1 + 6), 2 * (9 + 1), 2 * (3 + 4), 2 * (2 + 8)]


def is_complete(
    cells: dict[str, int] | None = None,
    works: int = 1,
    decodes: int = 1,
    prefills: int = 0,
    on_gpu: bool = False,
) -> bool:
    """Of a round whose pass 0 decodes, a rankset; `cells` are set to other durations."""
    costs = RoundCosts.nothing(1, 1)
    costs.d[:, 0], costs.a[:, 0], costs.u[:, 0] = 3, 5, 4
    gpu = gpu_table(**WORK)
    for name, duration in (cells or {}).items():
        if hasattr(costs, name):
            getattr(costs, name)[:, 0] = duration
        else:
            gpu[GPU_OPS.index(Op[name]), 0] = duration
    first, second, third, fourth = (numbers([flag, 0]) for flag in (works, decodes, prefills, prefills))
    return bool(complete(costs.rows, gpu, 1, first, second, third, fourth, on_gpu))


def test_work_that_has_its_costs_is_complete() -> None:
    assert is_complete()
    assert is_complete({"ATTEND_PREFILL": 7, "kv": 2}, prefills=1)
    assert is_complete({"d": 0, "u": 0}, on_gpu=True)


@pytest.mark.parametrize("name", ["EMBED", "BLOCK_IN", "BLOCK_OUT", "HEAD", "d", "a", "u"])
def test_work_without_a_cost_is_not(name: str) -> None:
    assert not is_complete({name: 0})


@pytest.mark.parametrize("name", ["ATTEND_PREFILL", "kv"])
def test_a_cost_without_work_is_not(name: str) -> None:
    assert not is_complete({name: 9})
    assert not is_complete({name: 9}, prefills=1)


def test_a_pass_that_does_nothing_costs_nothing() -> None:
    assert not is_complete(works=0, decodes=0)
    assert not is_complete(decodes=0)
