"""`l3`: both sides end together; a request that is left out comes first in the next plan."""

import pytest

from l3sim.orchestrator.engine.policies import NO_HORIZON, POLICIES, Plan, PlanView
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.testing.builders import small_layout
from tests.orchestrator.engine.policies.views import Resident, predictor_of, requests_of, shown, view_of

#: One rank: every request costs what it holds, and one more.
ONE_RANK = small_layout(ranksets=1, ranks=1, groups=1, queries_per_read=1)


def plan_of(view: PlanView, predictor: Predictor) -> Plan:
    return POLICIES.get("l3")().plan(view, predictor)


def decoding(plan: Plan) -> list[list[int]]:
    return [requests_of(part.decode) for part in plan.passes]


def test_stops_when_both_attend_longer_than_the_gpu_works() -> None:
    """FC takes 25 + n; each request attends 10: a third a side would make 30 of PIM beside 28 of GPU."""
    view = view_of([Resident(5, 9)] * 9, layout=ONE_RANK)
    plan = plan_of(view, predictor_of(fc=(25.0, 1.0), layout=ONE_RANK))
    assert decoding(plan) == [[0, 2, 4], [1, 3, 5]]
    assert plan.predicted_ps == (28.0, 30.0, 28.0, 30.0)
    assert plan.horizon == 64


def test_step_is_16_for_gqa() -> None:
    layout = small_layout(ranksets=1, ranks=1, groups=1, queries_per_read=8)
    plan = plan_of(view_of([Resident(5, 9)] * 40, layout=layout), predictor_of(layout=layout))
    assert [len(side) for side in decoding(plan)] == [16, 16]


def test_longest_idle_first_then_by_admission() -> None:
    planned = [4, 1, 1, 3, 0]
    view = view_of([Resident(5, 9, planned=one) for one in planned], layout=ONE_RANK)
    plan = plan_of(view, predictor_of(fc=(5.0, 0.0), layout=ONE_RANK))
    # The first goes to a side whose GPU has nothing to do yet: T_PIM = T_GPU = 0.
    assert decoding(plan) == [[4], [1]]


def test_no_horizon_when_everybody_decodes() -> None:
    plan = plan_of(
        view_of([Resident(5, 9)] * 3, layout=ONE_RANK), predictor_of(fc=(1e6, 0.0), layout=ONE_RANK)
    )
    assert decoding(plan) == [[0, 2], [1]]
    assert plan.horizon == NO_HORIZON


def test_selection_all_deals_everybody_longest_first_to_the_smaller_pim_time() -> None:
    held = [4, 30, 10, 17]
    view = view_of([Resident(1, one) for one in held], layout=ONE_RANK, selection="all", horizon=3)
    plan = plan_of(view, predictor_of(layout=ONE_RANK))
    assert decoding(plan) == [[1], [3, 2, 0]]
    assert plan.horizon == NO_HORIZON


def test_chunks_shrink_to_meet_the_pim_when_none_waits() -> None:
    """PIM: a request of 99 attends 100 a side. GPU: 1 a chunk token of the same side, 0.01 a token of FC."""
    residents = [Resident(1, 99), Resident(1, 99), Resident(900, 0)]
    view = view_of(residents, layout=ONE_RANK, max_chunk_tokens=512, min_chunk_tokens=64)
    plan = plan_of(view, predictor_of(fc=(0.0, 0.01), chunk_ps=1.0, layout=ONE_RANK))
    # 64 or 128 tokens against 100; 128 leaves 28 + ..., 64 leaves 36.
    assert shown([part.chunks for part in plan.passes]) == [[(2, 128, 0, False)], []]


def test_chunks_stay_whole_while_somebody_who_fits_waits() -> None:
    residents = [Resident(1, 99), Resident(1, 99), Resident(900, 0), Resident(900, 0)]
    view = view_of(residents, waiting=[5], layout=ONE_RANK, max_chunk_tokens=512)
    plan = plan_of(view, predictor_of(fc=(0.0, 0.01), chunk_ps=1.0, layout=ONE_RANK))
    assert plan.blocked == "chunk"
    assert shown([part.chunks for part in plan.passes]) == [[(2, 512, 0, False)], [(3, 512, 0, False)]]


def test_chunks_shrink_when_the_head_does_not_fit() -> None:
    residents = [Resident(1, 99), Resident(1, 99), Resident(400, 0)]
    view = view_of(residents, waiting=[100], layout=ONE_RANK, max_chunk_tokens=512, room_tokens=610)
    plan = plan_of(view, predictor_of(fc=(0.0, 0.01), chunk_ps=1.0, layout=ONE_RANK))
    assert plan.blocked == "kv"
    assert shown([part.chunks for part in plan.passes]) == [[(2, 128, 0, False)], []]


def test_chunks_stay_whole_where_the_bubble_is_on_the_gpu_side() -> None:
    residents = [Resident(1, 99), Resident(1, 99), Resident(300, 0)]
    view = view_of(residents, layout=ONE_RANK, max_chunk_tokens=512)
    plan = plan_of(view, predictor_of(fc=(0.0, 0.01), chunk_ps=0.1, layout=ONE_RANK))
    assert shown([part.chunks for part in plan.passes]) == [[(2, 300, 0, True)], []]


