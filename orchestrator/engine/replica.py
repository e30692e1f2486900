"""One replica's life: queue, plan, window, timeline, commit. Synchronous and without I/O.

    while (ask := replica.step()) is not None:    # what it must know to go on (asks.py)
        replica.answer(ask, ...)                  # devices, or a training: the caller asks them

                    .----- nothing: horizon, room, ... not reached -----.
                    v                                                   |
    scheduling point --> [train] --> plan --> [study] --> window --> [audit] --> rounds --> join
       ^                    ^         |                                                      |
       |                    '- grid --'                                                      |
       '---------------------- finished, chunk, room, horizon, arrival, ... -----------------'

What stands in brackets is asked only where it is due. A plan is made at scheduling points only
(docs/time.md#scheduling-points); between two of them there is a window after the other.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.asks import Ask, AuditAsk, GridAsk, StudyAsk, TrainingAsk, WindowAsk
from l3sim.orchestrator.engine.costs.assembler import Assembler
from l3sim.orchestrator.engine.for_modules import alone_for_modules, arrive, heard_by_modules
from l3sim.orchestrator.engine.host_stages import Limits
from l3sim.orchestrator.engine.kv.in_flight import KvInFlight
from l3sim.orchestrator.engine.kv.occupancy import Occupancy
from l3sim.orchestrator.engine.membership import Books, Membership
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.open_plan import OpenPlan
from l3sim.orchestrator.engine.planning.planner import Planner
from l3sim.orchestrator.engine.policies.base import Plan
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid, GridAnswers
from l3sim.orchestrator.engine.reasons import Because, Blocked
from l3sim.orchestrator.engine.reconcile import Reconciliation
from l3sim.orchestrator.engine.steady import History
from l3sim.orchestrator.engine.timeline.base import Outcome, Timeline
from l3sim.orchestrator.engine.tokens import Tokens
from l3sim.units import Int64s
from l3sim.work import Account, Commit, Costs, Hello, SubBatch, Window

#: Later than anything.
NEVER_PS = 2**62
#: Windows between two audits of the attention devices' books.
AUDIT_WINDOWS = 100


class Replica:
    """Makes windows, walks the timeline and keeps the books of one replica.

    Args:
        hellos: what its addresses were sent, in the order in which they answer.

    Attributes:
        commits: of rounds that were taken; they ride on the next window or on Close.
        now_ps: the last join, or the instant that idleness ended.
    """

    def __init__(
        self,
        index: int,
        hellos: Sequence[Hello],
        limits: Limits,
        books: Books,
        timeline: Timeline,
        planner: Planner,
    ) -> None:
        self.index, self.kv, self.planner = index, books.kv, planner
        self.metrics, self.history = ReplicaMetrics(), History(limits.steady_ps)
        self.occupancy = Occupancy.of(books.kv.shape.layout)
        self.now_ps = 0
        self.spans: list[Int64s] = []
        self.commits: tuple[Commit, ...] = ()
        self._books, self._limits, self._timeline = books, limits, timeline
        self._members = Membership(books, limits.aging_ps)
        self._reconciliation = Reconciliation(index, hellos)
        self._assembler = Assembler(index, hellos[0].layout, hellos[0].model, hellos)
        self._in_flight = KvInFlight(timeline, books.table, hellos[0].layout.ranksets)
        self._tokens = Tokens(books, self.metrics, self._in_flight, limits.host)
        self._open: OpenPlan | None = None
        self._plans = 0
        self._windows = 0
        self._idle = True  # nothing ran just before
        self._because = Because.START
        #: Preempted at the scheduling point that is open; None: none is open.
        self._preempted: list[int] | None = None
        self._asked: Ask | None = None
        #: A window whose answers wait for an audit.
        self._unaudited: tuple[WindowAsk, Sequence[Costs]] | None = None

    # -- the protocol --------------------------------------------------------------------------------

    def step(self) -> Ask | None:
        """Go on to what must be asked next; None when every request has ended.

        Raises:
            InvariantBroken: the last ask has no answer yet.
        """
        if self._asked is not None:
            raise InvariantBroken(f"replica {self.index}: its {type(self._asked).__name__} has no answer yet")
        self._asked = self._next_ask()
        return self._asked

    @overload
    def answer(self, ask: TrainingAsk, answers: None = None) -> None: ...
    @overload
    def answer(self, ask: GridAsk, answers: GridAnswers) -> None: ...
    @overload
    def answer(self, ask: StudyAsk, answers: Sequence[Sequence[Costs]]) -> None: ...
    @overload
    def answer(self, ask: WindowAsk, answers: Sequence[Costs]) -> None: ...
    @overload
    def answer(self, ask: AuditAsk, answers: Sequence[Account]) -> None: ...
    def answer(self, ask: Ask, answers: Any = None) -> None:
        """Take the answer to the ask of the last `step`.

        Raises:
            InvariantBroken: it was not asked, the answers contradict the window or the ledger, or time runs
                backwards.
        """
        if ask is not self._asked:
            raise InvariantBroken(f"replica {self.index} did not ask for this {type(ask).__name__}")
        self._asked = None
        match ask:
            case GridAsk():
                self.planner.source.enter(answers)
            case StudyAsk(_, modules):
                study, waits = self.planner.study, self._in_flight.waits
                study.judge(answers, modules, self._assembler, self._timeline, waits, self._start_of)
            case WindowAsk() if self.metrics.windows % AUDIT_WINDOWS == AUDIT_WINDOWS - 1:
                self._unaudited = ask, answers
            case WindowAsk():
                self._take(ask, answers)
            case AuditAsk() if self._unaudited is not None:
                _refuse(self.books_differ(answers) + self.kv.check_integrity())
                asked, answers = self._unaudited
                self._unaudited = None
                self._take(asked, answers)

    def books_differ(self, accounts: Sequence[Account], closing: bool = False) -> list[str]:
        """Where the devices' own KV books differ from the ledger, in words.

        Args:
            closing: the accounts are the final ones: no window will tell of those that have just ended.
        """
        return self._reconciliation.accounts_differ(accounts, self._members.held_bytes(closing))

    def _next_ask(self) -> Ask | None:
        if self._unaudited is not None:
            return AuditAsk()
        while self._open is None:
            if self._preempted is None:
                if self.planner.source.due:
                    return TrainingAsk(self.planner.source.train)
                self._preempted = self._open_point()
            made = self.planner.plan(self._members, self._preempted, self._because, self.now_ps)
            if isinstance(made, Grid):
                return GridAsk(made)
            self._apply(made)
            if made.empty and not self._pass_idle_time(made):
                self.planner.log.closed(self.now_ps)
                return None
        if windows := self.planner.study.questions():
            return StudyAsk(windows, [alone_for_modules(window, self.kv.shape.layout) for window in windows])
        return self._next_window(self._open)

    # -- scheduling points ---------------------------------------------------------------------------

    def _open_point(self) -> list[int]:
        """Bring the books up to date at a scheduling point; the requests that it preempted."""
        self._members.enqueue(self.now_ps)
        self._books.gpu.release(self._timeline.batch_end_ps)
        self._members.leave()
        self._members.move_out()
        return self._members.preempt()

    def _apply(self, plan: Plan) -> None:
        """Do what a plan says, which closes the scheduling point."""
        self._members.admit(plan.admitted)
        self._books.table.planned[plan.decode] = self._plans
        self._plans += 1
        self._preempted = None
        self._open = None if plan.empty else OpenPlan(plan, self._members, self._limits)

    def _pass_idle_time(self, plan: Plan) -> bool:
        """Jump to what comes next: an arrival, or room in GPU memory; False when nothing does."""
        arrival, queue = self._books.arrivals.next_ps, self._members.queue
        if len(queue) and plan.blocked == Blocked.GPU_MEMORY:
            until, self._because = self._next_transfer_end(arrival), Because.GPU_MEMORY
        elif len(queue):
            raise InvariantBroken(f"request {queue.head} waits for ever ({plan.blocked})")
        elif arrival is None:
            self._drain(NEVER_PS)
            return False
        else:
            until, self._because = arrival, Because.IDLE
        self._drain(until)
        self.now_ps = max(self.now_ps, until)
        self._idle = True
        return True

    def _next_transfer_end(self, arrival: int | None) -> int:
        """End of the K task that runs, or the next arrival, whichever is first."""
        self._drain(self.now_ps)
        end = self._timeline.next_end_ps()
        if end < 0 and arrival is None:
            raise InvariantBroken(f"request {self._members.queue.head} waits for GPU memory that is not held")
        return min(time for time in (end, arrival) if time is not None and time >= 0)

    def _drain(self, until_ps: int) -> None:
        end, spans = self._timeline.drain(until_ps)
        self.metrics.last_event_ps = max(self.metrics.last_event_ps, end)
        if len(spans):
            self.spans.append(spans)

    # -- windows -------------------------------------------------------------------------------------

    def _next_window(self, opened: OpenPlan) -> WindowAsk:
        held = self._books.table.held
        batches = tuple(
            SubBatch(index, part.decode, held[part.decode], part.chunks)
            for index, part in enumerate(opened.plan.passes)
            if not part.empty
        )
        # Unique in the sessions that replicas share.
        number = self._windows * self.kv.shape.layout.dp + self.index
        pending = self._members.drain_pending()
        rounds, commits = opened.rounds_to_ask(), self.commits
        self._windows += 1
        self.commits = ()
        releases = tuple(request for request, _ in pending.releases)
        window = Window(number, self.index, rounds, batches, pending.places, releases, commits)
        return WindowAsk(window, heard_by_modules(window, self.kv, pending))

    def _start_of(self, window: Window) -> tuple[int, int]:
        """When a window's first round starts, and the host's time between a join and the next."""
        host, batches = self._limits.host, window.sub_batches
        gap = host.gap_ps(sum(batch.requests for batch in batches), len(batches))
        return self.now_ps + gap - (host.sample_ps if self._idle else 0), gap

    def _take(self, asked: WindowAsk, answers: Sequence[Costs]) -> None:
        """Walk a window on the timeline and take its rounds."""
        window, opened = asked.window, self._open
        if opened is None:
            raise InvariantBroken(f"window {window.window_id} has no plan")
        _refuse(self._reconciliation.differences(answers, self.kv.held_bytes()))
        costs = self._assembler.assemble(window, answers, asked.modules)
        if opened.plan.unchunked >= 0:
            costs.durations.unchunked[opened.plan.unchunked] = True
        next_arrival = self._books.arrivals.next_ps
        start_ps, gap_ps = self._start_of(window)
        outcome = self._timeline.simulate(
            costs.durations,
            start_ps,
            NEVER_PS if next_arrival is None else next_arrival,
            self._in_flight.waits(window.sub_batches),
            gap_ps,
        )
        if not self.now_ps <= outcome.start_ps[0] < outcome.join_ps[0]:
            raise InvariantBroken(f"round of window {window.window_id} ends before it starts")
        self.metrics.add_window(costs, outcome, self.now_ps, len(opened.plan.decode))
        self._note_history(window, opened.plan, outcome)
        if len(outcome.spans):
            self.spans.append(outcome.spans)
        self.metrics.add_host(self._limits.host, window.sub_batches, outcome.rounds, self._idle)
        self._idle = False
        self.planner.commit(window, costs, outcome)
        arrive(asked.modules, outcome, self.kv, self._in_flight, self._books.gpu)
        self._members.end(
            [one for batch in window.sub_batches for one in self._tokens.commit(batch, outcome)]
        )
        self.commits = (Commit(window.window_id, outcome.rounds),)
        # What is held after the rounds; `now_ps` is still the join before them.
        self.kv.note_peak()
        lasted = np.diff(outcome.join_ps, prepend=self.now_ps)
        self.occupancy.add(lasted, *self.kv.in_ranks(opened.plan.decode))
        self._join(opened, outcome)

    def _note_history(self, window: Window, plan: Plan, outcome: Outcome) -> None:
        sampled = sum(batch.sampled for batch in window.sub_batches)
        waits = len(self._members.queue) + self._books.arrivals.left > 0
        self.history.add(self.now_ps, outcome.join_ps, len(plan.decode), sampled, waits)

    def _join(self, opened: OpenPlan, outcome: Outcome) -> None:
        """Come to the join of the last round taken, which may be a scheduling point."""
        self.now_ps = int(outcome.join_ps[-1])
        opened.rounds += outcome.rounds
        freed = self._books.gpu.release(self._timeline.batch_end_ps)
        arrived = self._members.enqueue(self.now_ps)
        self._because = opened.ended_by(arrived, freed)
        if self._because:
            self._open = None


def _refuse(wrong: list[str]) -> None:
    """Raise what is wrong, the first of it."""
    if wrong:
        raise InvariantBroken("; ".join(wrong[:3]))
