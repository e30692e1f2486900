"""One replica's life: queue, plan, window, timeline, commit. Synchronous and without I/O.

while (window := replica.next_window()) is not None:   # plans at scheduling points only
    answers = ...                                      # the devices, whoever asks them
    replica.take(answers)                              # timeline, tokens, books
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.costs.assembler import Assembler
from l3sim.orchestrator.engine.kv.in_flight import Transit
from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.occupancy import Occupancy
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.limits import Limits
from l3sim.orchestrator.engine.membership import Members
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.planning.planner import Planner, view_of
from l3sim.orchestrator.engine.policies.base import Plan
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid
from l3sim.orchestrator.engine.queue import Arrivals
from l3sim.orchestrator.engine.reconcile import Reconciliation
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.timeline.base import Outcome, Timeline
from l3sim.orchestrator.engine.tokens import Tokens
from l3sim.specs.config import SchedulerConfig
from l3sim.units import Int64s
from l3sim.work import Commit, Costs, SubBatch, Window

#: Later than anything.
NEVER_PS = 2**62


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
        planner: Planner,
        assembler: Assembler,
        reconciliation: Reconciliation,
    ) -> None:
        self.index, self.table, self.kv, self.gpu, self.timeline = index, table, kv, gpu, timeline
        self.arrivals = arrivals
        self.members = Members(table, arrivals, kv, gpu, limits.aging_ps)
        self.metrics = ReplicaMetrics()
        self.occupancy = Occupancy(kv.shape.layout.kv_block_tokens, len(kv.shape.room_bytes))
        self.now_ps = 0  # the last join, or the instant that idleness ended
        self.spans: list[Int64s] = []
        #: Taken and not told yet: rides on the next window or on Close.
        self.commits: tuple[Commit, ...] = ()
        self._limits, self._options = limits, options
        self.planner, self._assembler = planner, assembler
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
        self._because = "start"
        #: Preempted at the scheduling point that is open; None: none is open.
        self._dropped: list[int] | None = None

    def next_window(self) -> Window | Grid | None:
        """The next window to ask the devices for, or None when every request has ended.

        A Grid instead: ask its windows for `planner.forecast.predictor`, then call again.
        """
        while self._plan is None:
            plan, questions = self._make_plan()
            if questions is not None:
                return questions
            if not plan.empty:
                self._plan = plan
            elif not self._pass_idle_time(plan):
                self.planner.log.closed(self.now_ps)
                return None
        rounds = self._rounds_to_ask(self._plan)
        batches = tuple(
            SubBatch(index, part.decode, self.table.held[part.decode], part.chunks)
            for index, part in enumerate(self._plan.passes)
            if not part.empty
        )
        # Unique in the sessions that replicas share.
        number = self._windows * self.kv.shape.layout.dp + self.index
        places, releases = self.members.untold()
        self._window = Window(number, self.index, rounds, batches, places, releases, self.commits)
        self._windows += 1
        self.commits = ()
        return self._window

    @property
    def must_learn(self) -> bool:
        """Whether the next call plans, and trains before; `planner.prepare` may be called elsewhere first."""
        return self._plan is None and self.planner.forecast.due

    def judge(self, answers: Sequence[Sequence[Costs]]) -> None:
        """Take the answers to `planner.study.questions()`."""
        self.planner.study.judge(answers, self._assembler, self.timeline, self._transit.waits, self._start_of)

    def _start_of(self, window: Window) -> tuple[int, int]:
        """When a window's first round starts, and the host's time between a join and the next."""
        host, batches = self._limits.host, window.sub_batches
        gap = host.gap_ps(sum(batch.requests for batch in batches), len(batches))
        return self.now_ps + gap - (host.sample_ps if self._idle else 0), gap

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
        start_ps, gap_ps = self._start_of(window)
        outcome = self.timeline.compose(
            costs.durations,
            start_ps,
            NEVER_PS if next_arrival is None else next_arrival,
            self._transit.waits(window.sub_batches),
            gap_ps,
        )
        if not self.now_ps <= outcome.start_ps[0] < outcome.join_ps[0]:
            raise InvariantBroken(f"round of window {window.window_id} ends before it starts")
        self.metrics.add_window(costs, outcome, self.now_ps, len(plan.decode))
        self._record(outcome)
        self.metrics.add_host(self._limits.host, window.sub_batches, outcome.rounds, self._idle)
        self._idle = False
        self.planner.took(window, costs, outcome)
        self.members.end([one for batch in window.sub_batches for one in self._tokens.take(batch, outcome)])
        self.commits = (Commit(window.window_id, outcome.rounds),)
        self._grow_books(plan, outcome)
        self.now_ps = int(outcome.join_ps[-1])
        self._rounds_of_plan += outcome.rounds
        self._window = None
        self._because = self._scheduling_point(plan)
        if self._because:
            self._plan = None
        return outcome

    # -- scheduling points ---------------------------------------------------------------------------

    def _make_plan(self) -> tuple[Plan, Grid | None]:
        """Release the finished, preempt whom there is no room for, and ask the policy.

        Returns: the plan, applied; or one that was not, and what must be asked before it is made again.
        """
        if self._dropped is None:
            self._dropped = self._open_point()
        view = partial(
            view_of, self.table, self.kv, self.gpu, self.members.queue, self._dropped, self._options
        )
        seen = view()
        plan, questions = self.planner.plan(seen)
        if questions is None:
            log, study, forecast = self.planner.log, self.planner.study, self.planner.forecast
            study.note(log.plans, plan, view, forecast, self._because, self.now_ps)
            log.opened(plan, seen, len(self._dropped), self._because, self.now_ps)
            self._apply(plan)
            self._dropped = None
        return plan, questions

    def _open_point(self) -> list[int]:
        """Bring the books up to date at a scheduling point; whom it preempted."""
        self._enqueue()
        self.gpu.release(self.timeline.batch_end_ps)
        self.members.leave()
        dropped = self.members.preempt()
        self.planner.prepare()
        return dropped

    def _apply(self, plan: Plan) -> None:
        """Do what a plan says."""
        self.members.admit(plan.admitted)
        self.table.planned[plan.decode] = self._plans
        self._plans += 1
        self._rounds_of_plan = 0
        self._arrived_since_plan = False

    def _scheduling_point(self, plan: Plan) -> str:
        """Why the join just reached is one (architecture, section 3); "" where it is none."""
        freed = self.gpu.release(self.timeline.batch_end_ps)
        self._enqueue()
        if self.members.finished:
            return "finished"
        if any(part.chunks for part in plan.passes):
            return "chunk"
        if self.kv.lacks_room():
            return "room"
        if self._rounds_of_plan >= plan.horizon:
            return "horizon"
        if freed and plan.blocked == "gpu_memory":
            return "gpu_memory"
        if self._arrived_since_plan and len(self.members.queue):
            head = self.members.queue.head
            fits = self.kv.view().fits(self.table.booking(head), head)
            return "arrival" if fits is not None else ""
        return ""

    def _enqueue(self) -> None:
        self._arrived_since_plan |= self.members.enqueue(self.now_ps)

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
        if len(self.members.queue) and plan.blocked == "gpu_memory":
            until, self._because = self._next_transfer_end(arrival), "gpu_memory"
        elif len(self.members.queue):
            raise InvariantBroken(f"request {self.members.queue.head} waits for ever ({plan.blocked})")
        elif arrival is None:
            self._drain(NEVER_PS)
            return False
        else:
            until, self._because = arrival, "idle"
        self._drain(until)
        self.now_ps = max(self.now_ps, until)
        self._idle = True
        return True

    def _next_transfer_end(self, arrival: int | None) -> int:
        """End of the K task that runs, or the next arrival, whichever is first."""
        self._drain(self.now_ps)
        end = self.timeline.next_end_ps()
        if end < 0 and arrival is None:
            raise InvariantBroken(f"request {self.members.queue.head} waits for GPU memory that nobody holds")
        return min(time for time in (end, arrival) if time is not None and time >= 0)

    def _grow_books(self, plan: Plan, outcome: Outcome) -> None:
        """Count what the rounds made of the books; `now_ps` is still the join before them."""
        self.kv.changed()
        self.kv.note_peak()
        kv, table, growing = self.kv, self.table, plan.decode
        lasted = np.diff(outcome.join_ps, prepend=self.now_ps)
        blocks = int(kv.held_blocks().sum())
        tokens = kv.tokens_at(kv.rows, table.held[kv.rows])
        self.occupancy.add(lasted, blocks, tokens, table.held[growing], kv.places(growing))

    def _drain(self, until_ps: int) -> None:
        end, spans = self.timeline.drain(until_ps)
        self.metrics.last_event_ps = max(self.metrics.last_event_ps, end)
        if len(spans):
            self.spans.append(spans)

    def _record(self, outcome: Outcome) -> None:
        if len(outcome.spans):
            self.spans.append(outcome.spans)
