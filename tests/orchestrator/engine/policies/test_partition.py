"""The compiled loops of the policies against plain Python; costs are whole numbers: ties are exact."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.policies.last_chunks import LastChunk, align_chunks
from l3sim.orchestrator.engine.policies.partition import (
    OUT,
    Beside,
    fullest_ranks,
    partition_aligned,
    partition_all,
)
from tests.orchestrator.small_jobs import numbers

Times = tuple[float, float, float, float]


@dataclass(frozen=True)
class Case:
    """One case: FC takes fc[0] + fc[1] * tokens, from one token on."""

    place: list[int]
    cost: list[int]
    groups: list[list[int]]
    pace: list[list[int]]
    chunks: list[int]
    prefill: list[int]
    fc: tuple[int, int]
    comm: list[int]
    passes: int = 2
    target: float = 1.0

    def args(self) -> tuple[Any, ...]:
        """As the loops take them."""
        return (
            numbers(self.place),
            np.array(self.cost, dtype=np.float64)[:, None],
            numbers(self.groups),  # type: ignore[arg-type]
            np.array(self.pace, dtype=np.float64),
            self.beside(),
        )

    def beside(self) -> Beside:
        """Chunks, fully connected layers and transfers."""
        counts = range(len(self.place) + 1)
        lines = [[self.batch(chunk + count) for count in counts] for chunk in self.chunks]
        moved = [self.moved(chunk) for chunk in self.chunks]
        prefill, comm = floats(self.prefill), floats(self.comm[:2])
        return Beside(self.passes, self.target, prefill, floats(lines), floats(moved), comm)

    def batch(self, tokens: int) -> int:
        """t_batch of so many tokens."""
        return self.fc[0] + self.fc[1] * tokens if tokens else 0

    def moved(self, tokens: int) -> int:
        """Transfer of the KV of so many chunk tokens."""
        return self.comm[2] + self.comm[3] * tokens if tokens else 0

    def bins(self, members: list[int]) -> dict[tuple[int, int], int]:
        """Time of each (offset, rank) that serves these requests."""
        found: dict[tuple[int, int], int] = {}
        for one in members:
            offset, first = divmod(self.place[one], len(self.groups))
            for rank, count in enumerate(self.groups[first]):
                if count:
                    at = offset, rank
                    found[at] = found.get(at, 0) + count * self.cost[one] * self.pace[offset][rank]
        return found

    def times(self, sides: list[list[int]], chunks: list[int], prefill: list[int]) -> Times:
        """T_GPU_i = t_p(i) + t_batch(other); T_PIM_i = slowest rank of i + t_comm(n_i, chunks of other)."""
        result: list[float] = []
        for i in range(self.passes):
            other = 1 - i if self.passes == 2 else i
            gpu = prefill[i] + self.batch(len(sides[other]) + chunks[other])
            pim = max(self.bins(sides[i]).values(), default=0)
            pim += self.comm[0] + self.comm[1] * len(sides[i]) if sides[i] else 0
            pim += self.moved(chunks[other])
            result += [gpu, pim]
        result += [0] * (4 - len(result))
        return result[0], result[1], result[2], result[3]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    ranksets, ranks, count = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 12))
    groups = draw(st.integers(1, 4))
    spread = [
        [sum((first + group) % ranks == rank for group in range(groups)) for rank in range(ranks)]
        for first in range(ranks)
    ]
    small = st.integers(0, 6)
    return Case(
        place=draw(st.lists(st.integers(0, ranksets * ranks - 1), min_size=count, max_size=count)),
        cost=draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)),
        groups=spread,
        pace=[[draw(st.integers(1, 2)) for _ in range(ranks)] for _ in range(ranksets)],
        chunks=[draw(st.sampled_from([0, 0, 5])) for _ in range(2)],
        prefill=[draw(small), draw(small)],
        fc=(draw(st.integers(0, 30)), draw(small)),
        comm=[draw(small), draw(small), draw(small), draw(st.integers(0, 1))],
        passes=draw(st.sampled_from([1, 2, 2])),
        target=draw(st.sampled_from([0.5, 1.0, 1.0, 2.0])),
    )


def floats(values: Any) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def sides_of(side: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(side == i).tolist() for i in (0, 1)]


@settings(max_examples=100, derandomize=True)
@given(cases())
def test_all(case: Case) -> None:
    side, times, asked = partition_all(*case.args())
    assert asked == len(case.place)
    sides: list[list[int]] = [[], []]
    for one in range(len(case.place)):
        now = case.times(sides, case.chunks, case.prefill)
        sides[1 if case.passes == 2 and now[3] < now[1] else 0].append(one)
    assert sides_of(side) == sides
    assert tuple(times) == case.times(sides, case.chunks, case.prefill)


@settings(max_examples=150, derandomize=True)
@given(cases(), st.sampled_from([1, 3, 16]))
def test_aligned(case: Case, step: int) -> None:
    """`step` at a time to each side whose PIM has a bubble; the least loaded placement gives its first.

    Then the ranks that are not the slowest are filled up to it.
    """
    args = (*case.args(), step)
    side, times, asked = partition_aligned(*args)
    sides: list[list[int]] = [[], []]
    left = list(range(len(case.place)))
    going, predictions = True, 0
    while going and left:
        going = False
        for i in range(case.passes):
            now = case.times(sides, case.chunks, case.prefill)
            predictions += 1
            if now[2 * i + 1] > case.target * now[2 * i]:
                continue
            going = True
            for _ in range(min(step, len(left))):
                chosen = min(left, key=lambda one, i=i: (load(case, sides[i], one), one))  # type: ignore[misc]
                sides[i].append(chosen)
                left.remove(chosen)
    stopped = case.times(sides, case.chunks, case.prefill)
    full = [stopped[2 * i + 1] > case.target * stopped[2 * i] for i in range(case.passes)]
    assert not left or all(full)
    assert asked == predictions
    for members in sides[: case.passes]:
        while (filling := fits_beside(case, members, left)) is not None:
            members.append(filling)
            left.remove(filling)
    assert [sorted(one) for one in sides] == sides_of(side)
    assert tuple(times) == case.times(sides, case.chunks, case.prefill)
    assert np.flatnonzero(side == OUT).tolist() == left


def fits_beside(case: Case, members: list[int], left: list[int]) -> int | None:
    """Who, of the first of each placement, makes no rank slower than the slowest one."""
    slowest = max(case.bins(members).values(), default=0)
    firsts = {case.place[one]: one for one in sorted(left, reverse=True)}.values()
    fitting = [one for one in firsts if load(case, [*members, one], one) <= slowest]
    return min(fitting, key=lambda one: (load(case, members, one), one), default=None)


def load(case: Case, members: list[int], one: int) -> int:
    """Longest time so far among the ranks that a request would go to."""
    bins, own = case.bins(members), case.bins([one])
    return max(bins.get(at, 0) for at in own)


@settings(max_examples=60, derandomize=True)
@given(cases(), st.sampled_from([1, 16]))
def test_nobody_starves(case: Case, step: int) -> None:
    """Longest idle first: with n residents, and no chunks in the way, each decodes within n plans."""
    count = len(case.place)
    planned = [-1] * count
    for plan in range(count):
        order = sorted(range(count), key=lambda one: (planned[one], one))
        shuffled = Case(
            place=[case.place[one] for one in order],
            cost=[case.cost[one] for one in order],
            groups=case.groups,
            pace=case.pace,
            chunks=[0, 0],
            prefill=case.prefill,
            fc=case.fc,
            comm=case.comm,
            passes=case.passes,
            target=case.target,
        )
        args = (*shuffled.args(), step)
        side, _, _ = partition_aligned(*args)
        assert side[0] != OUT
        for index, one in enumerate(order):
            if side[index] != OUT:
                planned[one] = plan
    assert min(planned, default=0) >= 0


@settings(max_examples=60, derandomize=True)
@given(cases(), st.data())
def test_slowest_ranks(case: Case, data: st.DataObject) -> None:
    side = numbers([data.draw(st.sampled_from([OUT, 0, 1])) for _ in case.place])
    place, cost, groups, pace = case.args()[:4]
    expected = [max(case.bins(members).values(), default=0) for members in sides_of(side)]
    assert fullest_ranks(place, cost, side, groups, pace).tolist() == expected


@settings(max_examples=100, derandomize=True)
@given(cases(), st.data())
def test_aligned_chunks_are_the_best_of_all_pairs(case: Case, data: st.DataObject) -> None:
    """Least sum of |target * T_GPU_i - T_PIM_i|; ties: the larger sum, then the larger c_0."""
    members: list[list[int]] = [[], []]
    for one in range(len(case.place)):
        members[data.draw(st.integers(0, case.passes - 1))].append(one)
    unique = st.lists(st.integers(1, 30), min_size=1, max_size=5, unique=True)
    sizes = [sorted(data.draw(unique)) for _ in range(case.passes)] + [[0]] * (2 - case.passes)
    per_token = data.draw(st.integers(0, 3))
    spent = [[per_token * size for size in some] for some in sizes]

    def gap(pair: tuple[int, int]) -> float:
        chunks = [case.chunks[i] + pair[i] for i in (0, 1)]
        prefill = [case.prefill[i] + per_token * pair[i] for i in (0, 1)]
        times = case.times(members, chunks, prefill)
        return sum(abs(case.target * times[2 * i] - times[2 * i + 1]) for i in range(case.passes))

    pairs = [(one, other) for one in sizes[0] for other in sizes[1]]
    best = min(pairs, key=lambda pair: (gap(pair), -sum(pair), -pair[0]))
    place, cost, groups, pace = case.args()[:4]
    side = numbers([0 if one in members[0] else 1 for one in range(len(case.place))])
    attend = fullest_ranks(place, cost, side, groups, pace)
    attend += [case.comm[0] + case.comm[1] * len(some) if some else 0 for some in members]
    lasts = [
        LastChunk(
            numbers(sizes[i]),
            floats([case.prefill[i] + one for one in spent[i]]),
            floats([case.batch(case.chunks[i] + one + len(members[i])) for one in sizes[i]]),
            floats([case.moved(case.chunks[i] + one) for one in sizes[i]]),
        )
        for i in (0, 1)
    ]
    found = align_chunks(attend, case.passes, case.target, *lasts)
    assert tuple(found) == best
