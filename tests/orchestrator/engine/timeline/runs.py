"""Running a random job through the brute force and through the compiled timeline.

Both answer with the same plain `Seen`, one for each call and one for a last drain, so that comparing is `==`.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np

from l3sim.orchestrator.engine.timeline.attention import AttentionTimeline
from l3sim.orchestrator.engine.timeline.base import TASKS, Outcome, RoundCosts, Rules, Waits
from tests.orchestrator.engine.timeline.brute_force import Machine, Pass, RoundTimes, Simulation, Span
from tests.orchestrator.engine.timeline.cases import FOREVER_PS, Call, Case
from tests.orchestrator.engine.timeline.packing import packed

Label = Hashable


@dataclass
class Seen:
    """What a call showed; spans sorted, those of rounds below the limit only."""

    starts: list[int] = field(default_factory=list)
    joins: list[int] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    drained_ps: list[int] = field(default_factory=list)
    batch_ends: dict[Label, int] = field(default_factory=dict)
    pending: bool = False


def run_brute(case: Case, mutation: str | None = None, record_rounds: int = FOREVER_PS) -> list[Seen]:
    """Every call of a case by the event heap; `Seen` of a last drain to the end comes last."""
    simulation = Simulation(case.machine, mutation)
    labels: list[Label] = []
    read = 0

    def take(seen: Seen) -> list[Span]:
        nonlocal read
        new = simulation.spans[read:]
        read = len(simulation.spans)
        seen.spans = sorted(seen.spans + [span for span in new if span[0] < record_rounds])
        return new

    def drain(until_ps: int, seen: Seen) -> None:
        simulation.idle(until_ps)
        seen.drained_ps.append(max((span[6] for span in take(seen)), default=-1))

    def window(call: Call, start_ps: int, seen: Seen) -> int:
        taken: list[RoundTimes] = simulation.window(call.rounds, start_ps, start_ps + call.stop_after_ps)
        take(seen)
        for times in taken:
            seen.starts.append(times.start_ps)
            seen.joins.append(times.join_ps)
            seen.ends.append((times.end_ps.get(0, 0), times.end_ps.get(1, 0)))
        labels.extend(made(call).values())
        return taken[-1].join_ps

    def close(seen: Seen) -> None:
        seen.batch_ends = {label: simulation.batch_end(label) for label in labels}
        seen.pending = simulation.pending()

    return _script(case, drain, window, close)


def run_timeline(
    case: Case, skip: bool = True, lockstep: bool = False, record_rounds: int = FOREVER_PS
) -> list[Seen]:
    """Every call of a case by the compiled timeline; `lockstep`: a window of k rounds as k windows of one."""
    machine = case.machine
    rules = Rules(machine.layers, machine.ranksets, machine.overlap, machine.half_duplex)
    timeline = AttentionTimeline(rules, skip=skip)
    timeline.record_rounds = record_rounds
    numbers: dict[Label, int] = {}

    def drain(until_ps: int, seen: Seen) -> None:
        latest_ps, spans = timeline.drain(until_ps)
        seen.drained_ps.append(latest_ps)
        seen.spans = sorted(seen.spans + plain(spans))

    def window(call: Call, start_ps: int, seen: Seen) -> int:
        stop_ps = start_ps + call.stop_after_ps
        for rounds in [[one] for one in call.rounds] if lockstep else [call.rounds]:
            out = timeline.simulate(
                costs_of(rounds, machine),
                start_ps,
                stop_ps,
                waits_of(rounds[0], machine, numbers),
                machine.schedule_ps,
            )
            assert out.rounds == len(out.start_ps) == len(out.join_ps) == len(out.end_ps)
            seen.starts += out.start_ps.tolist()
            seen.joins += out.join_ps.tolist()
            seen.ends += [(end[0], end[1]) for end in out.end_ps.tolist()]
            seen.spans = sorted(seen.spans + plain(out.spans))
            start_ps = seen.joins[-1] + machine.schedule_ps
            if seen.joins[-1] >= stop_ps:
                break
        _number(call, out, numbers)
        return seen.joins[-1]

    def close(seen: Seen) -> None:
        seen.batch_ends = {label: timeline.batch_end_ps(number) for label, number in numbers.items()}
        seen.pending = timeline.pending()

    return _script(case, drain, window, close)


def _script(
    case: Case,
    drain: Callable[[int, Seen], None],
    window: Callable[[Call, int, Seen], int],
    close: Callable[[Seen], None],
) -> list[Seen]:
    join_ps = free_ps = 0
    history: list[Seen] = []
    for call in case.calls:
        seen = Seen()
        start_ps = free_ps + call.gap_ps
        for i in range(call.drains):
            drain(join_ps + (start_ps - join_ps) * (i + 1) // call.drains, seen)
        join_ps = window(call, start_ps, seen)
        free_ps = join_ps + case.machine.schedule_ps
        close(seen)
        history.append(seen)
    last = Seen()
    drain(FOREVER_PS, last)
    close(last)
    return [*history, last]


def made(call: Call) -> dict[int, Label]:
    """Labels of the batches that a call's only round makes, by pass."""
    return {s: work.batch for s, work in call.rounds[0].items() if any(map(any, work.kv))}


def _number(call: Call, out: Outcome, numbers: dict[Label, int]) -> None:
    labels = made(call)
    assert {s for s in (0, 1) if out.batches[s] >= 0} == set(labels)
    numbers |= {label: out.batches[s] for s, label in labels.items()}


def costs_of(rounds: list[dict[int, Pass]], machine: Machine) -> RoundCosts:
    """The arrays of a window."""
    k, r = len(rounds), machine.ranksets
    scalars = {name: np.zeros((k, 2), dtype=np.int64) for name in ("b_first", "b_mid", "b_last", "prefill")}
    tables = {name: np.zeros((k, 2, r, r), dtype=np.int64) for name in ("down", "attend", "up", "kv")}
    unchunked = np.zeros(2, dtype=np.bool_)
    for i, passes in enumerate(rounds):
        for s, work in passes.items():
            unchunked[s] = work.unchunked
            for name, array in (scalars | tables).items():
                array[i, s] = getattr(work, name)
    return packed(
        b_first=scalars["b_first"],
        b_mid=scalars["b_mid"],
        b_last=scalars["b_last"],
        p=scalars["prefill"],
        d=tables["down"],
        a=tables["attend"],
        u=tables["up"],
        kv=tables["kv"],
        unchunked=unchunked,
    )


def waits_of(passes: dict[int, Pass], machine: Machine, numbers: dict[Label, int]) -> list[Waits]:
    """Which (pass, offset) waits for which batch, read off the requests; ended batches are named too."""
    result = []
    for label, number in numbers.items():
        table = np.zeros((2, machine.ranksets), dtype=np.bool_)
        for s, work in passes.items():
            for request in work.requests:
                table[s, request.offset] |= label in request.prefilled
        if table.any():
            result.append(Waits(number, table))
    return result


def plain(spans: np.ndarray) -> list[Span]:
    """Rows of `Outcome.spans` as tuples with the task's letter."""
    return [(r, s, layer, TASKS[task], j, a, b) for r, s, layer, task, j, a, b in spans.tolist()]
