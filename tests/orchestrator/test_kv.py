"""The KV ledger against a slow one: where requests go, who must go, and how long there is room."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.specs.workload import Requests
from l3sim.testing.builders import small_layout, small_model
from l3sim.work import Placed
from orchestrator.kv import KvLedger, KvShape
from orchestrator.state import Phase, RequestTable
from tests.orchestrator.small_jobs import numbers

Place = tuple[int, int]


def table_of(prompt: list[int], output: list[int]) -> RequestTable:
    count = len(prompt)
    return RequestTable(
        Requests(numbers(prompt), numbers(output), numbers([0] * count), numbers(range(1, count + 1)))
    )


class SlowBooks:
    """Who lies where, walked layer by layer and group by group."""

    def __init__(self, layout: Layout, model: ModelShape, room: np.ndarray, table: RequestTable) -> None:
        self.layout, self.model, self.room, self.table = layout, model, room, table

    def bytes_of(self, place: Place, tokens: int) -> Counter[Place]:
        """Bytes on each (rankset, rank)."""
        result: Counter[Place] = Counter()
        layout = self.layout
        for layer in range(self.model.layers):
            for group in range(layout.groups):
                at = (place[0] + layer) % layout.ranksets, (place[1] + group) % layout.ranks
                result[at] += tokens * layout.heads_per_group * 2 * self.model.head_size * 2
        return result

    def room_at(self, at: Place) -> int:
        return int(self.room[at[0] * self.layout.ranks + at[1]])

    def most(self, place: Place) -> int:
        """The longest request that an empty replica holds there."""
        return min(self.room_at(at) // size for at, size in self.bytes_of(place, 1).items())

    def place_of(self, request: int) -> Place:
        return int(self.table.offset[request]), int(self.table.rank[request])

    def tokens_of(self, request: int) -> int:
        table = self.table
        decoding = table.phase[request] == Phase.DECODE
        tokens = int(table.held[request] if decoding else table.target[request]) + 1
        return min(tokens, self.most(self.place_of(request)))

    def booked(self, residents: list[int]) -> Counter[Place]:
        total: Counter[Place] = Counter()
        for request in residents:
            total += self.bytes_of(self.place_of(request), self.tokens_of(request))
        return total

    def fits(self, residents: list[int], tokens: int, watermark: float) -> Place | None:
        """The pair where the fullest (offset, rank) bin stays least full; ties: lowest o, then b."""
        layout, booked = self.layout, self.booked(residents)
        bins: Counter[Place] = Counter()
        for request in residents:
            for group in range(layout.groups):
                o, b = self.place_of(request)
                bins[o, (b + group) % layout.ranks] += self.tokens_of(request)
        choices = []
        for o in range(layout.ranksets):
            for b in range(layout.ranks):
                booking = min(tokens, self.most((o, b)))
                own = self.bytes_of((o, b), booking)
                kept = {at: watermark * self.room_at(at) if residents else 0 for at in own}
                if tokens - 1 > self.most((o, b)) or any(
                    booked[at] + size > self.room_at(at) - kept[at] for at, size in own.items()
                ):
                    continue
                after: Counter[int] = Counter()
                for group in range(layout.groups):
                    r = (b + group) % layout.ranks
                    after[r] = (after[r] or bins[o, r]) + booking
                choices.append((max(after.values()), o, b))
        return min(choices)[1:] if choices else None

    def preempt(self, residents: list[int]) -> list[int]:
        """Who must go, in order."""
        left = list(residents)
        dropped: list[int] = []
        while True:
            booked = self.booked(left)
            over = sorted(at for at, size in booked.items() if size > self.room_at(at))
            if not over:
                return dropped
            users = [one for one in left if self.bytes_of(self.place_of(one), 1)[over[0]]]
            left.remove(users[-1])
            dropped.append(users[-1])


class Life:
    """A replica's ledger and the slow books beside it, driven at random."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self.draw = draw
        self.layout = small_layout(
            ranksets=draw(st.integers(1, 4)),
            ranks=draw(st.integers(1, 3)),
            groups=draw(st.integers(1, 5)),
            heads_per_group=draw(st.integers(1, 2)),
        )
        self.model = small_model(layers=draw(st.integers(1, 6)))
        places = self.layout.ranksets * self.layout.ranks
        unit = int(self.layout.token_bytes(self.model).max())
        self.room = numbers(
            [draw(st.integers(60, 200)) * unit + draw(st.integers(0, 99)) for _ in range(places)]
        )
        self.watermark = (0.0, 0.05, 0.3)[draw(st.integers(0, 2))]
        self.table = table_of([draw(st.integers(1, 40)) for _ in range(8)], [20] * 8)
        self.ledger = KvLedger(KvShape.of(self.layout, self.model, self.room), self.table, self.watermark)
        self.slow = SlowBooks(self.layout, self.model, self.room, self.table)
        self.outside = list(range(8))

    def pick(self, requests: list[int]) -> int:
        return requests[self.draw(st.integers(0, len(requests) - 1))]

    def admit(self) -> None:
        """The next one who waits enters, where both say."""
        request = self.pick(self.outside)
        tokens = int(self.table.target[request]) + 1
        view = self.ledger.view()
        place = view.fits(tokens)
        assert place == self.slow.fits(self.ledger.residents, tokens, self.watermark)
        if place is not None:
            view.admit(tokens, *place)
            self.ledger.admit(Placed(request, *place))
            self.outside.remove(request)
            # Scratch books after an admission are those of the ledger after it.
            assert (view.booked == self.ledger.booked_bytes()).all()
            other = self.draw(st.integers(1, 60))
            assert view.fits(other) == self.slow.fits(self.ledger.residents, other, self.watermark)

    def prefill(self, request: int) -> None:
        table = self.table
        rest = int(table.target[request] - table.held[request])
        table.held[request] += self.draw(st.integers(1, rest))
        if table.held[request] == table.target[request]:
            table.phase[request] = Phase.DECODE
            table.emitted[request] += 1
        self.ledger.changed()

    def decode(self, who: list[int]) -> None:
        """Rounds under one plan, as many as there is room for and some; then who has no room goes."""
        table, rows = self.table, numbers(who)
        growth = self.ledger.growth_bytes(rows)
        assert self.ledger.rounds_of_room(growth) == self.rounds_of_room(who)
        rounds = min(
            int((table.output[rows] - table.emitted[rows]).min()), self.ledger.rounds_of_room(growth)
        )
        table.held[rows] += rounds
        table.emitted[rows] += rounds
        self.ledger.grown(growth, rounds)
        ended = [request for request in who if table.emitted[request] == table.output[request]]
        table.phase[ended] = Phase.DONE
        self.ledger.release(ended)
        self.preempt()

    def rounds_of_room(self, who: list[int]) -> int:
        """Step by step: the first round after which one more does not fit."""
        booked, growth = self.slow.booked(self.ledger.residents), self.slow_growth(who)
        rounds = 0
        while all(booked[at] <= self.slow.room_at(at) for at in growth):
            booked += growth
            rounds += 1
        return max(rounds, 1)

    def slow_growth(self, who: list[int]) -> Counter[Place]:
        total: Counter[Place] = Counter()
        for request in who:
            total += self.slow.bytes_of(self.slow.place_of(request), 1)
        return total

    def preempt(self) -> None:
        before = list(self.ledger.residents)
        expected = self.slow.preempt(before)
        assert self.ledger.lacks_room() == bool(expected)
        assert self.ledger.preempt() == expected
        assert not before or before[0] not in expected
        for request in expected:
            self.table.held[request] = 0
            self.table.target[request] = self.table.prompt[request] + self.table.emitted[request]
            self.table.phase[request] = Phase.WAITING
            self.outside.append(request)

    def check(self) -> None:
        """Both sides agree on every rank, and nothing is wrong."""
        booked = self.slow.booked(self.ledger.residents)
        ranks = self.layout.ranks
        assert self.ledger.booked_bytes().tolist() == [
            booked[divmod(i, ranks)] for i in range(len(self.room))
        ]
        assert self.ledger.check_integrity() == []
        self.ledger.note_peak()
        assert self.ledger.peak_bytes >= self.ledger.held_bytes().sum()


