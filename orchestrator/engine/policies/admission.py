"""Prefill and admission, alike for every policy.

Running prefills first in order of admission, then the queue in its order; each to the sub-batch with fewer
chunk tokens (ties: 0); no request overtakes a head that does not fit; one is admitted only in a plan that
gives its first chunk. A round prefills at most `max_chunk_tokens` a sub-batch, but for a prompt that goes
unchunked, alone among the prefills of its replica.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from l3sim.orchestrator.engine.policies.base import PlanView
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.work import Chunk, KvPlacement

GRAIN = 64
#: Keys of `scheduler` that a policy with `plan_prefills` reads.
PREFILL_KEYS = frozenset({"max_chunk_tokens", "min_chunk_tokens", "admit_watermark"})


@dataclass(frozen=True, slots=True)
class ChunkBounds:
    """What a chunk may be: the rest of a prompt, or a multiple of `grain`, at least `least` tokens.

    Attributes:
        most: tokens of a sub-batch in a round.
    """

    most: int
    least: int
    grain: int = GRAIN

    def size(self, rest: int, room: int) -> int:
        """Tokens of the next chunk; 0 where none goes."""
        if rest <= room:
            return rest
        size = room // self.grain * self.grain
        return size if size >= self.least else 0


@dataclass(slots=True)
class PrefillPlan:
    """Chunks by pass and their tokens; requests admitted, GPU memory booked, and why the head was not."""

    chunks: list[list[Chunk]]
    tokens: list[int]
    bounds: ChunkBounds
    admitted: list[KvPlacement] = field(default_factory=list)
    gpu_bytes: int = 0
    unchunked: int = -1
    blocked: Blocked = Blocked.NOTHING

    @property
    def lightest(self) -> int:
        """The pass with fewest chunk tokens (ties: 0)."""
        return self.tokens.index(min(self.tokens))

    def give(self, index: int, chunk: Chunk) -> None:
        """Add a chunk to a pass."""
        self.chunks[index].append(chunk)
        self.tokens[index] += chunk.tokens

    def cut(self, index: int, size: int) -> None:
        """Leave this many tokens of a pass's last chunk."""
        last = self.chunks[index].pop()
        self.tokens[index] -= last.tokens
        self.give(index, Chunk(last.request, size, last.finished_tokens, last=False))


class Home(NamedTuple):
    """Where a request's KV would go.

    Attributes:
        staged: its prefill KV waits in GPU memory until it is down in modules.
    """

    offset: int
    rank: int
    staged: bool = True


#: Asked for the home of the head; None: it does not fit.
FindHome = Callable[[int], Home | None]
#: Asked, last of all, whether the head may enter at a placement; or why not, for `Plan.blocked`.
MayAdmit = Callable[[KvPlacement], Blocked]


def at_most(view: PlanView, residents: int | None) -> MayAdmit:
    """Admit while there are fewer residents than that; None: always."""
    entered = len(view.decoding) + len(view.prefilling)

    def may_admit(placed: KvPlacement) -> Blocked:  # noqa: ARG001 - wherever it goes
        nonlocal entered
        if residents is not None and entered >= residents:
            return Blocked.BATCH
        entered += 1
        return Blocked.NOTHING

    return may_admit


def plan_prefills(
    view: PlanView,
    passes: int,
    may_admit: MayAdmit | None = None,
    bounds: ChunkBounds | None = None,
    find_home: FindHome | None = None,
) -> PrefillPlan:
    """Give chunks to requests in prefill, then admit from the queue while memory lasts.

    Args:
        may_admit: None: always.
        bounds: None: those of `scheduler.max_chunk_tokens` and `min_chunk_tokens`.
        find_home: None: where ranks are least full.
    """
    options = view.options
    bounds = bounds or ChunkBounds(options.max_chunk_tokens, options.min_chunk_tokens)
    prefills = PrefillPlan([[] for _ in range(passes)], [0] * passes, bounds)
    for request in view.prefilling:
        if not _give(view, prefills, request, int(view.table.held[request])):
            prefills.blocked = Blocked.CHUNK
            return prefills
    homes = find_home or partial(_in_ranks, view)
    for request in view.queue:
        prefills.blocked = _admit(view, prefills, request, homes, may_admit)
        if prefills.blocked or prefills.unchunked >= 0:
            break
    return prefills


def _in_ranks(view: PlanView, request: int) -> Home | None:
    place = view.kv.fits(view.table.booking(request), request)
    return None if place is None else Home(*place)


def _admit(
    view: PlanView, prefills: PrefillPlan, request: int, find_home: FindHome, may_admit: MayAdmit | None
) -> Blocked:
    """Admit the head and give its first chunk; or say why not."""
    if request in view.barred:
        return Blocked.BARRED
    target = int(view.table.target[request])
    home = find_home(request)
    staged = home is None or home.staged
    needed, unchunked = view.gpu.booking(target) if staged else (0, False)
    if unchunked and any(prefills.chunks):
        return Blocked.GPU_MEMORY
    if needed > view.gpu.free_bytes - prefills.gpu_bytes:
        return Blocked.GPU_MEMORY
    if not unchunked and _room(prefills, target) == 0:
        return Blocked.CHUNK
    if home is None:
        return Blocked.KV
    placed = KvPlacement(request, home.offset, home.rank)
    refused = Blocked.NOTHING if may_admit is None else may_admit(placed)
    if refused:
        return refused
    view.kv.admit(view.table.booking(request), home.offset, home.rank, request)
    prefills.admitted.append(placed)
    prefills.gpu_bytes += needed
    if unchunked:
        prefills.give(0, Chunk(request, target, 0, last=True))
        prefills.unchunked = 0
    else:
        _give(view, prefills, request, 0)
    return Blocked.NOTHING


def _room(prefills: PrefillPlan, rest: int) -> int:
    return prefills.bounds.size(rest, prefills.bounds.most - min(prefills.tokens))


def _give(view: PlanView, prefills: PrefillPlan, request: int, finished: int) -> bool:
    rest = int(view.table.target[request]) - finished
    size = _room(prefills, rest)
    if size:
        prefills.give(prefills.lightest, Chunk(request, size, finished, last=size == rest))
    return size > 0
