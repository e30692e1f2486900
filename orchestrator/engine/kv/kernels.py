"""The loops of the KV books, compiled: over a few dozen requests numpy's calls cost more than the work.

Ranks count as rankset * ranks + rank, placements as offset * ranks + first rank; there are P of each. What is
booked: see `l3sim.orchestrator.engine.kv.ledger`.
"""

from typing import Any, NamedTuple

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.requests import Phase
from l3sim.units import Int64s

NOWHERE = -1
_DECODE = int(Phase.DECODE)


class Bookings(NamedTuple):
    """What requests book by.

    Attributes:
        phase, held, target, reserve: of all requests, see `RequestTable`.
        fit_tokens: the longest request that an empty replica holds, shape (P,).
    """

    phase: np.ndarray
    held: Int64s
    target: Int64s
    reserve: Int64s
    fit_tokens: Int64s


def _one() -> Int64s:
    """Of one request, one placement or one rank."""
    return np.ones(1, dtype=np.int64)


def _bookings() -> Bookings:
    """Of one request, which decodes."""
    return Bookings(np.full(1, _DECODE, dtype=np.int8), _one(), _one(), _one(), _one())


@jit(cache=True, example=lambda: (_one() - 1, _one() - 1, 0, _bookings()))
def booked_tokens(requests: Int64s, places: Int64s, ahead: int, bookings: Bookings) -> Int64s:
    """Tokens that each request books after so many more rounds of decoding: shape of `requests`.

    Args:
        places: of the requests, shape (n,).
    """
    phase, held, target, reserve, fit_tokens = bookings
    result = np.empty(len(requests), dtype=np.int64)
    for index in range(len(requests)):
        one = requests[index]
        tokens = held[one] + ahead if phase[one] == _DECODE else target[one]
        result[index] = min(max(tokens, target[one] + reserve[one]) + 1, fit_tokens[places[index]])
    return result


@jit(cache=True, example=lambda: (_one() - 1, _one(), 1))
def sum_at(places: Int64s, amounts: Int64s, size: int) -> Int64s:
    """Sum of amounts at each placement: shape (size,)."""
    result = np.zeros(size, dtype=np.int64)
    for index in range(len(places)):
        result[places[index]] += amounts[index]
    return result


@jit(cache=True, example=lambda: (_one() - 1, _one(), 1, 1))
def blocks_at(places: Int64s, tokens: Int64s, block_tokens: int, size: int) -> Int64s:
    """Blocks of requests with this many tokens at each placement: shape (size,)."""
    result = np.zeros(size, dtype=np.int64)
    for index in range(len(places)):
        result[places[index]] += -(-tokens[index] // block_tokens)
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


@jit(cache=True, example=lambda: (_one() - 1, _one(), _one()[None], 1))
def bins_of(places: Int64s, tokens: Int64s, groups: Int64s, ranksets: int) -> Int64s:
    """Tokens x head groups of each (offset, rank): shape (R, ranks).

    Args:
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
    """
    ranks = len(groups)
    result = np.zeros((ranksets, ranks), dtype=np.int64)
    for index in range(len(places)):
        offset, first = places[index] // ranks, places[index] % ranks
        for rank in range(ranks):
            result[offset, rank] += groups[first, rank] * tokens[index]
    return result


@jit()
def _lacks(more: Int64s, places: Int64s, booked: Int64s, room: Int64s, block_bytes: Int64s) -> bool:
    """Whether a rank has more booked than it holds when each request has opened this many blocks more."""
    opened = sum_at(places, more, len(room))
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
    return 1, _one() - 1, _one() - 1, _bookings(), 1, _one(), _one(), _one()[None]


@jit(cache=True, example=_room)
def rounds_of_room(
    most: int,
    requests: Int64s,
    places: Int64s,
    bookings: Bookings,
    block_tokens: int,
    booked: Int64s,
    room: Int64s,
    block_bytes: Int64s,
) -> int:
    """Rounds until a rank has more booked than it holds while these requests decode; at least 1.

    Args:
        most: it is not asked further than that.
        booked, room: bytes of each rank, shape (P,).
        block_bytes: that a block of a request at a placement takes on each rank, shape (P, P).
    """
    now = booked_tokens(requests, places, 0, bookings)
    ahead = most
    enough, lacks = 0, most
    while True:
        then = booked_tokens(requests, places, ahead, bookings)
        more = -(-then // block_tokens) + (-now // block_tokens)
        if _lacks(more, places, booked, room, block_bytes):
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
    return (0, 1), 1, 0, _one(), False, _one(), _one(), square, _one(), square, square, square, 1


@jit(cache=True, example=_place)
def best_place(
    among: tuple[int, int],
    tokens: int,
    reserve: int,
    hits: Int64s,
    longest: bool,
    booked: Int64s,
    limit: Int64s,
    bins: Int64s,
    fit_tokens: Int64s,
    block_bytes: Int64s,
    pieces: Int64s,
    groups: Int64s,
    block_tokens: int,
) -> int:
    """Where a request goes, as `KvView.fits` says; NOWHERE: it does not fit.

    Args:
        among: the first placement that it may have, and the one behind the last.
        hits: blocks of it that are booked already at each placement, shape (P,).
        limit: bytes that may be booked on each rank, shape (P,).
        bins: booked tokens x groups, shape (R, ranks).
        pieces: (layer, head group) pairs of a placement on each rank, shape (P, P).
    """
    ranks = len(groups)
    best = NOWHERE
    least_full = most_hits = 0
    for place in range(among[0], among[1]):
        if tokens - 1 > fit_tokens[place]:
            continue
        booking = min(tokens + reserve, fit_tokens[place])
        blocks = -(-booking // block_tokens) - hits[place]
        fits = True
        for rank in range(len(limit)):
            if pieces[place, rank] > 0 and booked[rank] + block_bytes[place, rank] * blocks > limit[rank]:
                fits = False
                break
        if not fits:
            continue
        offset, first = place // ranks, place % ranks
        full = 0
        for rank in range(ranks):
            if groups[first, rank] > 0:
                full = max(full, bins[offset, rank] + groups[first, rank] * booking)
        emptier, more = full < least_full, hits[place] > most_hits
        if longest:
            better = more or (hits[place] == most_hits and emptier)
        else:
            better = emptier or (full == least_full and more)
        if best == NOWHERE or better:
            best, least_full, most_hits = place, full, hits[place]
    return best
