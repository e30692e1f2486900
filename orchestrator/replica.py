"""One replica's life: queue, plan, window, timeline, commit. Synchronous and without I/O.

while (window := replica.next_window()) is not None:   # plans at scheduling points only
    answers = ...                                      # the devices, whoever asks them
    replica.take(answers)                              # timeline, tokens, books
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.specs.config import SchedulerConfig
from l3sim.units import Int64s
from l3sim.work import Commit, Costs, Placed, SubBatch, Window
from orchestrator.costs import Assembler
from orchestrator.gpu_memory import GpuMemory
from orchestrator.host import HostStages
from orchestrator.kv import KvLedger
from orchestrator.metrics import ReplicaMetrics
from orchestrator.occupancy import Occupancy
from orchestrator.policies.base import Plan, PlanView, Policy
from orchestrator.predictor import Predictor
from orchestrator.queueing import Arrivals, Queue
from orchestrator.reconcile import Reconciliation
from orchestrator.state import Phase, RequestTable
from orchestrator.timeline.base import Outcome, Timeline
from orchestrator.tokens import Tokens
from orchestrator.transit import Transit

#: Later than anything.
NEVER_PS = 2**62


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and host stages of a replica.

    Attributes:
        max_window: most rounds in a window.
        lookahead: most rounds that every device foresees.
        host: its stages of a round.
    """

    max_window: int
    lookahead: int
    host: HostStages


