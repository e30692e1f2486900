"""Small random jobs.

A job is a list of calls, as the engine would make them: an idle gap with drains, then a window of rounds.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from random import Random

from tests.orchestrator.engine.timeline.brute_force import Machine, Pass, Request

FOREVER_PS = 2**60


@dataclass(frozen=True)
class Call:
    """One window.

    Attributes:
        rounds: work by pass, of each round; the same passes and requests in all of them.
        gap_ps: idle time before it, beside the host's scheduling time.
        drains: how often to drain in that time, at even distances.
        stop_after_ps: stop at or past this long after the first start.
    """

    rounds: list[dict[int, Pass]]
    gap_ps: int = 0
    drains: int = 0
    stop_after_ps: int = FOREVER_PS


@dataclass(frozen=True)
class Case:
    machine: Machine
    calls: list[Call]


@dataclass(frozen=True)
class Scale:
    """Durations: mostly equal small ones, now and then a large one; prefill KV on a scale of its own.

    All are multiples of `unit_ps`, so that many stay equal where they are as long as in life.
    """

    rng: Random
    unit_ps: int
    small: int
    large: int
    kv: int

    def draw(self) -> int:
        if self.rng.random() < 0.06:
            return self.unit_ps * self.rng.randint(1, self.large)
        return self.unit_ps * self.rng.randint(1, self.small)

    def table(
        self, ranksets: int, offsets: Sequence[int], absent: list[list[bool]] | None = None
    ) -> list[list[int]]:
        """Work where the offsets put it: layer class c of offset o on rankset (o + c) mod R."""
        here = {(c, (o + c) % ranksets) for o in offsets for c in range(ranksets)}
        return [
            [self.draw() if (c, j) in here and not (absent and absent[c][j]) else 0 for j in range(ranksets)]
            for c in range(ranksets)
        ]


def draw_case(rng: Random, layers: tuple[int, int] = (1, 9), calls: int = 6) -> Case:
    """A random job. Draws its shape from `rng` and its durations from a seed, itself drawn last."""
    machine = Machine(
        layers=rng.randint(*layers),
        ranksets=rng.randint(1, 4),
        overlap=rng.random() < 0.6,
        half_duplex=rng.random() < 0.75,
        schedule_ps=rng.choice([0, 0, 1, 3]),
    )
    inner = Random(rng.randint(0, 2**32))
    scale = Scale(
        rng=inner,
        unit_ps=inner.choice([1, 1, 1, 7 * 10**8]),
        small=inner.choice([1, 2, 4]),
        large=inner.choice([4, 30]),
        kv=inner.choice([1, 6, 25]),
    )
    crowd = Crowd(inner, machine.ranksets)
    return Case(machine, [_draw_call(inner, scale, crowd, n, machine) for n in range(rng.randint(1, calls))])


class Crowd:
    """Requests that come, are prefilled in chunks and decode; sometimes one is preempted."""

    def __init__(self, rng: Random, ranksets: int) -> None:
        self.rng = rng
        self.prefilling: list[Request] = []
        self.decoding = [Request(rng.randrange(ranksets)) for _ in range(rng.randint(0, 4))]
        self.ranksets = ranksets

    def chunks(self, label: Hashable) -> list[Request]:
        """Requests of a pass's chunks; some of them have their last one, and decode from now on."""
        while len(self.prefilling) < 2:
            self.prefilling.append(Request(self.rng.randrange(self.ranksets)))
        count = self.rng.randint(1, 2)
        chosen, self.prefilling = self.prefilling[:count], self.prefilling[count:]
        for request in chosen:
            held = Request(request.offset, request.prefilled | {label})
            (self.decoding if self.rng.random() < 0.7 else self.prefilling).append(held)
        return chosen

    def preempt(self) -> None:
        if self.decoding and self.rng.random() < 0.15:
            gone = self.decoding.pop(self.rng.randrange(len(self.decoding)))
            self.prefilling.append(Request(gone.offset))


def _draw_call(rng: Random, scale: Scale, crowd: Crowd, n: int, machine: Machine) -> Call:
    crowd.preempt()
    prefills: dict[int, list[Request]] = {0: [], 1: []}
    for request in crowd.decoding:
        where = rng.choice([0, 1, 0, 1, None])
        if where is not None:
            prefills[where].append(request)
    chunked = {s for s in (0, 1) if rng.random() < 0.35}
    chunks = {s: crowd.chunks((n, s)) for s in sorted(chunked)}
    present = [s for s in (0, 1) if prefills[s] or s in chunked] or [rng.randint(0, 1)]
    unchunked = {s for s in chunked if rng.random() < 0.2}
    absent = [[rng.random() < 0.07 for _ in range(machine.ranksets)] for _ in range(machine.ranksets)]

    def work(s: int) -> Pass:
        decode = [request.offset for request in prefills[s]]
        kv = scale.table(machine.ranksets, [request.offset for request in chunks.get(s, [])])
        return Pass(
            b_first=scale.draw(),
            b_mid=scale.draw(),
            b_last=scale.draw(),
            prefill=scale.draw() if s in chunks else 0,
            down=scale.table(machine.ranksets, decode, absent),
            attend=scale.table(machine.ranksets, decode, absent),
            up=scale.table(machine.ranksets, decode, absent),
            kv=[[duration * scale.kv for duration in row] for row in kv],
            unchunked=s in unchunked,
            batch=(n, s),
            requests=tuple(prefills[s]),
        )

    idle = rng.random() < 0.35
    return Call(
        rounds=[{s: work(s) for s in present} for _ in range(1 if chunks else rng.randint(1, 4))],
        gap_ps=scale.unit_ps * rng.randint(0, 40) if idle else 0,
        drains=rng.randint(0, 3) if idle else 0,
        stop_after_ps=scale.unit_ps * rng.randint(0, 200) if rng.random() < 0.3 else FOREVER_PS,
    )
