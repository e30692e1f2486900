"""The bytes of one session on all ranks of a process: which rank holds which heads, and the work on them.

Layer l, head group g of a request placed at (offset o, rank b) lies on rankset (o + l) mod R and rank
(b + g) mod n of its replica (`l3sim.placement`); where KV is striped, a part on each rank from there on.
A group whose heads do not fill its chips is filled up with zeros, which no answer shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.device import Ledger
from l3sim.errors import OutOfRoom, OutOfStep, Unsupported
from l3sim.functional import (
    Attend,
    Attended,
    FunctionalAnswer,
    FunctionalRequest,
    Offload,
    Offloaded,
    ReadBack,
    Returned,
    check,
)
from l3sim.services.dimm_pim.functional.execute import NewToken
from l3sim.services.dimm_pim.functional.memory import Key
from l3sim.services.dimm_pim.functional.numeric import Halves
from l3sim.services.dimm_pim.functional.rank import Rank
from l3sim.services.dimm_pim.functional.results import Results
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.specs.config import DimmPimConfig
from l3sim.units import Int64s
from l3sim.work import Hello

#: A rank lane: (slot in Hello, domain of it).
Lane = tuple[int, int]


@dataclass(frozen=True)
class _Piece:
    """One head group of one request, or a part of it, on a rank of this process.

    Attributes:
        heads: KV heads of the model.
        step: ranks from its first one.
    """

    lane: Lane
    key: Key
    heads: slice
    step: int


class SessionMemory:
    """Functional work of one session.

    Args:
        ledger: where requests are placed.

    Raises:
        Unsupported: the session runs at another level than `command`.
    """

    def __init__(self, hello: Hello, configs: Sequence[DimmPimConfig], ledger: Ledger) -> None:
        for slot, config in zip(hello.slots, configs, strict=True):
            if config.level != "command":
                text = f"{slot.slot} runs at level {config.level!r}, which times and does not compute"
                raise Unsupported(f"{text}; set attention.level=command")
        self._hello, self._ledger = hello, ledger
        #: Tokens of each request and layer, wherever they lie.
        self._held: dict[tuple[int, int], int] = {}
        self._ranks: dict[Lane, Rank] = {}
        self._lanes: dict[tuple[int, int, int], Lane] = {}
        for number, (slot, config) in enumerate(zip(hello.slots, configs, strict=True)):
            kernel = kernel_of(config, hello.model, hello.layout)
            room = config.kv_room_bytes(hello.layout, hello.model)
            for domain, assignment in enumerate(slot.assignments):
                if not assignment.unused:
                    self._ranks[number, domain] = Rank(kernel, room)
                    self._lanes[assignment.replica, assignment.rankset, assignment.rank] = number, domain

    def answer(self, work: FunctionalRequest) -> FunctionalAnswer:
        """Do a piece of work; see DeviceSession.functional."""
        check(work, self._hello.model)
        if isinstance(work, Offload):
            return self._offload(work)
        return self._attend(work) if isinstance(work, Attend) else self._read(work)

    def release(self, request: int) -> None:
        """Forget a request's bytes."""
        for rank in self._ranks.values():
            rank.release(request)
        self._held = {key: tokens for key, tokens in self._held.items() if key[0] != request}

    def _offload(self, work: Offload) -> Offloaded:
        pieces = list(self._pieces(work.request, work.layer))
        at = self._steps(work.first, len(work.k))
        first = self._own(work.first)
        for piece in pieces:
            count = int((at == piece.step).sum())
            self._check(piece.lane, [(piece.key, int(first[piece.step]), count)])
        for piece in pieces:
            here = at == piece.step
            k, v = (self._padded(data[here, piece.heads]) for data in (work.k, work.v))
            self._ranks[piece.lane].write(piece.key, int(first[piece.step]), k, v)
        self._held[work.request, work.layer] = work.first + len(work.k)
        return Offloaded(work.first + len(work.k) if pieces else 0)

    def _read(self, work: ReadBack) -> Returned:
        model, at = self._hello.model, self._steps(work.first, work.tokens)
        k = np.zeros((work.tokens, model.kv_heads, model.head_size), dtype=np.float16)
        v, present = k.copy(), np.zeros((work.tokens, model.kv_heads), dtype=np.bool_)
        first = self._own(work.first)
        for piece in self._pieces(work.request, work.layer):
            here = at == piece.step
            if not here.any():
                continue
            both = self._ranks[piece.lane].read(piece.key, int(first[piece.step]), int(here.sum()))
            count = piece.heads.stop - piece.heads.start
            k[here, piece.heads], v[here, piece.heads] = (data[:, :count] for data in both)
            present[here, piece.heads] = True
        return Returned(k, v, present if self._hello.layout.striped else present[0])

    def _attend(self, work: Attend) -> Attended:
        """Rank by rank; on each the head groups in the order of the requests, then of the groups."""
        calls: dict[Lane, list[tuple[int, _Piece]]] = {}
        for number, request in enumerate(work.requests):
            own = self._own(self._held.get((request, work.layer), 0) + 1)
            for piece in self._pieces(request, work.layer):
                if own[piece.step]:
                    calls.setdefault(piece.lane, []).append((number, piece))
        lanes = sorted(calls)
        tokens = {lane: [self._token(work, *one) for one in calls[lane]] for lane in lanes}
        for lane in lanes:
            new = [
                (token.tokens - 1, 1) if token.k is not None else (token.tokens, 0) for token in tokens[lane]
            ]
            self._check(lane, [(piece.key, *more) for (_, piece), more in zip(calls[lane], new, strict=True)])
        durations, results = [], Results(self._hello.model, len(work.requests))
        for lane in lanes:
            rank = self._ranks[lane]
            units, took = rank.attend([piece.key for _, piece in calls[lane]], tokens[lane])
            durations.append(took.cycles * rank.kernel.pim.tck_ps)
            for (number, piece), unit in zip(calls[lane], units, strict=True):
                ranks = self._ranks_of(work.requests[number], work.layer)
                results.enter(number, piece.heads, piece.step, ranks, unit)
        for request in work.requests:
            self._held[request, work.layer] = self._held.get((request, work.layer), 0) + 1
        device, domain = tuple(lane[0] for lane in lanes), tuple(lane[1] for lane in lanes)
        return results.answer(device, domain, np.array(durations, dtype=np.int64))

    def _token(self, work: Attend, number: int, piece: _Piece) -> NewToken:
        """One request's new token for one head group, or for a part of it."""
        model = self._hello.model
        whole = self._held.get((work.requests[number], work.layer), 0)
        q = work.q[number, self._queries(piece.heads)].reshape(-1, model.queries_per_kv, model.head_size)
        new = int(self._steps(whole, 1)[0]) == piece.step
        k, v = (self._padded(data[number, piece.heads][None])[0] for data in (work.k, work.v))
        return NewToken(
            tokens=int(self._own(whole + 1)[piece.step]),
            q=self._padded(q[None])[0],
            k=k if new else None,
            v=v if new else None,
        )

    def _own(self, tokens: int) -> Int64s:
        """Of so many tokens of a head group, those of each step: shape (steps,)."""
        return self._hello.layout.step_tokens(np.array(tokens))

    def _steps(self, first: int, tokens: int) -> Int64s:
        """Steps on which tokens lie: shape (tokens,)."""
        layout = self._hello.layout
        numbers = np.arange(first, first + tokens)
        return numbers // layout.stripe_tokens % layout.ranks if layout.striped else numbers * 0

    def _ranks_of(self, request: int, layer: int) -> int:
        """On how many ranks a head of a request lies once it has its new token."""
        tokens = self._held.get((request, layer), 0) + 1
        return int(self._hello.layout.ranks_held(np.array(tokens)))

    def _queries(self, heads: slice) -> slice:
        """Query heads of KV heads."""
        each = self._hello.model.queries_per_kv
        return slice(heads.start * each, heads.stop * each)

    def _padded(self, data: Halves) -> Halves:
        """Heads of a group, filled up to whole chips, shape (n, heads, ...)."""
        missing = self._hello.layout.heads_per_group - data.shape[1]
        zeros = np.zeros((len(data), missing, *data.shape[2:]), dtype=np.float16)
        return np.concatenate([data, zeros], axis=1)

    def _check(self, lane: Lane, more: Sequence[tuple[Key, int, int]]) -> None:
        """See Rank.check; nothing is written anywhere before all ranks agree."""
        try:
            self._ranks[lane].check(more)
        except (OutOfRoom, OutOfStep) as error:
            where = f"rank-{lane[1]} of {self._hello.slots[lane[0]].slot}"
            raise type(error)(f"{where}: {error}") from None

    def _pieces(self, request: int, layer: int) -> Iterator[_Piece]:
        """A request's head groups of a layer that lie in this process.

        Raises:
            OutOfStep: it is not placed.
        """
        ledger, layout = self._ledger, self._hello.layout
        if request not in ledger.present:
            raise OutOfStep(f"request {request} is not placed here; send a window that places it first")
        offset, first = int(ledger.offset[request]), int(ledger.rank[request])
        rankset = (offset + layer) % layout.ranksets
        for group in range(layout.groups):
            for step in range(layout.steps):
                assignment = int(ledger.replica[request]), rankset, (first + group + step) % layout.ranks
                if assignment in self._lanes:
                    begin = group * layout.heads_per_group
                    heads = slice(begin, min(begin + layout.heads_per_group, self._hello.model.kv_heads))
                    yield _Piece(self._lanes[assignment], (request, layer, group), heads, step)
