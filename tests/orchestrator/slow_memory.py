"""KV of one replica by the rules of docs/time.md, in sets of blocks that every question counts anew."""

from collections.abc import Iterable
from fractions import Fraction

from tests.orchestrator.meter import Meter
from tests.orchestrator.slow_state import Counts, Life, SlowRules

Place = tuple[int, int]
#: A block of KV: of a prefix or of a request, and its number there.
Block = tuple[str, int, int]


class SlowMemory:
    """Who lies where, by layer, group and block."""

    def __init__(self, rules: SlowRules, meter: Meter) -> None:
        self.rules, self.meter = rules, meter
        self.residents: list[Life] = []
        self._holds: dict[Place, int] = {}

    def bytes_on(self, place: Place, numbers: Iterable[int]) -> dict[Place, int]:
        """Bytes on each (rankset, rank) of blocks of these numbers."""
        result: dict[Place, int] = {}
        meter = self.meter
        for k in numbers:
            for layer in range(meter.model.layers):
                for group in range(meter.groups):
                    rank = (place[1] + group + self.stripe_of(k)) % meter.ranks
                    at = (place[0] + layer) % meter.ranksets, rank
                    result[at] = result.get(at, 0) + int(meter.block_bytes)
        return result

    def stripe_of(self, block: int) -> int:
        """Which stripe a block is of."""
        return block * self.meter.block_tokens // self.meter.stripe_tokens if self.meter.stripe_tokens else 0

    def fullest_with(self, others: Iterable[Life], life: Life) -> int:
        """Tokens of the fullest of a request's own ranks if it came to these others."""
        own = self.rank_tokens(life)
        return max(sum(self.rank_tokens(other).get(at, 0) for other in others) + own[at] for at in own)

    def rank_tokens(self, life: Life) -> dict[Place, int]:
        """Tokens by (offset, rank), over its head groups."""
        result: dict[Place, int] = {}
        size = self.meter.stripe_tokens or life.held
        for k in range(-(-life.held // size)):
            for group in range(self.meter.groups):
                at = life.at[0], (life.at[1] + group + k) % self.meter.ranks
                result[at] = result.get(at, 0) + min(size, life.held - k * size)
        return result

    def blocks(self, life: Life, tokens: int) -> dict[Block, int]:
        """Blocks that so many tokens of a request lie in, and the tokens in each."""
        size = self.meter.block_tokens
        shared = 0 if self.rules.sharing == "off" else life.prefix_tokens // size
        return {
            ("prefix", life.prefix, k) if k < shared else ("own", life.number, k): min(
                size, tokens - k * size
            )
            for k in range(-(-tokens // size))
        }

    def holds(self, place: Place) -> int:
        """The longest request that an empty replica holds at a place."""
        if place not in self._holds:
            # As often round the ranks as there is room for, then block by block.
            stripes = self.meter.ranks if self.meter.stripe_tokens else 1
            cycle = stripes * max(self.meter.stripe_tokens // self.meter.block_tokens, 1)
            around = self.bytes_on(place, range(cycle))
            times = min(self.rules.room_bytes // size for size in around.values())
            blocks, taken = times * cycle, {at: times * size for at, size in around.items()}
            while True:
                for at, size in self.bytes_on(place, [blocks]).items():
                    taken[at] = taken.get(at, 0) + size
                if max(taken.values()) > self.rules.room_bytes:
                    break
                blocks += 1
            self._holds[place] = blocks * int(self.meter.block_tokens)
        return self._holds[place]

    def booking(self, life: Life, place: Place) -> int:
        """Tokens that a resident books; never more than an empty replica holds."""
        return min(self.wanted(life), self.holds(place))

    def wanted(self, life: Life) -> int:
        """Tokens that a request would book where there is room for any number."""
        if self.rules.lengths_known:
            return life.prompt + life.output - 1
        return max(life.held if life.decoding else life.target, life.target + self.rules.reserve) + 1

    def booked_blocks(self) -> set[tuple[Place, Block]]:
        """Every block that a request books, with its place."""
        return {
            (life.at, block)
            for life in self.residents
            for block in self.blocks(life, self.booking(life, life.at))
        }

    def total(self, blocks: Iterable[tuple[Place, Block]]) -> dict[Place, int]:
        """Bytes of blocks on each (rankset, rank)."""
        total: dict[Place, int] = {}
        for place, (_, _, number) in blocks:
            for at, size in self.bytes_on(place, [number]).items():
                total[at] = total.get(at, 0) + size
        return total

    def booked(self) -> dict[Place, int]:
        return self.total(self.booked_blocks())

    def where_fits(self, life: Life) -> Place | None:
        """Of the pairs where it fits, the one that makes the fullest of its bins least full.

        Ties: most blocks that are there already; or that first, where the rules say so.
        """
        there, meter = self.booked_blocks(), self.meter
        booked = self.total(there)
        room = Fraction(self.rules.room_bytes)
        limit = room * (1 - self.rules.watermark) if self.residents else room
        bins: dict[tuple[int, int], int] = {}
        for other in self.residents:
            for r, there_now in self.tokens_at(other, self.booking(other, other.at), other.at[1]).items():
                bins[other.at[0], r] = bins.get((other.at[0], r), 0) + there_now
        best = None
        for o in range(meter.ranksets):
            for b in range(meter.ranks):
                tokens = min(self.wanted(life), self.holds((o, b)))
                blocks = self.blocks(life, tokens)
                new = [block[2] for block in blocks if ((o, b), block) not in there]
                hits = len(blocks) - len(new)
                own = self.bytes_on((o, b), new)
                fits = all(booked.get(at, 0) + size <= limit for at, size in own.items())
                # A reservation keeps no request out.
                least = self.wanted(life) - 1 - self.rules.reserve
                if not fits or least > self.holds((o, b)):
                    continue
                after = {r: bins.get((o, r), 0) + more for r, more in self.tokens_at(life, tokens, b).items()}
                rank = (max(after.values()), -hits)
                rank = rank[::-1] if self.rules.sharing == "longest" else rank
                if best is None or rank < best[0]:
                    best = (rank, (o, b))
        return best[1] if best else None

    def tokens_at(self, life: Life, tokens: int, first: int) -> dict[int, int]:
        """Tokens x head groups of one layer on each rank, of a request whose first rank that is."""
        result: dict[int, int] = {}
        for (_, _, number), inside in self.blocks(life, tokens).items():
            for group in range(self.meter.groups):
                r = (first + group + self.stripe_of(number)) % self.meter.ranks
                result[r] = result.get(r, 0) + inside
        return result

    def count_hits(self, counts: Counts, life: Life, place: Place) -> int:
        """Prefix blocks of a request about to enter, and those of them that are booked there; the latter."""
        shared = [one for one in self.blocks(life, life.target) if one[0] == "prefix"]
        hits = len({(place, one) for one in shared} & self.booked_blocks())
        counts.asked_blocks += len(shared)
        counts.hit_blocks += hits
        return hits

    def count_memory(self, counts: Counts, lasted: int) -> None:
        """What is held at a join that ends an iteration of some time."""
        held: dict[tuple[Place, Block], int] = {}
        alone = 0
        for life in self.residents:
            blocks = self.blocks(life, life.held)
            alone += sum(self.bytes_on(life.at, [block[2] for block in blocks]).values())
            for block, tokens in blocks.items():
                held[life.at, block] = max(held.get((life.at, block), 0), tokens)
        size = sum(self.total(held).values())
        counts.peak_bytes = max(counts.peak_bytes, size)
        counts.saved_bytes = max(counts.saved_bytes, alone - size)
        counts.block_time += len(held) * (lasted)
        for ((o, b), (_, _, number)), tokens in held.items():
            place = o, (b + self.stripe_of(number)) % self.meter.ranks
            counts.token_time[place] = counts.token_time.get(place, 0) + tokens * (lasted)
