"""A KV ledger told in sets of blocks: what lies where, walked layer by layer and group by group."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.placement import Layout
from l3sim.specs.model import ModelShape

Place = tuple[int, int]
#: A block of KV: where its request begins, of which prefix or request it is, its number there.
Block = tuple[Place, str, int, int]


@dataclass
class SlowBooks:
    """The books of residents, counted anew at every question."""

    layout: Layout
    model: ModelShape
    room: np.ndarray
    table: RequestTable
    watermark: float
    reserve: int
    sharing: str

    def __post_init__(self) -> None:
        self._most: dict[Place, int] = {}

    def bytes_of(self, place: Place, numbers: Iterable[int]) -> Counter[Place]:
        """Bytes on each (rankset, rank) of blocks of these numbers."""
        result: Counter[Place] = Counter()
        layout = self.layout
        token = layout.heads_per_group * 2 * self.model.head_size * 2
        for k in numbers:
            for layer in range(self.model.layers):
                for group in range(layout.groups):
                    rank = (place[1] + group + self.stripe_of(k)) % layout.ranks
                    result[(place[0] + layer) % layout.ranksets, rank] += layout.kv_block_tokens * token
        return result

    def stripe_of(self, block: int) -> int:
        """Which stripe a block is of."""
        layout = self.layout
        return block * layout.kv_block_tokens // layout.stripe_tokens if layout.stripe_tokens else 0

    def room_at(self, at: Place) -> int:
        return int(self.room[at[0] * self.layout.ranks + at[1]])

    def most(self, place: Place) -> int:
        """The longest request that an empty replica holds there."""
        if place not in self._most:
            blocks, taken = 0, self.bytes_of(place, [0])
            while all(size <= self.room_at(at) for at, size in taken.items()):
                blocks += 1
                taken += self.bytes_of(place, [blocks])
            self._most[place] = blocks * self.layout.kv_block_tokens
        return self._most[place]

    def place_of(self, request: int) -> Place:
        return int(self.table.offset[request]), int(self.table.rank[request])

    def blocks(self, request: int, place: Place, tokens: int) -> set[Block]:
        """Blocks that so many tokens of a request take at a place."""
        size, table = self.layout.kv_block_tokens, self.table
        shared = 0 if self.sharing == "off" else int(table.prefix_tokens[request]) // size
        prefix = int(table.prefix[request])
        return {
            (place, "prefix", prefix, k) if k < shared else (place, "own", request, k)
            for k in range(-(-tokens // size))
        }

    def tokens_of(self, request: int, ahead: int = 0) -> int:
        """What a resident has booked, or will have after some rounds."""
        table = self.table
        target = int(table.target[request])
        decoding = table.phase[request] == Phase.DECODE
        tokens = max(int(table.held[request]) + ahead if decoding else target, target + self.reserve) + 1
        if table.lengths_known:
            tokens = int(table.prompt[request] + table.output[request]) - 1
        return min(tokens, self.most(self.place_of(request)))

    def booked_blocks(
        self, residents: Iterable[int], ahead: Sequence[int] = (), rounds: int = 0
    ) -> set[Block]:
        """All that is booked; when those `ahead` have decoded some rounds more."""
        found: set[Block] = set()
        for request in residents:
            tokens = self.tokens_of(request, rounds if request in ahead else 0)
            found |= self.blocks(request, self.place_of(request), tokens)
        return found

    def held_blocks(self, residents: Iterable[int]) -> set[Block]:
        """All in which KV lies."""
        found: set[Block] = set()
        for request in residents:
            found |= self.blocks(request, self.place_of(request), int(self.table.held[request]))
        return found

    def bytes(self, blocks: Iterable[Block]) -> Counter[Place]:
        """Bytes of blocks on each (rankset, rank)."""
        total: Counter[Place] = Counter()
        for place, _, _, number in blocks:
            total += self.bytes_of(place, [number])
        return total

    def booked(self, residents: Iterable[int]) -> Counter[Place]:
        return self.bytes(self.booked_blocks(residents))

    def fits(self, residents: list[int], request: int, tokens: int) -> Place | None:
        """The pair where the fullest (offset, rank) bin stays least full; ties: most blocks that are there,
        lowest o, then b. With `longest` blocks come before bins."""
        layout, there = self.layout, self.booked_blocks(residents)
        booked = self.bytes(there)
        bins: Counter[Place] = Counter()
        for resident in residents:
            o, b = self.place_of(resident)
            for rank, tokens_there in self.tokens_at(b, self.tokens_of(resident)).items():
                bins[o, rank] += tokens_there
        choices = []
        for o in range(layout.ranksets):
            for b in range(layout.ranks):
                booking = min(tokens + self.reserve, self.most((o, b)))
                own = self.blocks(request, (o, b), booking)
                more = self.bytes_of((o, b), [block[3] for block in own - there])
                kept = {at: self.watermark * self.room_at(at) if residents else 0 for at in more}
                if tokens - 1 > self.most((o, b)) or any(
                    booked[at] + size > self.room_at(at) - kept[at] for at, size in more.items()
                ):
                    continue
                after: Counter[int] = Counter()
                for r, tokens_there in self.tokens_at(b, booking).items():
                    after[r] = bins[o, r] + tokens_there
                keys = (max(after.values()), -len(own & there))
                choices.append((*(keys[::-1] if self.sharing == "longest" else keys), o, b))
        return min(choices)[2:] if choices else None

    def tokens_at(self, first: int, tokens: int) -> Counter[int]:
        """Tokens x head groups of one layer on each rank, of a request whose first rank that is."""
        result: Counter[int] = Counter()
        for token in range(tokens):
            for group in range(self.layout.groups):
                step = group + self.stripe_of(token // self.layout.kv_block_tokens)
                result[(first + step) % self.layout.ranks] += 1
        return result

    def preempt(self, residents: list[int]) -> list[int]:
        """Who must go, in order."""
        left = list(residents)
        dropped: list[int] = []
        while True:
            booked = self.booked(left)
            over = sorted(at for at, size in booked.items() if size > self.room_at(at))
            if not over:
                return dropped
            users = [one for one in left if self.bytes(self.booked_blocks([one]))[over[0]]]
            left.remove(users[-1])
            dropped.append(users[-1])

    def rounds_of_room(self, residents: list[int], growing: Sequence[int], most: int) -> int:
        """Step by step: the first round after which one more does not fit."""
        for rounds in range(1, most):
            booked = self.bytes(self.booked_blocks(residents, growing, rounds))
            if any(size > self.room_at(at) for at, size in booked.items()):
                return rounds
        return most
