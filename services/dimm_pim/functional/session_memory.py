"""The bytes of one session on all ranks of a process: which rank holds which heads, and the work on them.

Layer l, head group g of a request placed at (offset o, rank b) lies on rankset (o + l) mod R and rank
(b + g) mod n of its replica (`l3sim.placement`). A group whose heads do not fill its chips is filled up with
zeros, which no answer shows.
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
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.specs.config import DimmPimConfig
from l3sim.work import Hello

#: A rank lane: (slot in Hello, domain of it).
Lane = tuple[int, int]


@dataclass(frozen=True)
class _Piece:
    """One head group of one request, on a rank of this process.

    Attributes:
        heads: KV heads of the model.
    """

    lane: Lane
    key: Key
    heads: slice


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

    def _offload(self, work: Offload) -> Offloaded:
        pieces = list(self._pieces(work.request, work.layer))
        for piece in pieces:
            self._check(piece.lane, [(piece.key, work.first, len(work.k))])
        for piece in pieces:
            k, v = (self._padded(data[:, piece.heads]) for data in (work.k, work.v))
            self._ranks[piece.lane].write(piece.key, work.first, k, v)
        return Offloaded(work.first + len(work.k) if pieces else 0)

    def _read(self, work: ReadBack) -> Returned:
        model = self._hello.model
        k = np.zeros((work.tokens, model.kv_heads, model.head_size), dtype=np.float16)
        v, present = k.copy(), np.zeros(model.kv_heads, dtype=np.bool_)
        for piece in self._pieces(work.request, work.layer):
            both = self._ranks[piece.lane].read(piece.key, work.first, work.tokens)
            count = piece.heads.stop - piece.heads.start
            k[:, piece.heads], v[:, piece.heads] = (data[:, :count] for data in both)
            present[piece.heads] = True
        return Returned(k, v, present)

    def _attend(self, work: Attend) -> Attended:
        """Rank by rank; on each the head groups in the order of the requests, then of the groups."""
        model = self._hello.model
        outputs = np.zeros(work.q.shape, dtype=np.float16)
        present = np.zeros((len(work.requests), model.kv_heads), dtype=np.bool_)
        calls: dict[Lane, list[tuple[int, _Piece]]] = {}
        for number, request in enumerate(work.requests):
            for piece in self._pieces(request, work.layer):
                calls.setdefault(piece.lane, []).append((number, piece))
        lanes = sorted(calls)
        for lane in lanes:
            held = self._ranks[lane].tokens
            self._check(lane, [(piece.key, held(piece.key), 1) for _, piece in calls[lane]])
        durations = []
        for lane in lanes:
            rank = self._ranks[lane]
            tokens = [self._token(work, number, piece, rank) for number, piece in calls[lane]]
            done, took = rank.attend([piece.key for _, piece in calls[lane]], tokens)
            durations.append(took.cycles * rank.kernel.pim.tck_ps)
            for (number, piece), output in zip(calls[lane], done, strict=True):
                count = piece.heads.stop - piece.heads.start
                outputs[number, self._queries(piece.heads)] = output[:count].reshape(-1, model.head_size)
                present[number, piece.heads] = True
        device, domain = tuple(lane[0] for lane in lanes), tuple(lane[1] for lane in lanes)
        return Attended(outputs, present, device, domain, np.array(durations, dtype=np.int64))

    def _token(self, work: Attend, number: int, piece: _Piece, rank: Rank) -> NewToken:
        """One request's new token for one head group."""
        model = self._hello.model
        q = work.q[number, self._queries(piece.heads)].reshape(-1, model.queries_per_kv, model.head_size)
        k, v = (data[number, piece.heads] for data in (work.k, work.v))
        return NewToken(
            tokens=rank.tokens(piece.key) + 1,
            q=self._padded(q[None])[0],
            k=self._padded(k[None])[0],
            v=self._padded(v[None])[0],
        )

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
            assignment = int(ledger.replica[request]), rankset, (first + group) % layout.ranks
            if assignment in self._lanes:
                begin = group * layout.heads_per_group
                heads = slice(begin, min(begin + layout.heads_per_group, self._hello.model.kv_heads))
                yield _Piece(self._lanes[assignment], (request, layer, group), heads)
