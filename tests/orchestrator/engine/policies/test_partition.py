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
    partition_lighter,
)
from tests.orchestrator.small_jobs import numbers

Times = tuple[float, float, float, float]


@dataclass(frozen=True)
class Deal:
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
            np.array(self.cost, dtype=np.float64),
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
def deals(draw: st.DrawFn) -> Deal:
    ranksets, ranks, count = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 12))
    groups = draw(st.integers(1, 4))
    spread = [
        [sum((first + group) % ranks == rank for group in range(groups)) for rank in range(ranks)]
        for first in range(ranks)
    ]
    small = st.integers(0, 6)
    return Deal(
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


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.integers(1, 9), max_size=12))
def test_lighter(tokens: list[int]) -> None:
    side = partition_lighter(numbers(tokens))
    loads = [0, 0]
    for one, got in zip(tokens, side.tolist(), strict=True):
        assert got == (1 if loads[1] < loads[0] else 0)
        loads[got] += one


@settings(max_examples=100, derandomize=True)
@given(deals())
def test_all(deal: Deal) -> None:
    side, times, asked = partition_all(*deal.args())
    assert asked == len(deal.place)
    sides: list[list[int]] = [[], []]
    for one in range(len(deal.place)):
        now = deal.times(sides, deal.chunks, deal.prefill)
        sides[1 if deal.passes == 2 and now[3] < now[1] else 0].append(one)
    assert sides_of(side) == sides
    assert tuple(times) == deal.times(sides, deal.chunks, deal.prefill)


@settings(max_examples=150, derandomize=True)
@given(deals(), st.sampled_from([1, 3, 16]))
def test_aligned(deal: Deal, step: int) -> None:
    """`step` at a time to each side whose PIM has a bubble; the least loaded placement gives its first.

    Then the ranks that are not the slowest are filled up to it.
    """
    args = (*deal.args(), step)
    side, times, asked = partition_aligned(*args)
    sides: list[list[int]] = [[], []]
    left = list(range(len(deal.place)))
    going, predictions = True, 0
    while going and left:
        going = False
        for i in range(deal.passes):
            now = deal.times(sides, deal.chunks, deal.prefill)
            predictions += 1
            if now[2 * i + 1] > deal.target * now[2 * i]:
                continue
            going = True
            for _ in range(min(step, len(left))):
                chosen = min(left, key=lambda one, i=i: (load(deal, sides[i], one), one))  # type: ignore[misc]
                sides[i].append(chosen)
                left.remove(chosen)
    stopped = deal.times(sides, deal.chunks, deal.prefill)
    full = [stopped[2 * i + 1] > deal.target * stopped[2 * i] for i in range(deal.passes)]
    assert not left or all(full)
    assert asked == predictions
    for members in sides[: deal.passes]:
        while (filling := fits_beside(deal, members, left)) is not None:
            members.append(filling)
            left.remove(filling)
    assert [sorted(one) for one in sides] == sides_of(side)
    assert tuple(times) == deal.times(sides, deal.chunks, deal.prefill)
    assert np.flatnonzero(side == OUT).tolist() == left


def fits_beside(deal: Deal, members: list[int], left: list[int]) -> int | None:
    """Who, of the first of each placement, makes no rank slower than the slowest one."""
    slowest = max(deal.bins(members).values(), default=0)
    firsts = {deal.place[one]: one for one in sorted(left, reverse=True)}.values()
    fitting = [one for one in firsts if load(deal, [*members, one], one) <= slowest]
    return min(fitting, key=lambda one: (load(deal, members, one), one), default=None)


def load(deal: Deal, members: list[int], one: int) -> int:
    """Longest time so far among the ranks that a request would go to."""
    bins, own = deal.bins(members), deal.bins([one])
    return max(bins.get(at, 0) for at in own)


@settings(max_examples=60, derandomize=True)
@given(deals(), st.sampled_from([1, 16]))
def test_nobody_starves(deal: Deal, step: int) -> None:
    """Longest idle first: with n residents, and no chunks in the way, everybody decodes within n plans."""
    count = len(deal.place)
    planned = [-1] * count
    for plan in range(count):
        order = sorted(range(count), key=lambda one: (planned[one], one))
        shuffled = Deal(
            place=[deal.place[one] for one in order],
            cost=[deal.cost[one] for one in order],
            groups=deal.groups,
            pace=deal.pace,
            chunks=[0, 0],
            prefill=deal.prefill,
            fc=deal.fc,
            comm=deal.comm,
            passes=deal.passes,
            target=deal.target,
        )
        args = (*shuffled.args(), step)
        side, _, _ = partition_aligned(*args)
        assert side[0] != OUT
        for index, one in enumerate(order):
            if side[index] != OUT:
                planned[one] = plan
    assert min(planned, default=0) >= 0


@settings(max_examples=60, derandomize=True)
@given(deals(), st.data())
def test_slowest_ranks(deal: Deal, data: st.DataObject) -> None:
    side = numbers([data.draw(st.sampled_from([OUT, 0, 1])) for _ in deal.place])
    place, cost, groups, pace = deal.args()[:4]
    expected = [max(deal.bins(members).values(), default=0) for members in sides_of(side)]
    assert fullest_ranks(place, cost, side, groups, pace).tolist() == expected


@settings(max_examples=100, derandomize=True)
@given(deals(), st.data())
def test_aligned_chunks_are_the_best_of_all_pairs(deal: Deal, data: st.DataObject) -> None:
    """Least sum of |target * T_GPU_i - T_PIM_i|; ties: the larger sum, then the larger c_0."""
    members: list[list[int]] = [[], []]
    for one in range(len(deal.place)):
        members[data.draw(st.integers(0, deal.passes - 1))].append(one)
    unique = st.lists(st.integers(1, 30), min_size=1, max_size=5, unique=True)
    sizes = [sorted(data.draw(unique)) for _ in range(deal.passes)] + [[0]] * (2 - deal.passes)
    per_token = data.draw(st.integers(0, 3))
    spent = [[per_token * size for size in some] for some in sizes]

    def gap(pair: tuple[int, int]) -> float:
        chunks = [deal.chunks[i] + pair[i] for i in (0, 1)]
        prefill = [deal.prefill[i] + per_token * pair[i] for i in (0, 1)]
        times = deal.times(members, chunks, prefill)
        return sum(abs(deal.target * times[2 * i] - times[2 * i + 1]) for i in range(deal.passes))

    pairs = [(one, other) for one in sizes[0] for other in sizes[1]]
    best = min(pairs, key=lambda pair: (gap(pair), -sum(pair), -pair[0]))
    place, cost, groups, pace = deal.args()[:4]
    side = numbers([0 if one in members[0] else 1 for one in range(len(deal.place))])
    attend = fullest_ranks(place, cost, side, groups, pace)
    attend += [deal.comm[0] + deal.comm[1] * len(some) if some else 0 for some in members]
    lasts = [
        LastChunk(
            numbers(sizes[i]),
            floats([deal.prefill[i] + one for one in spent[i]]),
            floats([deal.batch(deal.chunks[i] + one + len(members[i])) for one in sizes[i]]),
            floats([deal.moved(deal.chunks[i] + one) for one in sizes[i]]),
        )
        for i in (0, 1)
    ]
    found = align_chunks(attend, deal.passes, deal.target, *lasts)
    assert tuple(found) == best
