"""Prefill and admission, alike for every policy.

Running prefills first in order of admission, then the queue in its order; each to the sub-batch with fewer
chunk tokens (ties: 0); nobody overtakes a head that does not fit; a request is admitted only in a plan that
gives its first chunk. A round prefills at most `max_chunk_tokens` a sub-batch, but for a prompt that goes
unchunked, alone among the prefills of its replica.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from l3sim.work import Chunk, Placed
from orchestrator.policies.base import PlanView

GRAIN = 64
#: Keys of `scheduler` that whoever calls `deal_prefills` reads.
PREFILL_KEYS = frozenset({"max_chunk_tokens", "min_chunk_tokens", "admit_watermark"})


@dataclass(slots=True)
class Dealt:
    """Chunks by pass, who was admitted, and why the head was not."""

    chunks: list[list[Chunk]]
    admitted: list[Placed] = field(default_factory=list)
    unchunked: int = -1
    blocked: str = ""

    def tokens(self, index: int) -> int:
        """Chunk tokens of a pass."""
        return sum(chunk.tokens for chunk in self.chunks[index])


def chunk_size(rest: int, room: int, least: int) -> int:
    """Tokens of the next chunk: the rest, or a multiple of 64 of at least `least`; 0 where neither goes."""
    if rest <= room:
        return rest
    size = room // GRAIN * GRAIN
    return size if size >= least else 0


def deal_prefills(view: PlanView, passes: int, may_admit: Callable[[Placed], bool] | None = None) -> Dealt:
    """Give chunks to who is in prefill, then admit from the queue while memory lasts.

    Args:
        may_admit: asked, last of all, whether the head may enter there (`admission: aligned`); None: always.
    """
    dealt = Dealt([[] for _ in range(passes)])
    for request in view.prefilling:
        if not _give(view, dealt, request, int(view.table.held[request])):
            dealt.blocked = "chunk"
            return dealt
    for request in view.queue:
        dealt.blocked = _admit(view, dealt, request, may_admit)
        if dealt.blocked or dealt.unchunked >= 0:
            break
    return dealt


def _admit(view: PlanView, dealt: Dealt, request: int, may_admit: Callable[[Placed], bool] | None) -> str:
    """Admit the head and give its first chunk; or say why not."""
    if request in view.barred:
        return "barred"
    target = int(view.table.target[request])
    needed, unchunked = view.gpu.booking(target)
    planned = sum(view.gpu.booking(int(view.table.target[placed.request]))[0] for placed in dealt.admitted)
    if unchunked and any(dealt.chunks):
        return "gpu_memory"
    if needed > view.gpu.free_bytes - planned:
        return "gpu_memory"
    if not unchunked and _room(view, dealt, target) == 0:
        return "chunk"
    place = view.kv.fits(target + 1)
    if place is None:
        return "kv"
    placed = Placed(request, *place)
    if may_admit is not None and not may_admit(placed):
        return "aligned"
    view.kv.admit(target + 1, *place)
    dealt.admitted.append(placed)
    if unchunked:
        dealt.chunks[0].append(Chunk(request, target, 0, last=True))
        dealt.unchunked = 0
    else:
        _give(view, dealt, request, 0)
    return ""


def _lightest(dealt: Dealt) -> int:
    return min(range(len(dealt.chunks)), key=dealt.tokens)


def _room(view: PlanView, dealt: Dealt, rest: int) -> int:
    room = view.options.max_chunk_tokens - dealt.tokens(_lightest(dealt))
    return chunk_size(rest, room, view.options.min_chunk_tokens)


def _give(view: PlanView, dealt: Dealt, request: int, finished: int) -> bool:
    rest = int(view.table.target[request]) - finished
    size = _room(view, dealt, rest)
    if size:
        dealt.chunks[_lightest(dealt)].append(Chunk(request, size, finished, last=size == rest))
    return size > 0
