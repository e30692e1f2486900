"""What the compiled timeline's spans must satisfy whatever the order of service is: a third reading."""

from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.orchestrator.engine.timeline.brute_force import Machine, Pass, Span
from tests.orchestrator.engine.timeline.cases import Case, draw_case
from tests.orchestrator.engine.timeline.runs import Seen, run_timeline

Key = tuple[int, int, int, str, int]
When = dict[Key, tuple[int, int]]

exact = settings(derandomize=True, deadline=None, database=None, max_examples=40)
shapes = st.randoms(use_true_random=False)


def resources(machine: Machine, kind: str, j: int) -> list[str]:
    if kind in ("B", "P"):
        return ["gpu"]
    if kind == "A":
        return [f"R{j}"]
    every = range(machine.ranksets) if not machine.overlap else [j]
    bus = ["bus"] if machine.half_duplex else []
    return ["link_up" if kind == "U" else "link_down", *bus, *(f"R{i}" for i in every)]


def all_spans(history: list[Seen]) -> list[Span]:
    return [span for seen in history for span in seen.spans]


def rounds_of(case: Case, history: list[Seen]) -> list[dict[int, Pass]]:
    """The work of each round that was taken, by round number."""
    return [
        work
        for call, seen in zip(case.calls, history, strict=False)
        for work in call.rounds[: len(seen.starts)]
    ]


@exact
@given(shapes)
def test_no_resource_is_held_twice_at_once(shape: Random) -> None:
    case = draw_case(shape)
    held: dict[str, list[tuple[int, int]]] = {}
    for _, _, _, kind, j, start_ps, end_ps in all_spans(run_timeline(case)):
        for name in resources(case.machine, kind, j):
            held.setdefault(name, []).append((start_ps, end_ps))
    for intervals in held.values():
        for (_, end_ps), (start_ps, _) in pairwise(sorted(intervals)):
            assert end_ps <= start_ps


@exact
@given(shapes)
def test_every_task_runs_once_for_its_cost(shape: Random) -> None:
    case = draw_case(shape)
    history = run_timeline(case)
    expected: dict[Key, int] = {}
    for r, passes in enumerate(rounds_of(case, history)):
        for s, work in passes.items():
            for layer in range(case.machine.layers):
                expected[r, s, layer, "B", -1] = work.b_mid if layer else work.b_first
                expected[r, s, layer, "P", -1] = work.prefill
                for j in range(case.machine.ranksets):
                    c = layer % case.machine.ranksets
                    for kind, table in zip("DAUK", (work.down, work.attend, work.up, work.kv), strict=True):
                        expected[r, s, layer, kind, j] = table[c][j]
            expected[r, s, case.machine.layers, "B", -1] = work.b_last
    spans = all_spans(history)
    lengths = {span[:5]: span[6] - span[5] for span in spans}
    assert len(lengths) == len(spans)
    assert lengths == {key: cost for key, cost in expected.items() if cost}


@exact
@given(shapes)
def test_every_task_starts_after_what_it_waits_for(shape: Random) -> None:
    case = draw_case(shape)
    history = run_timeline(case)
    when: When = {span[:5]: (span[5], span[6]) for span in all_spans(history)}
    starts = [start_ps for seen in history for start_ps in seen.starts]
    joins = [join_ps for seen in history for join_ps in seen.joins]
    made = {
        work.batch: (r, s) for r, passes in enumerate(rounds_of(case, history)) for s, work in passes.items()
    }

    def after(key: Key, *others: Key) -> bool:
        return key not in when or all(when[key][0] >= when[other][1] for other in others if other in when)

    for r, passes in enumerate(rounds_of(case, history)):
        for s, work in passes.items():
            assert when[r, s, 0, "B", -1][0] >= starts[r]
            for layer in range(case.machine.layers):
                b: Key = (r, s, layer, "B", -1)
                following: Key = (r, s, layer + 1, "B", -1)
                assert after((r, s, layer, "P", -1), b)
                assert after(following, b, (r, s, layer, "P", -1))
                for j in range(case.machine.ranksets):
                    d, a, u, k = ((r, s, layer, kind, j) for kind in "DAUK")
                    assert after(d, b)
                    assert after(k, b)
                    assert after(a, d)
                    assert after(u, a)
                    assert after(following, u, *([k] if work.unchunked else []))
                for request in work.requests:
                    j = (request.offset + layer) % case.machine.ranksets
                    kv = [(*made[batch], layer, "K", j) for batch in request.prefilled if batch in made]
                    assert after((r, s, layer, "A", j), *kv)
        assert joins[r] == max(when[r, s, case.machine.layers, "B", -1][1] for s in passes)
