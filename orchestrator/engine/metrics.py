"""What one replica counts while it runs: integers only, in the order of its rounds."""

from collections.abc import Sequence

import numpy as np

from l3sim.orchestrator.engine.costs.assembler import WindowCosts, over_rounds
from l3sim.orchestrator.engine.host_stages import STAGES, HostStages
from l3sim.orchestrator.engine.timeline.base import Outcome
from l3sim.units import Int64s
from l3sim.work import SubBatch


class Tally:
    """Counts (value, count) pairs; sums, squares and percentiles are exact."""

    def __init__(self) -> None:
        self._values: list[Int64s] = []
        self._counts: list[Int64s] = []
        self._pending = 0

    def add(self, values: Int64s, counts: Int64s) -> None:
        """Enter values that occurred this many times, at least once."""
        self._values.append(values)
        self._counts.append(counts)
        self._pending += 1
        if self._pending >= 4096:
            self._merge()

    def _merge(self) -> None:
        values, counts = self.pairs()
        self._values, self._counts, self._pending = [values], [counts], 0

    def pairs(self) -> tuple[Int64s, Int64s]:
        """Distinct values in ascending order and how often each occurred."""
        if not self._values:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing
        values = np.concatenate(self._values)
        counts = np.concatenate(self._counts)
        distinct, where = np.unique(values, return_inverse=True)
        totals = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(totals, where, counts)
        return distinct, totals


class ReplicaMetrics:
    """Counters of one replica.

    Attributes:
        gaps: times between a request's tokens.
        iterations: iteration times, join to join.
        active_ps: time in which a round is running.
        busy_ps: by "gpu", "attention", "link_down", "link_up".
        energy_nj: by "gpu", "attention", "link".
        host_ps: by host stage.
        batch_time: sum over rounds of decoding requests x iteration time.
        last_event_ps: the latest task end or token stamp.
        rank_ps: time that each rank attends, shape (ranksets * ranks,); None before the first window.
    """

    def __init__(self) -> None:
        self.gaps = Tally()
        self.iterations = Tally()
        self.active_ps = 0
        self.iteration_ps = 0
        self.rounds = 0
        self.windows = 0
        self.busy_ps = dict.fromkeys(("gpu", "attention", "link_down", "link_up"), 0)
        self.energy_nj = dict.fromkeys(("gpu", "attention", "link"), 0)
        self.host_ps = dict.fromkeys(STAGES, 0)
        self.batch_time = 0
        self.max_batch = 0
        self.prefilled_tokens = 0
        self.last_event_ps = 0
        self.rank_ps: Int64s | None = None

    def add_window(self, costs: WindowCosts, outcome: Outcome, previous_ps: int, decoding: int) -> None:
        """Count the rounds that were taken of a window.

        Args:
            previous_ps: the join before it, or the arrival that ended idleness.
            decoding: requests that decode in each of its rounds.
        """
        taken = outcome.rounds
        for name, busy in costs.busy_ps.items():
            self.busy_ps[name] += over_rounds(busy, taken)
        for role, energy in costs.energy_nj.items():
            self.energy_nj[role] += over_rounds(energy, taken)
        attended: Int64s = costs.rank_ps[:, :taken].sum(axis=1)
        self.rank_ps = attended if self.rank_ps is None else self.rank_ps + attended
        lasted = np.diff(outcome.join_ps, prepend=previous_ps)
        self.iterations.add(lasted, np.ones(taken, dtype=np.int64))
        self.iteration_ps += int(lasted.sum())
        self.active_ps += int((outcome.join_ps - outcome.start_ps).sum())
        self.batch_time += decoding * int(lasted.sum())
        self.max_batch = max(self.max_batch, decoding)
        self.rounds += taken
        self.windows += 1
        self.last_event_ps = max(self.last_event_ps, int(outcome.join_ps[-1]))

    def add_host(self, host: HostStages, batches: Sequence[SubBatch], rounds: int, after_idle: bool) -> None:
        """Count the host's stages of the rounds that were taken of a window.

        Args:
            after_idle: nothing ran before the first of them, so nothing was sampled.
        """
        spent = {
            "sample": host.sample_ps * (rounds - after_idle),
            "schedule": host.scheduling_ps(sum(batch.requests for batch in batches)) * rounds,
            "launch": host.launching_ps(len(batches)) * rounds,
            "output": sum(host.handing_out_ps(batch.sampled) for batch in batches if batch.sampled) * rounds,
        }
        for stage, time in spent.items():
            self.host_ps[stage] += time
