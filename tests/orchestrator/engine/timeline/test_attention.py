"""The compiled timeline against timelines worked out by hand: passes, service, windows, refusals."""

from typing import Any

import numpy as np
import pytest

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.timeline import TIMELINES, AttentionTimeline, RoundCosts, Rules, Waits
from tests.orchestrator.engine.timeline.hand import LATE, costs, read, simulate, timeline


def test_is_registered() -> None:
    assert TIMELINES.get("attention") is AttentionTimeline


DECODING = costs(ranksets=2, d=4, a=6, u=3)


def test_one_rankset_computes_while_the_other_communicates() -> None:
    outcome = simulate(timeline(ranksets=2), DECODING)
    assert read(outcome.spans) == [
        "B(0,0) 0-10",
        "D(0,0,0) 10-14",
        "D(0,0,1) 14-18",
        "A(0,0,0) 14-20",
        "A(0,0,1) 18-24",
        "U(0,0,0) 20-23",
        "U(0,0,1) 24-27",
        "B(0,1) 27-37",
    ]
    assert outcome.join_ps.tolist() == [37]
    assert outcome.end_ps.tolist() == [[37, 0]]


def test_without_overlap_a_transfer_stops_every_rankset() -> None:
    outcome = simulate(timeline(ranksets=2, overlap=False), DECODING)
    assert read(outcome.spans)[1:] == [
        "D(0,0,0) 10-14",
        "D(0,0,1) 14-18",
        "A(0,0,0) 18-24",
        "A(0,0,1) 18-24",
        "U(0,0,0) 24-27",
        "U(0,0,1) 27-30",
        "B(0,1) 30-40",
    ]


@pytest.mark.parametrize(
    ("half_duplex", "up"),
    [(True, ["U(0,0,0) 18-21", "U(0,0,1) 21-24"]), (False, ["U(0,0,0) 15-18", "U(0,0,1) 19-22"])],
)
def test_the_bus_moves_one_way_at_a_time_unless_full_duplex(half_duplex: bool, up: list[str]) -> None:
    outcome = simulate(timeline(ranksets=2, half_duplex=half_duplex), costs(ranksets=2, d=4, a=1, u=3))
    assert [line for line in read(outcome.spans) if line[0] == "U"] == up


def test_the_longest_ready_is_served_first_and_sub_batch_0_before_1() -> None:
    outcome = simulate(timeline(), costs(passes=(1, 1), p=5))
    assert read(outcome.spans) == [
        "B(0,0) 0-10",
        "B(1,0) 10-20",  # ready at 0, before P(0,0), ready at 10
        "P(0,0) 20-25",
        "P(1,0) 25-30",  # ready at 20, before B(0,1), ready at 25
        "B(0,1) 30-40",
        "B(1,1) 40-50",
    ]


def test_of_tasks_ready_at_one_instant_the_lower_sub_batch_goes_first() -> None:
    outcome = simulate(timeline(half_duplex=False), costs(passes=(1, 1), b=[4, 6], d=2, a=4, u=2))
    assert read(outcome.spans) == [
        "B(0,0) 0-4",
        "D(0,0,0) 4-6",
        "B(1,0) 4-10",
        "A(0,0,0) 6-10",
        "U(0,0,0) 10-12",  # ready at 10, as is D(1,0,0), which needs the rankset too
        "B(0,1) 12-16",
        "D(1,0,0) 12-14",
        "A(1,0,0) 14-18",
        "U(1,0,0) 18-20",
        "B(1,1) 20-26",
    ]


def test_layers_take_the_costs_of_their_class() -> None:
    by_class = np.array([[1, 0], [0, 5]])
    outcome = simulate(timeline(layers=3, ranksets=2), costs(ranksets=2, d=by_class, a=by_class, u=by_class))
    assert [line for line in read(outcome.spans) if line[0] == "A"] == [
        "A(0,0,0) 11-12",
        "A(0,1,1) 28-33",
        "A(0,2,0) 49-50",
    ]


