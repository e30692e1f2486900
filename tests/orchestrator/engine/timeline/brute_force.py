"""The exact rules of time, walked one event at a time: slow, plain, and sharing no code with the timeline.

Imports nothing of the project: plain dataclasses in, plain tuples out. An event heap holds the ends of
running tasks; at each instant the ends happen first, then the waiting tasks are served in their order.

    B(s,0) ─┬─ P(s,0) ───────────────────────┬─ B(s,1) ─ ...
            ├─ D(s,0,j) ─ A(s,0,j) ─ U(s,0,j) ┤      one such row for every rankset j with work
            └─ K(s,0,j) ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘      (waited for by B(s,1) only where unchunked)

A(s,l,j) also waits for the K(l,j) of batches that its requests were prefilled in.
"""

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: In the order of service.
KINDS = "BPDAUK"
#: Rules that can be broken on purpose, to prove that the comparison notices.
MUTATIONS = ("ties_reversed", "bus_full_duplex", "overlap_inverted", "k_first", "a_ignores_k")

#: Durations [layer class][rankset], 0: no such work. Layer l is of class l mod R.
Table = Sequence[Sequence[int]]
#: (round, pass, layer, kind, rankset or -1, start_ps, end_ps)
Span = tuple[int, int, int, str, int, int, int]


@dataclass(frozen=True)
class Machine:
    """What holds for a whole job."""

    layers: int
    ranksets: int
    overlap: bool = True
    half_duplex: bool = True
    schedule_ps: int = 0


@dataclass(frozen=True)
class Request:
    """A decoding request: its KV of layer l lies on rankset (offset + l) mod R.

    `prefilled` names the batches (`Pass.batch`) that carried its chunks since its last admission.
    """

    offset: int
    prefilled: frozenset[Hashable] = frozenset()


@dataclass(frozen=True)
class Pass:
    """One sub-batch's work in one round; `batch` is any name for the K tasks that it makes."""

    b_first: int
    b_mid: int
    b_last: int
    prefill: int
    down: Table
    attend: Table
    up: Table
    kv: Table
    unchunked: bool = False
    batch: Hashable = None
    requests: tuple[Request, ...] = ()


@dataclass(frozen=True)
class RoundTimes:
    """When a round was: `end_ps` of its passes, by pass."""

    start_ps: int
    join_ps: int
    end_ps: dict[int, int]


@dataclass(eq=False)
class Task:
    """Something that holds resources for a while, once all of `waits_for` have ended."""

    round: int
    s: int
    layer: int
    kind: str
    j: int
    duration: int
    holds: frozenset[str]
    waits_for: set["Task"] = field(default_factory=set)
    ready_ps: int = 0
    start_ps: int = 0
    end_ps: int = 0
    ended: bool = False

    def rank(self, mutation: str | None) -> tuple[int, ...]:
        """The order of service: (class, ready time, s, l, kind, j)."""
        low_class = self.kind == "K"
        if mutation == "k_first":
            low_class = not low_class
        ties = (self.s, self.layer, KINDS.index(self.kind), self.j)
        if mutation == "ties_reversed":
            ties = (-ties[0], -ties[1], -ties[2], -ties[3])
        return (int(low_class), self.ready_ps, *ties)


