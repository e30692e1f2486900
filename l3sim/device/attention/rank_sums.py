"""From head groups to ranks: which request decodes where, and what adds up on each rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l3sim.device.ledger import Ledger
from l3sim.placement import Layout
from l3sim.units import MAX_COST_PS, Int64s
from l3sim.work import SubBatch


@dataclass(frozen=True)
class Decoding:
    """Decoding requests of one sub-batch or two, sorted by bin: (sub-batch, rankset offset, first rank).

    Where KV is striped (`l3sim.placement`), what a request has q ranks from its first one counts as a request
    of its own, of the rank q further on: its head groups lie where those of the whole request would. It may
    have nothing yet, where a stripe begins within the window.

    Attributes:
        tokens: attended in each round, shape (requests, rounds).
        most: the largest of them.
        bounds: requests of bin k stand at bounds[k] to bounds[k + 1], shape (bins + 1,).
        starts: whether one of them attends nothing in some round.
        appends: whether the new token lies there, shape (requests, rounds); None: everywhere.
    """

    tokens: Int64s
    most: int
    bounds: Int64s
    starts: bool = False
    appends: NDArray[np.bool_] | None = None

    def where_any(self, costs: Int64s) -> Int64s:
        """Costs of the head groups that attend something; of all others 0."""
        return np.where(self.tokens > 0, costs, 0) if self.starts else costs

    def appended(self, which: Int64s | slice, round_: int) -> list[bool] | None:
        """Whether the new token lies with some requests in a round; None: with all of any."""
        return None if self.appends is None else self.appends[which, round_].tolist()

    def attending(self) -> Int64s:
        """1 where a head group attends something, else 0: shape (requests, rounds), or (requests, 1)."""
        return (self.tokens > 0).astype(np.int64) if self.starts else np.ones((len(self.tokens), 1), np.int64)


def decoding(keys: Int64s, bins: int, context: Int64s, rounds: int) -> Decoding:
    """Sort at least one request by bin and count what they attend: round i attends context + i + 1 tokens.

    Args:
        keys: bin of each request, in 0..bins-1, shape (requests,).
        context: KV tokens of each before the first round, shape (requests,).
    """
    order, bounds = _sorted(keys, bins)
    tokens = context[order][:, None] + np.arange(1, rounds + 1)
    return Decoding(tokens, int(context.max()) + rounds, bounds)


def _sorted(keys: Int64s, bins: int) -> tuple[Int64s, Int64s]:
    """(order of requests by bin, bounds of the bins as in Decoding)."""
    small = keys.astype(np.int16) if bins < 2**15 else keys  # 16 bits: a radix sort
    bounds = np.zeros(bins + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=bins), out=bounds[1:])
    return np.argsort(small, kind="stable"), bounds


def striped(keys: Int64s, bins: int, context: Int64s, rounds: int, layout: Layout) -> Decoding:
    """The same where KV is striped: a row for each rank that comes to hold some of a request.

    Args:
        keys: bin of each request's own placement.
    """
    steps = np.arange(layout.steps)
    request, step = np.nonzero(steps < layout.ranks_held(context + rounds)[:, None])
    base, first = np.divmod(keys[request], layout.ranks)
    order, bounds = _sorted(base * layout.ranks + (first + step) % layout.ranks, bins)
    request, step = request[order], step[order]
    whole = context[request][:, None] + np.arange(1, rounds + 1)
    full, rest = np.divmod(whole, layout.stripe_tokens * layout.ranks)
    own = np.clip(rest - layout.stripe_tokens * step[:, None], 0, layout.stripe_tokens)
    tokens = full * layout.stripe_tokens + own
    appends = (whole - 1) // layout.stripe_tokens % layout.ranks == step[:, None]
    return Decoding(tokens, int(tokens.max()), bounds, bool((tokens[:, 0] == 0).any()), appends)


def gathered(batches: Sequence[SubBatch], ledger: Ledger, layout: Layout, rounds: int) -> Decoding:
    """The requests that decode in one sub-batch or two of a window, none of them empty."""
    bins = layout.ranksets * layout.ranks
    requests, context = batches[0].decode, batches[0].context
    if len(batches) == 2:
        requests = np.concatenate([requests, batches[1].decode])
        context = np.concatenate([context, batches[1].context])
    keys = ledger.offset[requests] * layout.ranks + ledger.rank[requests]
    keys[len(batches[0].decode) :] += bins
    if layout.striped:
        return striped(keys, bins * len(batches), context, rounds, layout)
    return decoding(keys, bins * len(batches), context, rounds)


class RankSums:
    """Adds up head groups over the requests of a rank, for some ranks of a replica.

    The requests whose KV of a layer lies on a rankset are those of one offset; rank r carries
    layout.group_counts[b, r] groups of one whose first rank is b: groups // ranks of each, and one more of
    those with b in the circular range of groups % ranks bins that ends at r. Sorted by bin, each such
    range is a difference of prefix sums: integers, so exact in any order.

    Args:
        ranks: which ranks, shape (m,).
    """

    def __init__(self, layout: Layout, ranks: Sequence[int]) -> None:
        count = layout.ranks
        self._counts = layout.group_counts[:, list(ranks)]
        self._whole, rest = divmod(layout.groups, count)
        last = np.array(ranks, dtype=np.int64)
        first = last - rest + 1
        # The first bin of each (sub-batch, offset), shape (2, ranksets, 1).
        base = (np.arange(2 * layout.ranksets) * count).reshape(2, layout.ranksets, 1)
        # Bins [start, stop) and, where the range wraps around, [wrap, end), of each rank as well.
        self._stop = base + last + 1
        self._start = base + np.maximum(first, 0)
        self._wrap = base + np.where(first < 0, first + count, count)
        self._first, self._end = base, base + count
        self._bins = layout.ranksets * count
        self._ranges = rest > 0
        self._wraps = bool((first < 0).any())

    def shape(self, bounds: Int64s) -> tuple[int, int, int]:
        """(sub-batches, ranksets, ranks) of what `add` returns."""
        ranksets = self._bins // len(self._counts)
        return (len(bounds) - 1) // self._bins, ranksets, self._counts.shape[1]

    def groups(self, bounds: Int64s, batch: int, offset: int, rank: int) -> Int64s:
        """Requests (sorted by bin) of the head groups that one rank runs in one layer, in order.

        Those that attend nothing yet in a round (see Decoding) are among them.
        """
        first = batch * self._bins + offset * len(self._counts)
        parts = [
            np.repeat(np.arange(bounds[first + b], bounds[first + b + 1]), self._counts[b, rank])
            for b in range(len(self._counts))
        ]
        return np.concatenate(parts)

    def add(self, costs: Int64s, bounds: Int64s) -> Int64s:
        """Time of one layer of the requests with offset o of sub-batch s, on rank i of `ranks`.

        Args:
            costs: of one head group, shape (requests, rounds), requests sorted by bin.
            bounds: see Decoding.

        Returns: shape (sub-batches, ranksets, m, rounds).
        """
        prefix = np.zeros((costs.shape[0] + 1, costs.shape[1]), dtype=np.int64)
        np.cumsum(costs, axis=0, out=prefix[1:])

        batches = (len(bounds) - 1) // self._bins

        def between(start: Int64s, stop: Int64s) -> Int64s:
            parts: Int64s = prefix[bounds[stop[:batches]]] - prefix[bounds[start[:batches]]]
            return parts

        if not self._ranges:
            every = between(self._first, self._end) * self._whole
            return np.broadcast_to(every, (batches, *self._stop.shape[1:], costs.shape[1]))
        sums = between(self._start, self._stop)
        if self._wraps:
            sums += between(self._wrap, self._end)
        if self._whole:
            sums += between(self._first, self._end) * self._whole
        return sums


def check_sum(most_ps: int, requests: int, layout: Layout) -> None:
    """Refuse costs so large that the sum over a rank's groups could overflow.

    Raises:
        ValueError: the sum could exceed `units.MAX_COST_PS`.
    """
    if most_ps * requests * layout.groups > MAX_COST_PS:
        raise ValueError(
            f"{requests} requests of up to {most_ps} ps a head group may exceed {MAX_COST_PS} ps in a rank"
        )