class Replica:
    """Composes windows, walks the timeline and keeps the books of one replica."""

    def __init__(
        self,
        index: int,
        limits: Limits,
        options: SchedulerConfig,
        table: RequestTable,
        arrivals: Arrivals,
        kv: KvLedger,
        gpu: GpuMemory,
        timeline: Timeline,
        policy: Policy,
        predictor: Predictor,
        assembler: Assembler,
        reconciliation: Reconciliation,
    ) -> None:
        self.index, self.table, self.kv, self.gpu, self.timeline = index, table, kv, gpu, timeline
        self.arrivals = arrivals
        self.queue = Queue(table)
        self.metrics = ReplicaMetrics()
        self.occupancy = Occupancy(kv.shape.layout.kv_block_tokens, len(kv.shape.room_bytes))
        self.now_ps = 0  # the last join, or the instant that idleness ended
        self.spans: list[Int64s] = []
        #: Taken and not told yet: rides on the next window or on Close.
        self.commits: tuple[Commit, ...] = ()
        self._limits, self._options = limits, options
        self._policy, self._predictor, self._assembler = policy, predictor, assembler
        self._reconciliation = reconciliation
        self._transit = Transit(timeline, table, kv.shape.layout.ranksets)
        self._tokens = Tokens(table, self.metrics, gpu, self._transit, limits.host)
        self._plan: Plan | None = None
        self._plans = 0
        self._rounds_of_plan = 0
        self._arrived_since_plan = False
        self._window: Window | None = None
        self._windows = 0
        self._idle = True  # nothing ran just before
        self._finished: list[int] = []
        self._releases: list[int] = []
        self._places: tuple[Placed, ...] = ()

    def next_window(self) -> Window | None:
        """The next window to ask the devices for, or None when every request has ended."""
        while self._plan is None:
            plan = self._make_plan()
            if not plan.empty:
                self._plan = plan
            elif not self._pass_idle_time(plan):
                return None
        rounds = self._rounds_to_ask(self._plan)
        batches = tuple(
            SubBatch(index, part.decode, self.table.held[part.decode], part.chunks)
            for index, part in enumerate(self._plan.passes)
            if not part.empty
        )
        # Unique in the sessions that replicas share.
        number = self._windows * self.kv.shape.layout.dp + self.index
        self._window = Window(
            number, self.index, rounds, batches, self._places, tuple(self._releases), self.commits
        )
        self._windows += 1
        self._places, self._releases, self.commits = (), [], ()
        return self._window

    def take(self, answers: Sequence[Costs]) -> Outcome:
        """Walk the window that was asked for and take its rounds.

        Raises:
            InvariantBroken: the answers contradict the window, or time runs backwards.
        """
        window, plan = self._window, self._plan
        if window is None or plan is None:
            raise InvariantBroken("costs came for no window")
        if wrong := self._reconciliation.differences(answers, self.kv.held_bytes()):
            raise InvariantBroken("; ".join(wrong[:3]))
        costs = self._assembler.assemble(window, answers)
        if plan.unchunked >= 0:
            costs.durations.unchunked[plan.unchunked] = True
        next_arrival = self.arrivals.next_ps
        host, batches = self._limits.host, window.sub_batches
        gap = host.gap_ps(sum(batch.requests for batch in batches), len(batches))
        outcome = self.timeline.compose(
            costs.durations,
            self.now_ps + gap - (host.sample_ps if self._idle else 0),
            NEVER_PS if next_arrival is None else next_arrival,
            self._transit.waits(batches),
            gap,
        )
        if not self.now_ps <= outcome.start_ps[0] < outcome.join_ps[0]:
            raise InvariantBroken(f"round of window {window.window_id} ends before it starts")
        self.metrics.add_window(costs, outcome, self.now_ps, len(plan.decode))
        self._record(outcome)
        self.metrics.add_host(host, batches, outcome.rounds, self._idle)
        self._idle = False
        for batch in batches:
            self._finished += self._tokens.take(batch, outcome)
        self._send_next()
        self.commits = (Commit(window.window_id, outcome.rounds),)
        self._grow_books(plan, outcome)
        self.now_ps = int(outcome.join_ps[-1])
        self._rounds_of_plan += outcome.rounds
        self._window = None
        if self._is_scheduling_point(plan):
            self._plan = None
        return outcome

    # -- scheduling points ---------------------------------------------------------------------------

    def _make_plan(self) -> Plan:
        """Release the finished, preempt whom there is no room for, and ask the policy."""
        self._enqueue()
        self.gpu.release(self.timeline.batch_end_ps)
        self.kv.release(self._finished)
        self._releases += self._finished
        self._finished = []
        dropped = self.kv.preempt()
        for request in dropped:
            self._drop(request)
        table = self.table
        residents = table.rows(self.kv.residents)
        decoding = table.phase[residents] == Phase.DECODE
        view = PlanView(
            table=table,
            decoding=residents[decoding],
            prefilling=residents[~decoding].tolist(),
            queue=self.queue,
            barred=frozenset(dropped),
            kv=self.kv.view(),
            gpu=self.gpu,
            options=self._options,
            layout=self.kv.shape.layout,
        )
        plan = self._policy.plan(view, self._predictor)
        for placed in plan.admitted:
            self.queue.admitted(placed.request)
            self._places += (self.kv.admit(placed),)
            self.gpu.book(placed.request, int(table.target[placed.request]))
        table.planned[plan.decode] = self._plans
        self._plans += 1
        self._rounds_of_plan = 0
        self._arrived_since_plan = False
        return plan

    def _drop(self, request: int) -> None:
        """Preempt: the KV goes, the tokens stay."""
        table = self.table
        table.recomputed[request] += table.held[request]
        table.held[request] = 0
        table.target[request] = table.prompt[request] + table.emitted[request]
        table.preemptions[request] += 1
        self.gpu.close(request)
        self.queue.come_back(request)
        self._releases.append(request)

    def _is_scheduling_point(self, plan: Plan) -> bool:
        """Whether the join just reached is one (architecture, section 3)."""
        freed = self.gpu.release(self.timeline.batch_end_ps)
        self._enqueue()
        if self._finished or any(part.chunks for part in plan.passes):
            return True
        if self._rounds_of_plan >= plan.horizon or self.kv.lacks_room():
            return True
        if freed and plan.blocked == "gpu_memory":
            return True
        if self._arrived_since_plan and len(self.queue):
            head = self.queue.head
            return self.kv.view().fits(int(self.table.target[head]) + 1, head) is not None
        return False

    def _enqueue(self) -> None:
        come = self.arrivals.until(self.now_ps)
        if come:
            self.queue.arrive(come)
            self._arrived_since_plan = True

    def _rounds_to_ask(self, plan: Plan) -> int:
        """k: the least of what may end the window early."""
        if any(part.chunks for part in plan.passes):
            return 1
        if plan.blocked == "gpu_memory" and self.gpu.waits:
            return 1  # the join at which the head's memory comes free is a scheduling point
        decode = plan.decode
        to_finish = int((self.table.output[decode] - self.table.emitted[decode]).min())
        left = plan.horizon - self._rounds_of_plan
        most = min(to_finish, left, self._limits.max_window, self._limits.lookahead)
        return self.kv.rounds_of_room(decode, most)

    def _pass_idle_time(self, plan: Plan) -> bool:
        """Jump to what comes next: an arrival, or room in GPU memory; False when nothing does."""
        arrival = self.arrivals.next_ps
        if len(self.queue) and plan.blocked == "gpu_memory":
            until = self._next_transfer_end(arrival)
        elif len(self.queue):
            raise InvariantBroken(f"request {self.queue.head} waits for ever ({plan.blocked})")
        elif arrival is None:
            self._drain(NEVER_PS)
            return False
        else:
            until = arrival
        self._drain(until)
        self.now_ps = max(self.now_ps, until)
        self._idle = True
        return True

    def _next_transfer_end(self, arrival: int | None) -> int:
        """End of the K task that runs, or the next arrival, whichever is first."""
        self._drain(self.now_ps)
        end = self.timeline.next_end_ps()
        if end < 0 and arrival is None:
            raise InvariantBroken(f"request {self.queue.head} waits for GPU memory that nobody holds")
        return min(time for time in (end, arrival) if time is not None and time >= 0)

    def _grow_books(self, plan: Plan, outcome: Outcome) -> None:
        """Count what the rounds made of the books; `now_ps` is still the join before them."""
        self.kv.changed()
        self.kv.note_peak()
        kv, table, growing = self.kv, self.table, plan.decode
        residents = table.rows(kv.residents)
        lasted = np.diff(outcome.join_ps, prepend=self.now_ps)
        blocks = int(kv.blocks_at(residents, table.held[residents]).sum())
        tokens = kv.tokens_at(residents, table.held[residents])
        self.occupancy.add(lasted, blocks, tokens, table.held[growing], kv.places(growing))

    def _send_next(self) -> None:
        """In a closed loop the clients of who has finished send the next requests, first finish first."""
        for stamp, _ in sorted((int(self.table.last_stamp_ps[one]), one) for one in self._finished):
            self.arrivals.finished(stamp)

    def _drain(self, until_ps: int) -> None:
        end, spans = self.timeline.drain(until_ps)
        self.metrics.last_event_ps = max(self.metrics.last_event_ps, end)
        if len(spans):
            self.spans.append(spans)

    def _record(self, outcome: Outcome) -> None:
        if len(outcome.spans):
            self.spans.append(outcome.spans)

    def held_bytes(self, closing: bool) -> Int64s:
        """KV bytes that each rank's device must hold by its own books: shape (ranks,).

        Args:
            closing: also what has ended and was never told to go, for there is no next window.
        """
        told = [*self.kv.residents, *self._finished, *self._releases] if closing else self.kv.residents
        requests = self.table.rows(sorted(set(told)))
        return self.kv.per_rank(requests, self.table.held[requests])
