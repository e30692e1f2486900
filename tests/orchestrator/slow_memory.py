"""KV of one replica by the rules of docs/time.md, in sets of blocks that every question counts anew."""

from collections import Counter
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

    def bytes_on(self, place: Place, blocks: int) -> dict[Place, int]:
        """Bytes on each (rankset, rank) of so many blocks."""
        result: dict[Place, int] = {}
        for layer in range(self.meter.model.layers):
            for group in range(self.meter.groups):
                at = (place[0] + layer) % self.meter.ranksets, (place[1] + group) % self.meter.ranks
                result[at] = result.get(at, 0) + int(blocks * self.meter.block_bytes)
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
        blocks = min(self.rules.room_bytes // size for size in self.bytes_on(place, 1).values())
        return blocks * int(self.meter.block_tokens)

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
        for place, count in Counter(place for place, _ in blocks).items():
            for at, size in self.bytes_on(place, count).items():
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
            for group in range(meter.groups):
                at = other.at[0], (other.at[1] + group) % meter.ranks
                bins[at] = bins.get(at, 0) + self.booking(other, other.at)
        best = None
        for o in range(meter.ranksets):
            for b in range(meter.ranks):
                tokens = min(self.wanted(life), self.holds((o, b)))
                blocks = self.blocks(life, tokens)
                hits = sum(((o, b), block) in there for block in blocks)
                own = self.bytes_on((o, b), len(blocks) - hits)
                fits = all(booked.get(at, 0) + size <= limit for at, size in own.items())
                # A reservation keeps no request out.
                least = self.wanted(life) - 1 - self.rules.reserve
                if not fits or least > self.holds((o, b)):
                    continue
                after: dict[int, int] = {}
                for group in range(meter.groups):
                    r = (b + group) % meter.ranks
                    after[r] = after.get(r, bins.get((o, r), 0)) + tokens
                rank = (max(after.values()), -hits)
                rank = rank[::-1] if self.rules.sharing == "longest" else rank
                if best is None or rank < best[0]:
                    best = (rank, (o, b))
        return best[1] if best else None

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
            alone += sum(self.bytes_on(life.at, len(blocks)).values())
            for block, tokens in blocks.items():
                held[life.at, block] = max(held.get((life.at, block), 0), tokens)
        size = sum(self.total(held).values())
        counts.peak_bytes = max(counts.peak_bytes, size)
        counts.saved_bytes = max(counts.saved_bytes, alone - size)
        counts.block_time += len(held) * (lasted)
        for (place, _), tokens in held.items():
            counts.token_time[place] = counts.token_time.get(place, 0) + tokens * (lasted)
