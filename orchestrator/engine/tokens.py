"""What rounds do to requests: tokens made, stamped and held; chunks prefilled."""

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.host_stages import HostStages
from l3sim.orchestrator.engine.kv.in_flight import KvInFlight
from l3sim.orchestrator.engine.membership import Books
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.requests import NEVER
from l3sim.orchestrator.engine.timeline.base import Outcome
from l3sim.units import Int64s
from l3sim.work import SubBatch


class Tokens:
    """Writes the outcome of windows into the request table and the metrics of one replica.

    Args:
        host: its stages, the last of which stamps tokens.
    """

    def __init__(
        self, books: Books, metrics: ReplicaMetrics, in_flight: KvInFlight, host: HostStages
    ) -> None:
        self._table, self._kv, self._gpu = books.table, books.kv, books.gpu
        self._metrics, self._in_flight, self._host = metrics, in_flight, host

    def commit(self, batch: SubBatch, outcome: Outcome) -> list[int]:
        """Book one sub-batch's rounds; the requests that made their last token."""
        finished = [*self._decode(batch, outcome), *self._prefill(batch, outcome)]
        self._kv.finish(finished)
        return finished

    def _decode(self, batch: SubBatch, outcome: Outcome) -> list[int]:
        """Every decoding request gets one token a round, stamped at the end of its own pass."""
        if len(batch.decode) == 0:
            return []
        table, rows = self._table, batch.decode
        stamps = outcome.end_ps[:, batch.index] + self._host.stamp_ps(batch.sampled)
        columns = table.last_stamp_ps, table.longest_gap_ps, table.emitted, table.output
        gaps, counts, finished = advance(rows, stamps, *columns)
        self._kv.decode(rows, outcome.rounds)
        self._metrics.gaps.add(gaps, counts)
        self._note(int(stamps[-1]))
        ended: list[int] = finished.tolist()
        return ended

    def _prefill(self, batch: SubBatch, outcome: Outcome) -> list[int]:
        """Chunks enter KV; the pass with a prompt's end samples the request's next token."""
        if not batch.chunks:
            return []
        table = self._table
        number = outcome.batches[batch.index]
        if number >= 0:  # else all of it stays with the GPUs
            self._in_flight.add(number, batch.chunks)
        stamp = int(outcome.end_ps[0, batch.index]) + self._host.stamp_ps(batch.sampled)
        ended = []
        for chunk in batch.chunks:
            request = chunk.request
            self._kv.prefill(chunk)
            self._metrics.prefilled_tokens += chunk.tokens
            if table.first_round_ps[request] == NEVER:
                table.first_round_ps[request] = outcome.start_ps[0]
            if number >= 0:
                self._gpu.add_batch(request, number)
            if chunk.last:
                self._gpu.close(request)
                self._first_token(request, stamp)
                if table.emitted[request] == table.output[request]:
                    ended.append(request)
        return ended

    def _first_token(self, request: int, stamp: int) -> None:
        """The token sampled at the end of a prefill; after a preemption it is not the first."""
        table = self._table
        if table.first_stamp_ps[request] == NEVER:
            table.first_stamp_ps[request] = stamp
        else:
            gap = np.array([stamp - table.last_stamp_ps[request]])
            self._metrics.gaps.add(gap, np.ones(1, dtype=np.int64))
            table.longest_gap_ps[request] = max(int(table.longest_gap_ps[request]), int(gap[0]))
        table.last_stamp_ps[request] = stamp
        table.emitted[request] += 1
        self._note(stamp)

    def _note(self, stamp: int) -> None:
        self._metrics.last_event_ps = max(self._metrics.last_event_ps, stamp)


def _example() -> tuple[Int64s, ...]:
    """One request that decodes."""
    one = np.ones(1, dtype=np.int64)
    return one - 1, *(one.copy() for _ in range(5))


@jit(cache=True, example=_example)
def advance(
    rows: Int64s,
    stamps: Int64s,
    last_stamp: Int64s,
    longest_gap: Int64s,
    emitted: Int64s,
    output: Int64s,
) -> tuple[Int64s, Int64s, Int64s]:
    """Give each request a token a round.

    Args:
        rows: requests that decode, shape (n,).
        stamps: of each round's tokens, shape (rounds,).
        last_stamp, longest_gap, emitted: of all requests; written.
        output: tokens that each makes in all.

    Returns: (gaps between tokens, how many requests had each, requests that made their last token).
    """
    rounds = len(stamps)
    gaps = np.empty(len(rows) + rounds - 1, dtype=np.int64)
    counts = np.ones(len(gaps), dtype=np.int64)
    between = 0
    for number in range(1, rounds):
        gap = stamps[number] - stamps[number - 1]
        gaps[len(rows) + number - 1], counts[len(rows) + number - 1] = gap, len(rows)
        between = max(between, gap)
    finished = np.empty(len(rows), dtype=np.int64)
    ended = 0
    for index in range(len(rows)):
        one = rows[index]
        gaps[index] = stamps[0] - last_stamp[one]
        longest_gap[one] = max(longest_gap[one], gaps[index], between)
        last_stamp[one] = stamps[rounds - 1]
        emitted[one] += rounds
        if emitted[one] == output[one]:
            finished[ended] = one
            ended += 1
    return gaps, counts, finished[:ended]