@settings(max_examples=60, derandomize=True)
@given(st.data())
def test_a_random_life(data: st.DataObject) -> None:
    life = Life(data.draw)
    for _ in range(25):
        table, residents = life.table, life.ledger.residents
        prefilling = [request for request in residents if table.phase[request] == Phase.PREFILL]
        decoding = [request for request in residents if table.phase[request] == Phase.DECODE]
        step = data.draw(st.integers(0, 3))
        if step == 0 and life.outside:
            life.admit()
        elif step == 1 and prefilling:
            life.prefill(life.pick(prefilling))
        elif decoding:
            life.decode([one for one in decoding if data.draw(st.booleans())] or decoding)
        life.check()


def ledger(tokens: int, watermark: float = 0.0, count: int = 3) -> tuple[KvLedger, RequestTable]:
    """A rank each of two ranksets, with room for so many tokens of a request."""
    layout, model = small_layout(ranks=1), small_model()
    table = table_of([10] * count, [10] * count)
    room = np.full(2, tokens * int(layout.token_bytes(model).max()), dtype=np.int64)
    return KvLedger(KvShape.of(layout, model, room), table, watermark), table


def test_the_watermark_is_not_asked_of_an_empty_replica() -> None:
    books, _ = ledger(11, watermark=0.5)
    assert books.view().fits(11) == (0, 0)
    assert books.view().fits(13) is None
    books, table = ledger(22, watermark=0.5)
    books.admit(Placed(0, 0, 0))
    table.phase[0], table.held[0] = Phase.DECODE, 4
    books.changed()
    assert books.view().fits(6) is not None
    assert books.view().fits(7) is None