class Simulation:
    """One replica, from time 0 on. `mutation`: one of `MUTATIONS`, a rule to break."""

    def __init__(self, machine: Machine, mutation: str | None = None) -> None:
        self.machine = machine
        self.mutation = mutation
        #: Tasks that have ended, in the order of their ends.
        self.spans: list[Span] = []
        self._rounds = 0
        self._batches: dict[Hashable, list[Task]] = {}
        self._followers: dict[Task, list[Task]] = {}
        self._events: list[tuple[int, int, Task]] = []
        self._serial = 0
        self._waiting: list[Task] = []
        self._held: set[str] = set()

    def window(self, rounds: Iterable[Mapping[int, Pass]], start_ps: int, stop_ps: int) -> list[RoundTimes]:
        """Walk rounds (pass -> work) one after the other, up to the first join at or past `stop_ps`."""
        taken: list[RoundTimes] = []
        for passes in rounds:
            taken.append(self._round(passes, start_ps))
            join_ps = taken[-1].join_ps
            if join_ps >= stop_ps:
                break
            start_ps = join_ps + self.machine.schedule_ps
        return taken

    def idle(self, until_ps: int) -> None:
        """Let what is left run, up to and including `until_ps`."""
        while self._events and self._events[0][0] <= until_ps:
            self._instant()

    def batch_end(self, batch: Hashable) -> int:
        """End of the last K task of a batch; -1 while one has not ended."""
        tasks = self._batches[batch]
        return max(task.end_ps for task in tasks) if all(task.ended for task in tasks) else -1

    def pending(self) -> bool:
        """Whether a K task waits or runs."""
        return any(not task.ended for tasks in self._batches.values() for task in tasks)

    def _round(self, passes: Mapping[int, Pass], start_ps: int) -> RoundTimes:
        # The round's start is the end of a task that holds nothing.
        opening = Task(self._rounds, 0, 0, "start", -1, 0, frozenset())
        last = {s: self._make_pass(s, work, opening) for s, work in sorted(passes.items())}
        self._rounds += 1
        self._start(opening, start_ps)
        while not all(task.ended for task in last.values()):
            self._instant()
        ends = {s: task.end_ps for s, task in last.items()}
        return RoundTimes(start_ps, max(ends.values()), ends)

    def _make_pass(self, s: int, work: Pass, opening: Task) -> Task:
        """All tasks of a pass, each with what it waits for; returns the last, B(s,L)."""
        before = [opening]
        for layer in range(self.machine.layers):
            b = self._make(s, layer, "B", -1, work.b_first if layer == 0 else work.b_mid, before)
            before = [b]
            if work.prefill:
                before.append(self._make(s, layer, "P", -1, work.prefill, [b]))
            c = layer % self.machine.ranksets
            for j in range(self.machine.ranksets):
                if work.attend[c][j]:
                    d = self._make(s, layer, "D", j, work.down[c][j], [b])
                    a = self._make(
                        s, layer, "A", j, work.attend[c][j], [d, *self._kv_of(work.requests, layer, j)]
                    )
                    before.append(self._make(s, layer, "U", j, work.up[c][j], [a]))
                if work.kv[c][j]:
                    k = self._make(s, layer, "K", j, work.kv[c][j], [b])
                    self._batches.setdefault(work.batch, []).append(k)
                    if work.unchunked:
                        before.append(k)
        return self._make(s, self.machine.layers, "B", -1, work.b_last, before)

    def _kv_of(self, requests: Iterable[Request], layer: int, j: int) -> list[Task]:
        """The K tasks that put these requests' prefill KV of this layer on rankset j."""
        if self.mutation == "a_ignores_k":
            return []
        here = [request for request in requests if (request.offset + layer) % self.machine.ranksets == j]
        batches = {batch for request in here for batch in request.prefilled}
        return [k for b in batches for k in self._batches.get(b, []) if (k.layer, k.j) == (layer, j)]

    def _make(self, s: int, layer: int, kind: str, j: int, duration: int, after: Iterable[Task]) -> Task:
        task = Task(self._rounds, s, layer, kind, j, duration, self._resources(kind, j))
        for other in after:
            if other.ended:
                task.ready_ps = max(task.ready_ps, other.end_ps)
            else:
                task.waits_for.add(other)
                self._followers.setdefault(other, []).append(task)
        return task

    def _resources(self, kind: str, j: int) -> frozenset[str]:
        if kind in "BP":
            return frozenset({"gpu"})
        if kind == "A":
            return frozenset({f"R{j}"})
        held = {"link_up" if kind == "U" else "link_down"}
        if self.machine.half_duplex and self.mutation != "bus_full_duplex":
            held.add("bus")
        overlap = self.machine.overlap != (self.mutation == "overlap_inverted")
        return frozenset(held | ({f"R{j}"} if overlap else {f"R{i}" for i in range(self.machine.ranksets)}))

    def _instant(self) -> None:
        """Everything that happens at the next instant at which anything does."""
        now = self._events[0][0]
        while self._events and self._events[0][0] == now:
            self._end(heapq.heappop(self._events)[2])
        for task in sorted(self._waiting, key=lambda task: task.rank(self.mutation)):
            if not self._held & task.holds:
                self._waiting.remove(task)
                self._held |= task.holds
                task.start_ps = now
                self._start(task, now + task.duration)

    def _start(self, task: Task, end_ps: int) -> None:
        task.end_ps = end_ps
        self._serial += 1
        heapq.heappush(self._events, (end_ps, self._serial, task))

    def _end(self, task: Task) -> None:
        task.ended = True
        self._held -= task.holds
        if task.kind in KINDS:
            self.spans.append((task.round, task.s, task.layer, task.kind, task.j, task.start_ps, task.end_ps))
        for follower in self._followers.pop(task, []):
            follower.waits_for.remove(task)
            follower.ready_ps = max(follower.ready_ps, task.end_ps)
            if not follower.waits_for:
                self._waiting.append(follower)
