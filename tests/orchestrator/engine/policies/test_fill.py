"""`fill`: memory first, two sub-batches."""

from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.policies import NO_HORIZON, POLICIES
from l3sim.testing.builders import small_layout
from tests.orchestrator.engine.policies.views import Resident, predictor_of, requests_of, shown, view_of


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.integers(1, 30), max_size=9))
def test_every_resident_decodes_longest_first_to_the_lighter_pass(held: list[int]) -> None:
    plan = POLICIES.get("fill")().plan(view_of([Resident(1, tokens) for tokens in held]), predictor_of())
    sides: list[list[int]] = [[], []]
    for request in sorted(range(len(held)), key=lambda one: (-held[one], one)):
        loads = [sum(held[one] for one in side) for side in sides]
        sides[1 if loads[1] < loads[0] else 0].append(request)
    assert [requests_of(part.decode) for part in plan.passes] == sides
    assert plan.horizon == NO_HORIZON


def test_chunks_go_beside_them() -> None:
    plan = POLICIES.get("fill")().plan(view_of([Resident(5, 9)], waiting=[300, 30]), predictor_of())
    assert [requests_of(part.decode) for part in plan.passes] == [[0], []]
    assert shown([part.chunks for part in plan.passes]) == [[(1, 256, 0, False)], [(2, 30, 0, True)]]
    assert [placed.request for placed in plan.admitted] == [1, 2]


def test_requests_of_one_rank_are_split_though_the_sums_are_even() -> None:
    """Two of rank 0, two of rank 1, all as long: by sums alone one side could have both of a rank."""
    residents = [Resident(1, 8, (0, rank)) for rank in (0, 1, 0, 1)]
    plan = POLICIES.get("fill")().plan(view_of(residents, layout=small_layout(groups=1)), predictor_of())
    ranks = [sorted(residents[request].place[1] for request in part.decode) for part in plan.passes]
    assert ranks == [[0, 1], [0, 1]]
