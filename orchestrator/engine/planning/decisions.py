"""Decision records: what each plan saw, weighed and chose, and what came of it.

A line of `decisions.jsonl` a plan, in the order of a replica's plans. `happened_ps` are the terms that the
policy predicts, as the plan's first round had them:

    scheduling point ── plan: waiting, residents, predicted ── rounds ── join: rounds, tokens, happened
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.policies.base import Plan, PlanView
from l3sim.orchestrator.engine.reasons import Because, Blocked
from l3sim.orchestrator.engine.timeline.base import B_MID, P_COST, TABLES, Outcome, RoundCosts
from l3sim.units import Int64s, seconds


class Decision(msgspec.Struct):
    """One plan; docs/report.md says what each field is."""

    replica: int
    plan: int
    at_s: float
    because: Because
    waiting: int
    resident: int
    preempted: int
    admitted: int
    blocked: Blocked
    decoding: tuple[int, int]
    context_tokens: tuple[int, int]
    chunks: tuple[int, int]
    chunk_tokens: tuple[int, int]
    left_out: int
    horizon: int | None
    considered: dict[str, float]
    predicted_ps: tuple[float, ...]
    happened_ps: tuple[int, ...] = ()
    rounds: int = 0
    tokens: int = 0
    lasted_s: float = 0.0


_encode = msgspec.json.Encoder().encode


class DecisionLog:
    """The decisions of one replica.

    Attributes:
        errors: |predicted - happened| / happened of every plan that predicted, by "gpu" and "attention".
    """

    def __init__(self, replica: int) -> None:
        self.errors: dict[str, list[float]] = {"gpu": [], "attention": []}
        self._replica = replica
        self._lines: list[bytes] = []
        self._open: Decision | None = None
        self._began_ps = 0

    @property
    def plans(self) -> int:
        """Plans so far."""
        return len(self._lines) + (self._open is not None)

    def opened(self, plan: Plan, view: PlanView, preempted: int, because: Because, now_ps: int) -> None:
        """A plan was made; the one before it has ended."""
        self.closed(now_ps)
        table, parts = view.table, plan.passes
        self._began_ps = now_ps
        decoding = len(parts[0].decode), len(parts[1].decode)
        self._open = Decision(
            replica=self._replica,
            plan=len(self._lines),
            at_s=seconds(now_ps),
            because=because,
            waiting=len(view.queue),
            resident=len(view.decoding) + len(view.prefilling),
            preempted=preempted,
            admitted=len(plan.admitted),
            blocked=plan.blocked,
            decoding=decoding,
            context_tokens=(int(table.held[parts[0].decode].sum()), int(table.held[parts[1].decode].sum())),
            chunks=(len(parts[0].chunks), len(parts[1].chunks)),
            chunk_tokens=(_tokens(plan, 0), _tokens(plan, 1)),
            left_out=len(view.decoding) - sum(decoding),
            horizon=plan.bounded_horizon,
            considered=dict(plan.considered),
            predicted_ps=plan.predicted_ps,
        )

    def commit(self, costs: RoundCosts, outcome: Outcome) -> None:
        """Rounds of the open plan were taken."""
        decision = self._open
        if decision is None:
            return
        if not decision.rounds:
            decision.happened_ps = happened(costs, len(decision.predicted_ps) or 4)
            self._note_errors(decision)
        decision.rounds += outcome.rounds
        decision.tokens += outcome.rounds * sum(decision.decoding)

    def closed(self, now_ps: int) -> None:
        """The open plan, if there is one, has come to its end."""
        if self._open is not None:
            self._open.lasted_s = seconds(now_ps - self._began_ps)
            self._lines.append(_encode(self._open))
            self._open = None

    def jsonl(self) -> bytes:
        """All decisions that have ended, a line each."""
        return b"".join(line + b"\n" for line in self._lines)

    def _note_errors(self, decision: Decision) -> None:
        for name, first in (("gpu", 0), ("attention", 1)):
            for predicted, happened in zip(
                decision.predicted_ps[first::2], decision.happened_ps[first::2], strict=False
            ):
                if happened:
                    self.errors[name].append(abs(predicted - happened) / happened)


def _tokens(plan: Plan, index: int) -> int:
    return sum(chunk.tokens for chunk in plan.passes[index].chunks)


def happened(costs: RoundCosts, terms: int) -> tuple[int, ...]:
    """(T_GPU_0, T_PIM_0, T_GPU_1, T_PIM_1) of a window's first round, layers of class 0; 0: no such work.

    Args:
        terms: 4, or 2 for a plan with one sub-batch: its own fully connected layers count then.
    """
    return tuple(first_round(costs.rows, costs.ranksets, terms // 2).tolist())


@jit(cache=True, example=lambda: (RoundCosts.nothing(1, 1).rows, 1, 2))
def first_round(costs: Int64s, ranksets: int, passes: int) -> Int64s:
    """T_GPU and T_PIM of each pass, shape (2 * passes,); `costs` as `RoundCosts.rows`."""
    row, result = costs[0], np.zeros(2 * passes, dtype=np.int64)
    square = ranksets * ranksets
    for i in range(passes):
        other = passes - 1 - i
        own, others = TABLES + i * square, TABLES + other * square
        attends = 0
        for j in range(ranksets):
            attends = max(attends, row[own + 2 * square + j])
            result[2 * i + 1] += row[own + j] + row[own + 4 * square + j] + row[others + 6 * square + j]
        result[2 * i] = row[P_COST + i] + row[B_MID + other]
        result[2 * i + 1] += attends
    return result


def error_summary(logs: Sequence[DecisionLog]) -> dict[str, dict[str, float | int | None]]:
    """Median and 99th percentile (nearest rank) of the errors of all plans."""
    found: dict[str, dict[str, float | int | None]] = {}
    for name in ("gpu", "attention"):
        errors = np.sort(np.concatenate([np.array(log.errors[name], dtype=np.float64) for log in logs]))
        count = len(errors)
        ranks = {"median": -(-50 * count // 100) - 1, "p99": -(-99 * count // 100) - 1}
        found[name] = {
            "samples": count,
            **{key: float(errors[at]) if count else None for key, at in ranks.items()},
        }
    return found
