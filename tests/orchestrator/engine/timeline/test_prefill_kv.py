"""K tasks in timelines worked out by hand: which yields to which, joins, and what waits for them."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.timeline import Waits
from tests.orchestrator.engine.timeline.hand import LATE, costs, read, simulate, timeline


def test_prefill_kv_yields_to_decoding_and_crosses_the_join() -> None:
    line = timeline()
    outcome = simulate(line, costs(d=4, a=6, u=3, kv=50))
    # K is ready at 10 with D; at 14 the rankset goes to A, at 20 to U.
    assert read(outcome.spans)[-2:] == ["U(0,0,0) 20-23", "B(0,1) 23-33"]
    assert outcome.join_ps.tolist() == [33]
    assert outcome.batches == (0, -1)
    assert (line.pending(), line.batch_end_ps(0)) == (True, -1)
    assert line.next_end_ps() == 73
    assert line.drain(72)[0] == -1
    assert line.pending()
    last, spans = line.drain(73)
    assert (last, read(spans)) == (73, ["K(0,0,0) 23-73"])
    assert (line.pending(), line.batch_end_ps(0)) == (False, 73)
    assert line.next_end_ps() == -1
    assert line.drain(LATE)[0] == -1


def test_left_kv_holds_the_link_of_the_next_round() -> None:
    line = timeline()
    simulate(line, costs(kv=50))
    outcome = simulate(line, costs(d=4, a=6, u=3), start_ps=20)
    assert read(outcome.spans) == [
        "K(0,0,0) 10-60",
        "B(0,0) 20-30",
        "D(0,0,0) 60-64",
        "A(0,0,0) 64-70",
        "U(0,0,0) 70-73",
        "B(0,1) 73-83",
    ]


def test_a_kv_task_overtakes_one_whose_rankset_computes() -> None:
    outcome = simulate(timeline(ranksets=2), costs(ranksets=2, d=[4, 0], a=[50, 0], u=[3, 0], kv=10))
    assert [line for line in read(outcome.spans) if line[0] == "K"] == ["K(0,0,1) 14-24", "K(0,0,0) 67-77"]


def test_kv_goes_on_in_the_gap_before_the_next_round() -> None:
    line = timeline(ranksets=2)
    simulate(line, costs(ranksets=2, kv=30))
    outcome = simulate(line, costs(ranksets=2), start_ps=120)
    assert read(outcome.spans)[:2] == ["K(0,0,0) 10-40", "K(0,0,1) 40-70"]
    assert line.batch_end_ps(0) == 70


#: Round 1 leaves K(0,0,0) 10-60 and K(0,0,1); round 2 decodes in sub-batch 1 on rankset 1 alone.
DECODE_ON_1 = costs(ranksets=2, passes=(0, 1), d=[0, 4], a=[0, 6], u=[0, 3])


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ((1, 1), ["D(1,0,1) 60-64", "K(0,0,1) 64-114", "A(1,0,1) 114-120", "U(1,0,1) 120-123"]),
        ((1, 0), ["D(1,0,1) 60-64", "A(1,0,1) 64-70", "U(1,0,1) 70-73"]),  # another offset
        ((0, 1), ["D(1,0,1) 60-64", "A(1,0,1) 64-70", "U(1,0,1) 70-73"]),  # another sub-batch
    ],
)
def test_attention_waits_for_the_prefill_kv_of_its_requests(
    waiting: tuple[int, int], expected: list[str]
) -> None:
    line = timeline(ranksets=2)
    simulate(line, costs(ranksets=2, kv=50))
    passes = np.zeros((2, 2), dtype=bool)
    passes[waiting] = True
    outcome = simulate(line, DECODE_ON_1, start_ps=20, waits=(Waits(0, passes),))
    assert [text for text in read(outcome.spans) if text[0] != "B"][1:] == expected


def test_attention_waits_for_its_own_layer_only() -> None:
    line = timeline(layers=2)
    simulate(line, costs(kv=50))  # K(0,0,0) 10-60, K(0,1,0) waits; join at 30
    outcome = simulate(
        line, costs(passes=(0, 1), d=4, a=6, u=3), start_ps=30, waits=(Waits(0, np.ones((2, 1), dtype=bool)),)
    )
    assert read(outcome.spans)[2:6] == [
        "D(1,0,0) 60-64",
        "A(1,0,0) 64-70",
        "U(1,0,0) 70-73",
        "K(0,1,0) 73-123",
    ]


@pytest.mark.parametrize(("unchunked", "last"), [(True, "B(0,1) 60-70"), (False, "B(0,1) 15-25")])
def test_a_pass_with_an_unchunked_prompt_waits_for_its_kv(unchunked: bool, last: str) -> None:
    outcome = simulate(timeline(), costs(p=5, kv=50, unchunked=unchunked))
    assert last in read(outcome.spans)


def test_kv_of_an_earlier_round_does_not_gate_an_unchunked_pass() -> None:
    line = timeline()
    simulate(line, costs(kv=100))
    outcome = simulate(line, costs(p=5, unchunked=True), start_ps=20)
    assert outcome.join_ps.tolist() == [45]


def test_records_the_rounds_asked_for_even_when_their_kv_ends_later() -> None:
    line = timeline()
    line.record_rounds = 1
    first = simulate(line, costs(kv=50))
    second = simulate(line, costs(kv=50), start_ps=20)
    _, spans = line.drain(LATE)
    assert read(first.spans) == ["B(0,0) 0-10", "B(0,1) 10-20"]
    assert len(second.spans) == 0
    assert read(spans) == ["K(0,0,0) 10-60"]
    assert not line.pending()


def test_a_backlog_of_kv_grows_without_bound_and_keeps_its_order() -> None:
    layers, ranksets, rounds, long = 3, 2, 50, 1000
    line = timeline(layers=layers, ranksets=ranksets)
    line.record_rounds = 0
    now = 0
    for number in range(rounds):
        outcome = simulate(line, costs(ranksets=ranksets, kv=long), start_ps=now)
        assert outcome.batches == (number, -1)
        now = int(outcome.join_ps[0])
    each = layers * ranksets * long
    assert line.drain(LATE)[0] == 10 + rounds * each
    assert [line.batch_end_ps(batch) for batch in range(rounds)] == [
        10 + (batch + 1) * each for batch in range(rounds)
    ]