def test_the_largest_request_is_admitted_though_its_next_token_has_no_room() -> None:
    books, _ = ledger(10)
    view = books.view()
    assert view.fits(11) == (0, 0)
    view.admit(11, 0, 0)
    assert (view.booked == books.shape.room_bytes).all()


def test_the_lowest_rank_drops_first_and_its_last_admitted() -> None:
    layout, model = small_layout(ranksets=1, ranks=2, groups=1), small_model()
    room = np.full(2, 30 * int(layout.token_bytes(model).max()), dtype=np.int64)
    table = table_of([10] * 5, [20] * 5)
    books = KvLedger(KvShape.of(layout, model, room), table, 0.0)
    for request, rank in enumerate([1, 0, 0, 1, 1]):
        books.admit(Placed(request, 0, rank))
        table.phase[request], table.held[request] = Phase.DECODE, 16
    books.changed()
    # 34 tokens are booked on rank 0 and 51 on rank 1.
    assert books.preempt() == [2, 4, 3]
    assert books.residents == [0, 1]


@pytest.mark.parametrize(
    ("breakage", "text"),
    [
        (lambda books, _: books.residents.append(0), "a request is resident twice"),
        (lambda _, table: table.phase.__setitem__(0, Phase.WAITING), "neither in prefill nor decoding"),
        (lambda books, _: books.residents.reverse(), "out of the order of their admission"),
        (lambda _, table: table.held.__setitem__(0, 31), "holds more KV than it has room for"),
        (lambda _, table: table.held.__setitem__(0, 20), "holds more tokens than it can ever need"),
    ],
)
def test_integrity_names_what_is_wrong(breakage: Callable[[KvLedger, RequestTable], None], text: str) -> None:
    books, table = ledger(30)
    for request in range(2):
        books.admit(Placed(request, 0, 0))
    assert books.check_integrity() == []
    breakage(books, table)
    books.changed()
    assert text in "; ".join(books.check_integrity())


def test_integrity_notices_sums_that_were_not_kept() -> None:
    books, table = ledger(30)
    books.admit(Placed(0, 0, 0))
    assert (books.held_bytes().sum(), books.booked_bytes().sum() > 0) == (0, True)
    table.held[0] = 5
    assert books.check_integrity() == ["the KV bytes kept differ from those counted anew"]
    table.target[0] = 12
    assert "the booked bytes kept differ from those counted anew" in books.check_integrity()
