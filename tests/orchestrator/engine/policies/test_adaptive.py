"""Plans of `adaptive`."""

import numpy as np

from l3sim.orchestrator.engine.policies import NO_HORIZON, POLICIES, Plan, PlanView
from l3sim.placement import DecodePlacement
from l3sim.testing.builders import small_layout
from tests.orchestrator.engine.policies.views import Resident, predictor_of, requests_of, view_of

BOTH = small_layout(decode=DecodePlacement.BOTH)
#: The placement in GPU memory.
GPU = (BOTH.ranksets, 0)


def plan_of(view: PlanView, token_ps: float = 1.0, dense_ps: float = 1000.0) -> Plan:
    return POLICIES.get("adaptive")().plan(view, predictor_of(fc=(dense_ps, 1.0), token_ps=token_ps))


def test_every_resident_decodes_in_one_batch_where_modules_are_quick() -> None:
    plan = plan_of(view_of([Resident(5, 9), Resident(5, 9, GPU)], layout=BOTH, beside_tokens=100))
    assert requests_of(plan.passes[0].decode) == [0, 1]
    assert (plan.passes[1].empty, plan.horizon) == (True, NO_HORIZON)
    assert (plan.considered["on_gpus"], plan.considered["in_modules"]) == (1, 1)


def test_two_sub_batches_where_modules_take_longer_than_dense_layers() -> None:
    view = view_of([Resident(5, 900), Resident(5, 900), Resident(5, 900, GPU)], layout=BOTH)
    plan = plan_of(view, token_ps=100.0)
    assert [len(part.decode) for part in plan.passes] == [2, 1] or [
        len(part.decode) for part in plan.passes
    ] == [1, 2]
    # The two of one rank are on either side.
    assert sum(0 in requests_of(part.decode) for part in plan.passes) == 1
    assert {0, 1} - set(requests_of(plan.passes[0].decode)) != set()


def test_the_head_goes_to_gpu_memory_while_it_has_room() -> None:
    plan = plan_of(view_of(waiting=[30, 30, 30], layout=BOTH, beside_tokens=70), token_ps=0.01)
    assert [(placed.offset, placed.rank) for placed in plan.admitted][:2] == [GPU, GPU]
    assert plan.admitted[2].offset < BOTH.ranksets
    assert plan.considered["admitted_to_gpus"] == 2


def test_what_is_expected_later_bounds_who_enters() -> None:
    """Ranks hold 2,000 tokens in all: answers are taken to have 62, so 20 of 40 tokens find room, not 40."""
    view = view_of(
        waiting=[40] * 60,
        room_tokens=500,
        layout=small_layout(),
        max_chunk_tokens=4096,
        token_budget=4096,
    )
    plan = plan_of(view)
    assert plan.blocked == "kv"
    assert 10 < len(plan.admitted) < 40


def test_a_bound_on_gaps_keeps_requests_and_chunks_out() -> None:
    view = view_of([Resident(5, 900)], waiting=[200], layout=BOTH)
    view.gap_ps, view.layers = 10**9, 1
    assert plan_of(view, token_ps=1.0).admitted
    view = view_of([Resident(5, 900)], waiting=[200], layout=BOTH)
    view.gap_ps, view.layers = 1000, 1
    plan = plan_of(view, token_ps=1.0)
    assert (plan.blocked, plan.admitted) == ("gap", ())


def test_where_no_more_tokens_a_second_come_nobody_enters_modules() -> None:
    """A round is as long as its attention is: one more makes it longer by as much."""
    busy = [Resident(5, 3000, (offset, rank)) for offset in range(2) for rank in range(2)]
    view = view_of(busy, waiting=[3000] * 4, layout=small_layout(groups=1))
    assert plan_of(view, token_ps=1000.0, dense_ps=1.0).blocked == "aligned"


def test_known_lengths_are_used() -> None:
    view = view_of([Resident(5, 9)], waiting=[40], layout=BOTH, beside_tokens=10_000)
    view.table.lengths_known = True
    assert len(plan_of(view).admitted) == 1
    assert isinstance(plan_of(view).decode, np.ndarray)