def test_an_unchunked_prompt_stays_whole() -> None:
    view = view_of([Resident(1, 99)] * 2, waiting=[390], gpu_tokens=100, layout=ONE_RANK, max_chunk_tokens=64)
    plan = plan_of(view, predictor_of(chunk_ps=1.0, layout=ONE_RANK))
    assert plan.unchunked == 0
    assert shown([part.chunks for part in plan.passes]) == [[(2, 390, 0, True)], []]


@pytest.mark.parametrize(
    ("fc_ps", "admitted", "blocked"),
    # Two decode 100 each, one a side; each head brings 51 to a side. FC is what may take so long.
    [(99.0, [], "aligned"), (151.0, [2, 3], "aligned"), (1000.0, [2, 3, 4], "")],
)
def test_aligned_admission_keeps_attention_below_the_gpu(
    fc_ps: float, admitted: list[int], blocked: str
) -> None:
    view = view_of([Resident(1, 99)] * 2, waiting=[50] * 3, layout=ONE_RANK, admission="aligned")
    plan = plan_of(view, predictor_of(fc=(fc_ps, 0.0), layout=ONE_RANK))
    assert [placed.request for placed in plan.admitted] == admitted
    assert plan.blocked == blocked


def test_aligned_admission_asks_nothing_while_a_sub_batch_is_empty() -> None:
    view = view_of([Resident(1, 99)], waiting=[50] * 3, layout=ONE_RANK, admission="aligned")
    plan = plan_of(view, predictor_of(fc=(0.0, 0.0), layout=ONE_RANK))
    assert len(plan.admitted) == 3


def test_aligned_admission_counts_who_entered_before_where_it_went() -> None:
    """Two ranks, one resident on each: the third head of 50 would make rank 0 of a sub-batch 202 ps slow."""
    layout = small_layout(ranksets=1, ranks=2, groups=1, queries_per_read=1)
    residents = [Resident(1, 99, (0, 0)), Resident(1, 99, (0, 1))]
    view = view_of(residents, waiting=[50] * 5, layout=layout, admission="aligned")
    plan = plan_of(view, predictor_of(fc=(151.0, 0.0), layout=layout))
    assert [(placed.request, placed.rank) for placed in plan.admitted] == [(2, 0), (3, 1)]
    assert plan.blocked == "aligned"


def test_step_is_as_asked() -> None:
    plan = plan_of(view_of([Resident(5, 9)] * 9, layout=ONE_RANK, step=4), predictor_of(layout=ONE_RANK))
    # Each side takes 4 at a time; both are over the GPU's time then.
    assert [len(side) for side in decoding(plan)] == [4, 4]


def test_the_alignment_target_moves_where_both_are_full() -> None:
    """FC takes 25 + n; each attends 10. Aiming at twice the GPU's time, more decode; at half of it, fewer."""
    taken = {}
    for target in (0.5, 1.0, 2.0):
        view = view_of([Resident(5, 9)] * 20, layout=ONE_RANK, alignment=target)
        taken[target] = len(plan_of(view, predictor_of(fc=(25.0, 1.0), layout=ONE_RANK)).decode)
    assert taken == {0.5: 4, 1.0: 6, 2.0: 14}


def test_one_sub_batch_is_aligned_to_its_own_layers() -> None:
    """FC takes 25 + n: with three of them 30 of PIM stand beside 28 of GPU."""
    view = view_of([Resident(5, 9)] * 9, waiting=[5], layout=ONE_RANK, sub_batches=1)
    plan = plan_of(view, predictor_of(fc=(20.0, 1.0), layout=ONE_RANK))
    assert decoding(plan) == [[0, 1, 2], []]
    assert plan.predicted_ps == (28.0, 30.0)
    assert [len(part.chunks) for part in plan.passes] == [1, 0]


def test_chunks_stay_whole_when_asked_to() -> None:
    residents = [Resident(1, 99), Resident(1, 99), Resident(900, 0)]
    view = view_of(residents, layout=ONE_RANK, max_chunk_tokens=512, chunking="whole")
    plan = plan_of(view, predictor_of(fc=(0.0, 0.01), chunk_ps=1.0, layout=ONE_RANK))
    assert shown([part.chunks for part in plan.passes]) == [[(2, 512, 0, False)], []]
    assert "chunk_pairs" not in plan.considered


def test_what_was_weighed_is_told() -> None:
    residents = [Resident(1, 99), Resident(1, 99), Resident(900, 0)]
    view = view_of(residents, layout=ONE_RANK, max_chunk_tokens=512, min_chunk_tokens=64)
    plan = plan_of(view, predictor_of(fc=(0.0, 0.01), chunk_ps=1.0, layout=ONE_RANK))
    # 64, 128, ..., 512 of the one chunk; the partition is made again beside the cut one.
    assert plan.considered["chunk_pairs"] == 8
    assert plan.considered["cut_tokens"] == 512 - 128
    assert plan.considered["decode_predictions"] > 0
