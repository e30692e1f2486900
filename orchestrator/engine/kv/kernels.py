"""The loops of the KV books, compiled: over a few dozen requests numpy's calls cost more than the work.

Ranks count as rankset * ranks + rank, placements as offset * ranks + first rank; there are P of each. What is
booked: see `l3sim.orchestrator.engine.kv.ledger`.
"""

from typing import Any, NamedTuple

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.kv.stripes import profile, runs_at
from l3sim.orchestrator.engine.requests import Phase
from l3sim.units import Int64s

NOWHERE = -1
_DECODE = int(Phase.DECODE)


class Bookings(NamedTuple):
    """What requests book by.

    Attributes:
        reserve: tokens booked beyond what is to be prefilled.
        phase, held, target: of all requests, see `RequestTable`.
        fit_tokens: the longest request that an empty replica holds, shape (P,).
    """

    reserve: int
    phase: np.ndarray
    held: Int64s
    target: Int64s
    fit_tokens: Int64s


def _one() -> Int64s:
    """Of one request, one placement or one rank."""
    return np.ones(1, dtype=np.int64)


def _bookings() -> Bookings:
    """Of one request, which decodes."""
    return Bookings(0, np.full(1, _DECODE, dtype=np.int8), _one(), _one(), _one())


@jit(cache=True, example=lambda: (_one() - 1, _one() - 1, 0, _bookings()))
def booked_tokens(requests: Int64s, places: Int64s, ahead: int, bookings: Bookings) -> Int64s:
    """Tokens that each request books after so many more rounds of decoding: shape of `requests`.

    Args:
        places: of the requests, shape (n,).
    """
    reserve, phase, held, target, fit_tokens = bookings
    result = np.empty(len(requests), dtype=np.int64)
    for index in range(len(requests)):
        one = requests[index]
        tokens = held[one] + ahead if phase[one] == _DECODE else target[one]
        result[index] = min(max(tokens, target[one] + reserve) + 1, fit_tokens[places[index]])
    return result


@jit(cache=True, example=lambda: (_one(), _one()[None]))
def bytes_of(blocks: Int64s, block_bytes: Int64s) -> Int64s:
    """Bytes on each rank of this many blocks at each placement, shape (P,) as is the result.

    Args:
        block_bytes: as for `rounds_of_room`.
    """
    result = np.zeros(len(blocks), dtype=np.int64)
    for place in range(len(blocks)):
        if blocks[place] > 0:
            for rank in range(len(blocks)):
                result[rank] += blocks[place] * block_bytes[place, rank]
    return result


@jit(cache=True, example=lambda: (_one(), _one() - 1, 1, -1))
def blocks_of(tokens: Int64s, places: Int64s, block_tokens: int, gpu_place: int) -> Int64s:
    """Blocks that requests with so many tokens take; tokens in GPU memory beside ranks: shape (n,).

    Args:
        gpu_place: -1: there is none.
    """
    result = np.empty(len(tokens), dtype=np.int64)
    for index in range(len(tokens)):
        size = 1 if places[index] == gpu_place else block_tokens
        result[index] = -(-tokens[index] // size)
    return result


@jit()
def _lacks(opened: Int64s, booked: Int64s, room: Int64s, block_bytes: Int64s) -> bool:
    """Whether a rank has more booked than it holds with this many blocks more at each placement."""
    after = booked.copy()
    for place in range(len(room)):
        if opened[place] > 0:
            for rank in range(len(room)):
                after[rank] += opened[place] * block_bytes[place, rank]
    for rank in range(len(room)):  # noqa: SIM110 (a generator does not compile)
        if after[rank] > room[rank]:
            return True
    return False


def _room() -> tuple[Any, ...]:
    """One request that decodes on one rank."""
    return 1, _one() - 1, _one() - 1, _bookings(), 1, -1, _one(), _one(), _one()[None], 1, 0


@jit(cache=True, example=_room)
def rounds_of_room(
    most: int,
    requests: Int64s,
    places: Int64s,
    bookings: Bookings,
    block_tokens: int,
    gpu_place: int,
    booked: Int64s,
    room: Int64s,
    block_bytes: Int64s,
    ranks: int,
    stripe: int,
) -> int:
    """Rounds until a rank has more booked than it holds while these requests decode; at least 1.

    Args:
        most: it is not asked further than that.
        booked, room: bytes of each rank, shape (P,).
        block_bytes: that a block of a request at a placement takes on each rank, shape (P, P).
        ranks: of a rankset. stripe: blocks of one, 0: none.
    """
    now = booked_tokens(requests, places, 0, bookings)
    ahead = most
    enough, lacks = 0, most
    while True:
        then = booked_tokens(requests, places, ahead, bookings)
        here = blocks_of(now, places, block_tokens, gpu_place)
        there = blocks_of(then, places, block_tokens, gpu_place)
        opened = runs_at(places, here, there, stripe, ranks, len(room))
        if _lacks(opened, booked, room, block_bytes):
            lacks = ahead
        elif ahead == most:
            return most
        else:
            enough = ahead
        if lacks - enough <= 1:
            return lacks
        ahead = (enough + lacks) // 2


def _place() -> tuple[Any, ...]:
    """One request and one placement."""
    square = _one()[None]
    return 1, 0, _one(), False, _one(), _one(), square, _one(), square, square, 1, 0


@jit(cache=True, example=_place)
def best_place(
    tokens: int,
    reserve: int,
    hits: Int64s,
    longest: bool,
    booked: Int64s,
    limit: Int64s,
    bins: Int64s,
    fit_tokens: Int64s,
    layer_bytes: Int64s,
    groups: Int64s,
    block_tokens: int,
    stripe_blocks: int,
) -> int:
    """Where a request goes, as `KvView.fits` says; NOWHERE: it does not fit.

    Args:
        hits: blocks of it that are booked already at each placement, shape (P,).
        limit: bytes that may be booked on each rank, shape (P,).
        bins: booked tokens x groups, shape (R, ranks).
        layer_bytes: of a block of one head group of offset o on rankset j, all layers there, shape (R, R).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        stripe_blocks: 0: no stripes.
    """
    ranks = len(groups)
    best = NOWHERE
    least_full = most_hits = 0
    for place in range(ranks * len(layer_bytes)):  # not GPU memory beside ranks
        if tokens - 1 > fit_tokens[place]:
            continue
        booking = min(tokens + reserve, fit_tokens[place])
        offset, first = place // ranks, place % ranks
        added = profile(hits[place], -(-booking // block_tokens), stripe_blocks, groups)
        fits = True
        for rankset in range(len(layer_bytes)):
            each = layer_bytes[offset, rankset]
            for rank in range(ranks):
                more = added[(rank - first) % ranks] * each
                if more > 0 and booked[rankset * ranks + rank] + more > limit[rankset * ranks + rank]:
                    fits = False
                    break
        if not fits:
            continue
        tokens_there = profile(0, booking, stripe_blocks * block_tokens, groups)
        full = 0
        for rank in range(ranks):
            there = tokens_there[(rank - first) % ranks]
            if there > 0:
                full = max(full, bins[offset, rank] + there)
        emptier, closer = full < least_full, hits[place] > most_hits
        if longest:
            better = closer or (hits[place] == most_hits and emptier)
        else:
            better = emptier or (full == least_full and closer)
        if best == NOWHERE or better:
            best, least_full, most_hits = place, full, hits[place]
    return best
