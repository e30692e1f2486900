"""The state of all requests of a job, in arrays over request numbers."""

from enum import IntEnum

import numpy as np

from l3sim.specs.lengths import MAX_TOKENS
from l3sim.specs.requests import Requests
from l3sim.units import Int64s

NEVER = -1


class Phase(IntEnum):
    """Where a request is in its life."""

    FUTURE = 0  # has not arrived
    WAITING = 1  # in the queue, new or preempted
    PREFILL = 2  # admitted, its prompt (or what must be computed again) is not all in KV yet
    DECODE = 3  # admitted, makes a token a round
    DONE = 4


class RequestTable:
    """One row a request; every column has shape (requests,).

    Attributes:
        prompt, output, arrival_ps: as given; arrivals of a closed loop are set when they come to be.
        priority: 0 to 9, more is more urgent.
        limit: output tokens that each may make at most, known from its arrival on; `MAX_TOKENS`: no limit.
        lengths_known: whether the scheduler may look at `output` (`--oracle-lengths`).
        phase: a Phase. `Queue` writes those that wait, `KvLedger` all others.
        held: KV tokens; read only.
        kv_tokens: the same column, for `KvLedger` alone: sums that it keeps hang on it.
        emitted: output tokens made.
        target: tokens to prefill since the last admission: the prompt and the output so far.
        prefix, prefix_tokens: what its prompt has in common with others; 0 and 0 for nothing.
        offset, rank: placement, while admitted.
        admission: number of its last admission on its replica; larger is later.
        planned: number of the last plan that let it decode.
        first_round_ps: start of the round with its first chunk.
        first_stamp_ps, last_stamp_ps: of its first and its newest token.
        longest_gap_ps: between two of its tokens so far.
        preemptions: times that its KV was dropped.
        recomputed: KV tokens dropped over its life.
        moved: KV tokens that went from GPU memory to ranks over its life.
    """

    def __init__(self, requests: Requests, lengths_known: bool = False) -> None:
        count = len(requests)
        self.lengths_known = lengths_known
        self.priority = np.zeros(count, dtype=np.int64) if requests.priority is None else requests.priority
        self.limit = np.full(count, MAX_TOKENS) if requests.limit is None else requests.limit
        self.prompt = requests.prompt
        self.output = requests.output
        self.arrival_ps = requests.arrival_ps.copy()
        self.line = requests.line
        prefixes = requests.prefixes
        self.prefix = np.zeros(count, dtype=np.int64) if prefixes is None else prefixes.number
        self.prefix_tokens = np.zeros(count, dtype=np.int64) if prefixes is None else prefixes.tokens
        self.phase = np.full(count, Phase.FUTURE, dtype=np.int8)
        self.kv_tokens = np.zeros(count, dtype=np.int64)
        self.held = self.kv_tokens.view()
        self.held.flags.writeable = False
        self.emitted = np.zeros(count, dtype=np.int64)
        self.target = requests.prompt.copy()
        self.offset = np.zeros(count, dtype=np.int64)
        self.rank = np.zeros(count, dtype=np.int64)
        self.admission = np.full(count, NEVER, dtype=np.int64)
        self.planned = np.full(count, NEVER, dtype=np.int64)
        self.first_round_ps = np.full(count, NEVER, dtype=np.int64)
        self.first_stamp_ps = np.full(count, NEVER, dtype=np.int64)
        self.last_stamp_ps = np.full(count, NEVER, dtype=np.int64)
        self.longest_gap_ps = np.zeros(count, dtype=np.int64)
        self.preemptions = np.zeros(count, dtype=np.int64)
        self.recomputed = np.zeros(count, dtype=np.int64)
        self.moved = np.zeros(count, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.prompt)

    def booking(self, request: int) -> int:
        """KV tokens that a waiting request books when it is admitted.

        What it must prefill and one more; with `lengths_known` all that it will ever hold.
        """
        if self.lengths_known:
            return int(self.prompt[request] + self.output[request] - 1)
        return int(self.target[request]) + 1

    def remaining(self, requests: Int64s) -> Int64s | None:
        """Output tokens that requests still have to make; None unless the scheduler may know."""
        left: Int64s = self.output[requests] - self.emitted[requests]
        return left if self.lengths_known else None

    def rows(self, requests: "list[int] | Int64s") -> Int64s:
        """Request numbers as an index array."""
        return np.asarray(requests, dtype=np.int64)
