"""What the rounds of a run took, a bounded part of it.

A *sample* is a round: for each of its passes, what the terms of the predictor depend on and what they were.
Rounds with a prefill chunk are few among many without, so each kind has a reservoir of its own; each keeps a
uniform part of the rounds of its kind (algorithm R: round number n, counted from 0, replaces a row drawn from
0..n when that is one of the rows there are). A number is drawn for every round, in round order, so that
windows of any length leave the same rows.
"""

from typing import Any

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.costs.assembler import WindowCosts
from l3sim.orchestrator.engine.kv.stripes import dealt
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.timeline.base import B_MID, P_COST, TABLES, RoundCosts
from l3sim.placement import Layout
from l3sim.units import Floats, Int64s
from l3sim.work import NO_REQUESTS, Window

#: Rounds that a reservoir keeps: ours; enough for 1,000 samples with distinct features, quick to train on.
RESERVOIR_ROUNDS = 2048

#: Columns of a pass. Features: chunk and finished tokens of its chunks, decoding requests, and of its slowest
#: rank the tokens attended and the head groups. Then what it took, ps a layer.
FEATURES = ("chunk_tokens", "finished_tokens", "decoding", "rank_tokens", "rank_groups")
TIMES = ("t_p", "t_batch", "t_d", "t_comm", "t_kv")
COLUMN = {name: number for number, name in enumerate((*FEATURES, *TIMES))}
WIDTH = len(COLUMN)
#: Of one pass: chunk tokens, tokens finished before them, requests that decode and the tokens of each.
Members = tuple[int, int, Int64s, Int64s]
NO_MEMBERS: Members = (0, 0, NO_REQUESTS, NO_REQUESTS)

_CHUNKS, _FINISHED, _DECODING, _RANK_TOKENS, _RANK_GROUPS, _P, _BATCH, _D, _COMM, _KV = range(WIDTH)


class Reservoir:
    """A uniform part of the rounds offered.

    Attributes:
        rows: round number, then both passes: shape (size, 1 + 2 * WIDTH); zeros for an empty pass.
        seen: rounds offered.
    """

    def __init__(self, size: int, stream: np.random.Generator) -> None:
        self.rows: Floats = np.zeros((size, 1 + 2 * WIDTH))
        self.seen = 0
        self._stream = stream

    @property
    def kept(self) -> Floats:
        """The rows in use."""
        return self.rows[: min(self.seen, len(self.rows))]

    def offer(self, rounds: int) -> tuple[Int64s, Int64s]:
        """Take notice of this many rounds: (which of them to keep, rows for them), both of shape (hits,)."""
        drawn = self._stream.random(rounds)
        seen, self.seen = self.seen, self.seen + rounds
        return kept_of(drawn, seen, len(self.rows))


class Samples:
    """The reservoirs of one replica.

    Args:
        pace: slowness of the rank that serves (offset, rank), shape (R, ranks).
        seed: (the job's, the replica's number): the root of the draws.
    """

    def __init__(self, layout: Layout, pace: Floats, table: RequestTable, seed: tuple[int, int]) -> None:
        self._layout, self._pace, self._table = layout, pace, table
        streams = np.random.SeedSequence(seed[0], spawn_key=(2, seed[1])).spawn(2)
        self.prefill, self.decode = (
            Reservoir(RESERVOIR_ROUNDS, np.random.Generator(np.random.PCG64(stream))) for stream in streams
        )
        self.rounds = 0

    def observe(self, window: Window, costs: WindowCosts, rounds: int) -> None:
        """Offer the rounds that were taken of a window, before their tokens are booked."""
        has_chunks = any(batch.chunks for batch in window.sub_batches)
        reservoir = self.prefill if has_chunks else self.decode
        which, rows = reservoir.offer(rounds)
        if len(which):
            durations = costs.durations
            note_rounds(
                reservoir.rows,
                rows,
                which,
                self.rounds,
                self._members(window),
                durations.rows,
                durations.ranksets,
                self._table.offset,
                self._table.rank,
                self._layout.group_counts,
                self._pace,
                self._layout.stripe_tokens,
            )
        self.rounds += rounds

    def _members(self, window: Window) -> tuple[Members, Members]:
        """Both passes' members, as `note_rounds` takes them."""
        found: list[Members] = [NO_MEMBERS, NO_MEMBERS]
        for batch in window.sub_batches:
            chunks = sum(chunk.tokens for chunk in batch.chunks)
            finished = sum(chunk.finished_tokens for chunk in batch.chunks)
            found[batch.index] = (chunks, finished, batch.decode, batch.context)
        return found[0], found[1]

    def passes(self) -> Floats:
        """All passes kept, in order of row: (round number, then a pass's columns), shape (n, 1 + WIDTH)."""
        rows = np.concatenate([self.prefill.kept, self.decode.kept])
        halves = [rows[:, [0, *range(1 + s * WIDTH, 1 + (s + 1) * WIDTH)]] for s in range(2)]
        every = np.concatenate(halves)
        return every[every[:, 1 + COLUMN["t_batch"]] > 0]