def test_a_task_without_work_is_no_task_and_its_dependants_see_through_it() -> None:
    outcome = simulate(timeline(ranksets=2), costs(ranksets=2, d=[0, 4], a=[6, 0], u=[0, 3]))
    assert read(outcome.spans) == [
        "B(0,0) 0-10",
        "D(0,0,1) 10-14",
        "A(0,0,0) 10-16",
        "U(0,0,1) 14-17",
        "B(0,1) 17-27",
    ]


def test_a_layer_of_nothing_but_blocks() -> None:
    outcome = simulate(timeline(layers=2), costs())
    assert read(outcome.spans) == ["B(0,0) 0-10", "B(0,1) 10-20", "B(0,2) 20-30"]


def test_sub_batch_1_alone_keeps_its_number() -> None:
    outcome = simulate(timeline(), costs(passes=(0, 1), d=4, a=6, u=3, kv=7))
    assert {row[1] for row in outcome.spans.tolist()} == {1}
    assert outcome.end_ps.tolist() == [[0, 33]]
    assert outcome.batches == (-1, 0)


@pytest.mark.parametrize(("stop_ps", "rounds"), [(0, 1), (20, 1), (21, 2), (45, 2), (46, 3), (LATE, 5)])
def test_stops_after_the_first_join_at_or_past_stop(stop_ps: int, rounds: int) -> None:
    outcome = timeline().simulate(costs(rounds=5), 0, stop_ps, [], gap_ps=5)
    assert outcome.rounds == rounds
    assert outcome.start_ps.tolist() == [0, 25, 50, 75, 100][:rounds]
    assert outcome.join_ps.tolist() == [20, 45, 70, 95, 120][:rounds]
    assert outcome.end_ps.shape == (rounds, 2)


def changed(**parts: Any) -> RoundCosts:
    """A round of pass 0 with other entries."""
    found = costs()
    for name, value in parts.items():
        getattr(found, name)[:] = value
    return found


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (costs(d=-1), "negative"),
        (costs(passes=(0, 0)), "no sub-batch"),
        (costs(rounds=0), "no round"),
        (costs(rounds=2, kv=1), "more than one round"),
        (changed(b_last=0), "not all"),
        (changed(kv=[[[[0]], [[1]]]]), "empty"),
    ],
)
def test_refuses_costs_that_no_round_has(window: RoundCosts, said: str) -> None:
    with pytest.raises(InvariantBroken, match=said):
        simulate(timeline(), window)


def test_refuses_the_past_unknown_batches_and_other_shapes() -> None:
    line = timeline()
    simulate(line, costs())
    with pytest.raises(InvariantBroken, match="time is at 20"):
        simulate(line, costs(), start_ps=19)
    with pytest.raises(InvariantBroken, match="starts 1 ps before the join"):
        line.simulate(costs(), 20, LATE, [], gap_ps=-1)
    with pytest.raises(InvariantBroken, match="no batch 0"):
        simulate(line, costs(), start_ps=20, waits=(Waits(0, np.ones((2, 1), dtype=bool)),))
    with pytest.raises(InvariantBroken, match="costs of 2 ranksets, not 1"):
        simulate(line, costs(ranksets=2), start_ps=20)


@pytest.mark.parametrize("rules", [Rules(0, 1, True, True), Rules(1, 59, True, True)])
def test_refuses_rules_that_it_cannot_walk(rules: Rules) -> None:
    with pytest.raises(InvariantBroken, match="needs layers"):
        AttentionTimeline(rules)


def test_as_many_ranksets_as_bits_allow() -> None:
    outcome = simulate(timeline(ranksets=58), costs(ranksets=58, d=1, a=100, u=1))
    # D of j ends at 11 + j, A 100 later, U one after the other: the last at 10 + 58 + 100 + 1.
    assert outcome.join_ps.tolist() == [179]
