"""A device's own view of whose KV lies where, in arrays over request numbers."""

from dataclasses import dataclass

import numpy as np

from l3sim.errors import OutOfRoom, OutOfStep
from l3sim.units import Int64s
from l3sim.work import KvPlacement, Window

ABSENT = -1

#: Largest request number + 1: a ledger of that size takes 640 MB, so a larger number is a mistake.
MAX_REQUESTS = 2**24

#: Tokens of a request: no memory holds as many, and costs of that many still fit 64 bits.
MAX_TOKENS = 2**40


@dataclass(frozen=True, slots=True)
class WindowMembers:
    """The requests of a window, over all its sub-batches: those that decode, then chunks, of each.

    Attributes:
        requests: their numbers, shape (n,).
        held: KV tokens that each holds before the first round, shape (n,).
        growth: KV tokens that each gains in a round, shape (n,).
    """

    requests: Int64s
    held: Int64s
    growth: Int64s


def members_of(window: Window) -> WindowMembers:
    """Gather a window's requests."""
    requests, held, growth = [], [], []
    for batch in window.sub_batches:
        requests.append(batch.decode)
        held.append(batch.context)
        growth.append(np.ones(len(batch.decode), dtype=np.int64))
        if batch.chunks:
            requests.append(np.array([chunk.request for chunk in batch.chunks], dtype=np.int64))
            held.append(np.array([chunk.finished_tokens for chunk in batch.chunks], dtype=np.int64))
            growth.append(np.array([chunk.tokens for chunk in batch.chunks], dtype=np.int64))
    if len(requests) == 1:
        # Copies: a caller in this process may use its arrays again.
        return WindowMembers(requests[0].copy(), held[0].copy(), growth[0])
    if not requests:
        none = np.zeros(0, dtype=np.int64)
        return WindowMembers(none, none, none)
    return WindowMembers(np.concatenate(requests), np.concatenate(held), np.concatenate(growth))


class Ledger:
    """Placement and held tokens by request number.

    Attributes:
        offset, rank: where a request's KV begins; meaningless when it has none; shape (capacity,).
        held: KV tokens, ABSENT when it has none; shape (capacity,).
        replica: whose request it is; shape (capacity,).
        prefix, prefix_blocks: what it shares, 0 and 0 for nothing; shape (capacity,).
        shares: whether any request ever shared something.
    """

    def __init__(self) -> None:
        self.offset: Int64s = np.zeros(64, dtype=np.int64)
        self.rank: Int64s = np.zeros(64, dtype=np.int64)
        self.held: Int64s = np.full(64, ABSENT, dtype=np.int64)
        self.replica: Int64s = np.full(64, ABSENT, dtype=np.int64)
        self.prefix: Int64s = np.zeros(64, dtype=np.int64)
        self.prefix_blocks: Int64s = np.zeros(64, dtype=np.int64)
        self.shares = False
        self._seen: Int64s = np.zeros(64, dtype=np.int64)

    def place(self, placed: KvPlacement, replica: int) -> None:
        """Enter a request, with the tokens that it brings along.

        Raises:
            OutOfStep: its KV is here already.
            OutOfRoom: its number is beyond `MAX_REQUESTS`.
        """
        request = placed.request
        if not 0 <= request < len(self.held):
            self._extend(request + 1)
        if self.held[request] != ABSENT:
            raise OutOfStep(f"request {request} is placed twice; release it first")
        self.offset[request] = placed.offset
        self.rank[request] = placed.rank
        self.held[request] = placed.held
        self.replica[request] = replica
        self.prefix[request] = placed.prefix
        self.prefix_blocks[request] = placed.prefix_blocks
        self.shares = self.shares or placed.prefix_blocks > 0

    def release(self, request: int, replica: int) -> int:
        """Drop a request's KV and return the tokens that it held.

        Raises:
            OutOfStep: a request of this replica has none here.
        """
        self.require(np.array([request]), replica)
        tokens = int(self.held[request])
        self.held[request] = ABSENT
        return tokens

    def require(self, requests: Int64s, replica: int) -> None:
        """Check that requests have KV here and belong to a replica.

        Raises:
            OutOfStep: one has not, or belongs to another.
        """
        if len(requests) == 0:
            return
        # Seen as unsigned, a negative number is too large.
        if int(requests.view(np.uint64).max()) >= len(self.held):
            absent = (requests < 0) | (requests >= len(self.held))
        else:
            absent = self.held[requests] == ABSENT
        if absent.any():
            raise OutOfStep(f"request {requests[absent][0]} has no KV here; place it first")
        alien = self.replica[requests] != replica
        if alien.any():
            request = requests[alien][0]
            raise OutOfStep(
                f"request {request} belongs to replica {self.replica[request]}, not to replica {replica}"
            )

    def check(self, window: Window, members: WindowMembers) -> None:
        """Check that a window's contexts and chunks are those of this ledger.

        Raises:
            OutOfStep: a request is unknown, of another replica, there twice, or its tokens differ.
        """
        requests = members.requests
        self.require(requests, window.replica)
        differs = self.held[requests] != members.held
        if differs.any():
            request = requests[differs][0]
            raise OutOfStep(
                f"window {window.window_id}: request {request} holds {self.held[request]} tokens here, "
                f"not {members.held[differs][0]}"
            )
        serial = np.arange(len(requests))
        self._seen[requests] = serial
        twice = self._seen[requests] != serial
        if twice.any():
            raise OutOfStep(f"window {window.window_id}: request {requests[twice][0]} takes part twice")

    @property
    def present(self) -> Int64s:
        """Requests that have KV here."""
        return np.flatnonzero(self.held != ABSENT)

    def _extend(self, least: int) -> None:
        if not 1 <= least <= MAX_REQUESTS:
            raise OutOfRoom(f"request number {least - 1} must be at least 0 and below {MAX_REQUESTS}")
        extra = min(max(least, 2 * len(self.held)), MAX_REQUESTS) - len(self.held)
        zeros, absent = np.zeros(extra, dtype=np.int64), np.full(extra, ABSENT, dtype=np.int64)
        self.offset = np.concatenate([self.offset, zeros])
        self.rank = np.concatenate([self.rank, zeros])
        self.held = np.concatenate([self.held, absent])
        self.replica = np.concatenate([self.replica, absent])
        self.prefix = np.concatenate([self.prefix, zeros])
        self.prefix_blocks = np.concatenate([self.prefix_blocks, zeros])
        self._seen = np.concatenate([self._seen, zeros])