@jit(cache=True, example=lambda: (np.zeros(1), 0, 1))
def kept_of(drawn: Floats, seen: int, size: int) -> tuple[Int64s, Int64s]:
    """(which of the next rounds to keep, rows for them), where this many were seen before: shape (hits,).

    Args:
        drawn: a number from 0 to 1 for each, shape (rounds,).
    """
    which, rows = np.empty(len(drawn), dtype=np.int64), np.empty(len(drawn), dtype=np.int64)
    hits = 0
    for index in range(len(drawn)):
        number = seen + index
        row = number if number < size else np.int64(drawn[index] * (number + 1))
        if row < size:
            which[hits], rows[hits] = index, row
            hits += 1
    return which[:hits], rows[:hits]


@jit()
def _attended(
    place: Int64s, attended: Int64s, groups: Int64s, stripe: int, tokens: Int64s, counts: Int64s
) -> None:
    """Write tokens x head groups, and head groups, of each (offset, rank): shape (R, ranks)."""
    ranks = len(groups)
    tokens[:], counts[:] = 0, 0
    for index in range(len(place)):
        offset, first = place[index] // ranks, place[index] % ranks
        for step in range(ranks if stripe > 0 else 1):
            own = dealt(attended[index], step, stripe, ranks)
            if own == 0:
                continue
            for rank in range(ranks):
                count = groups[(first + step) % ranks, rank]
                tokens[offset, rank] += count * own
                counts[offset, rank] += count


@jit()
def slowest_rank(
    place: Int64s, context: Int64s, groups: Int64s, pace: Floats, which: Int64s, stripe: int
) -> tuple[Floats, Floats]:
    """Tokens attended, times head groups and pace, of the rank that has most; and its head groups times pace.

    Args:
        place: placement (offset * ranks + first rank) of each request, shape (n,).
        context: tokens that each holds before the first round, shape (n,).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        pace: slowness of the rank that serves (offset, rank), shape (R, ranks).
        which: rounds, shape (m,), as are both results.
        stripe: tokens of one, 0: none.
    """
    ranks = len(groups)
    load, paced = np.zeros(len(which)), np.zeros(len(which))
    tokens, counts = np.zeros(pace.shape, dtype=np.int64), np.zeros(pace.shape, dtype=np.int64)
    for number in range(len(which)):
        # Without stripes later rounds only add a token a head group.
        ahead = which[number] if stripe > 0 else 0
        if stripe > 0 or number == 0:
            _attended(place, context + ahead + 1, groups, stripe, tokens, counts)
        more = which[number] - ahead
        most = -1.0
        for offset in range(len(pace)):
            for rank in range(ranks):
                here = (tokens[offset, rank] + more * counts[offset, rank]) * pace[offset, rank]
                if here > most:
                    most, load[number] = here, here
                    paced[number] = counts[offset, rank] * pace[offset, rank]
    return load, paced


def _example() -> tuple[Any, ...]:
    """One round of one rank: a request decodes in pass 0."""
    zero, one = np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=np.int64)
    kept, costs = np.zeros((1, 1 + 2 * WIDTH)), RoundCosts.nothing(1, 1)
    members = ((1, 1, zero, zero), NO_MEMBERS)
    return kept, zero, zero, 0, members, costs.rows, 1, zero, zero, one, np.ones((1, 1)), 0


@jit(cache=True, example=_example)
def note_rounds(
    kept: Floats,
    into: Int64s,
    which: Int64s,
    first_round: int,
    members: tuple[Members, Members],
    costs: Int64s,
    ranksets: int,
    offset: Int64s,
    rank: Int64s,
    groups: Int64s,
    pace: Floats,
    stripe: int,
) -> None:
    """Write some rounds of a window into a reservoir; of two in one row the later one stays.

    Args:
        kept: `Reservoir.rows`.
        into, which: as `Reservoir.offer` says, shape (m,).
        first_round: number of the window's first round.
        members: of both passes: chunk tokens, tokens finished before them, decoding requests and the
            tokens that each holds.
        costs: `RoundCosts.rows` of the window.
        offset, rank: of all requests.
        groups, pace, stripe: as for `slowest_rank`.
    """
    kept[into] = 0.0
    for number in range(len(into)):
        kept[into[number], 0] = first_round + which[number]
    square = ranksets * ranksets
    for s in range(2):
        chunks, finished, decode, context = members[s]
        place = offset[decode] * len(groups) + rank[decode]
        load, paced = slowest_rank(place, context, groups, pace, which, stripe)
        # Layers of class 0: their ranksets are the offsets.
        down = TABLES + s * square
        attend, up, moved = down + 2 * square, down + 4 * square, down + 6 * square
        for number in range(len(into)):
            row, values = costs[which[number]], kept[into[number], 1 + s * WIDTH :]
            values[_DECODING], values[_BATCH] = len(decode), row[B_MID + s]
            if chunks > 0:
                values[_CHUNKS], values[_FINISHED], values[_P] = chunks, finished, row[P_COST + s]
                values[_KV] = row[moved : moved + ranksets].sum()
            if len(decode) > 0:
                values[_RANK_TOKENS], values[_RANK_GROUPS] = load[number], paced[number]
                values[_D] = row[attend : attend + ranksets].max()
                values[_COMM] = row[down : down + ranksets].sum() + row[up : up + ranksets].sum()
