"""The KV ledger against a slow one: where requests go, which must leave, and how long there is room."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.placement import DecodePlacement
from l3sim.testing.builders import small_layout, small_model
from l3sim.work import Chunk, KvPlacement
from tests.orchestrator.slow_books import SlowBooks
from tests.orchestrator.small_jobs import listed, numbers


def table_of(
    prompt: list[int],
    output: list[int],
    prefixes: list[tuple[int, int]] | None = None,
    lengths_known: bool = False,
) -> RequestTable:
    requests = listed(prompt, output, prefixes=prefixes).listed
    assert requests is not None
    return RequestTable(requests, lengths_known)


class Life:
    """A replica's ledger and the slow books beside it, driven at random."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self.draw = draw
        block = (1, 3, 8)[draw(st.integers(0, 2))]
        self.layout = small_layout(
            ranksets=draw(st.integers(1, 4)),
            ranks=draw(st.integers(1, 3)),
            groups=draw(st.integers(1, 5)),
            heads_per_group=draw(st.integers(1, 2)),
            kv_block_tokens=block,
            stripe_tokens=block * (0, 0, 1, 2, 5)[draw(st.integers(0, 4))],
        )
        model = small_model(layers=draw(st.integers(1, 6)))
        places = self.layout.ranksets * self.layout.ranks
        unit = int(self.layout.pieces(model.layers).max()) * 64 * self.layout.heads_per_group
        self.room = numbers(
            [draw(st.integers(64, 90)) * unit + draw(st.integers(0, 99)) for _ in range(places)]
        )
        watermark = (0.0, 0.05, 0.3)[draw(st.integers(0, 2))]
        reserve = (0, 0, 7)[draw(st.integers(0, 2))]
        sharing = ("off", "balanced", "longest")[draw(st.integers(0, 2))]
        prompt = [draw(st.integers(10, 40)) for _ in range(8)]
        prefixes = [(draw(st.integers(0, 2)), draw(st.integers(8, most))) for most in prompt]
        named = [(one, some if one else 0) for one, some in prefixes]
        lengths_known = reserve == 0 and draw(st.integers(0, 1)) == 1
        self.table = table_of(prompt, [20] * 8, named, lengths_known)
        shape = KvShape.of(self.layout, model, self.room)
        self.ledger = KvLedger(shape, self.table, watermark, reserve, sharing)
        self.slow = SlowBooks(self.layout, model, self.room, self.table, watermark, reserve, sharing)
        self.outside = list(range(8))

    def pick(self, requests: list[int]) -> int:
        return requests[self.draw(st.integers(0, len(requests) - 1))]

    def admit(self) -> None:
        """A request enters, where both sides say."""
        request = self.pick(self.outside)
        tokens = self.table.booking(request)
        view, before = self.ledger.view(), self.slow.booked_blocks(self.ledger.residents)
        place = view.fits(tokens, request)
        assert place == self.slow.fits(self.ledger.residents, request, tokens)
        if place is not None:
            view.admit(tokens, *place, request)
            asked, hits = self.ledger.sharing.asked_blocks, self.ledger.sharing.hit_blocks
            told = self.ledger.admit(KvPlacement(request, *place))
            self.outside.remove(request)
            # Scratch books after an admission are those of the ledger after it.
            assert (view.booked == self.ledger.booked_bytes()).all()
            shared = {one for one in self.slow.blocks(request, place, tokens) if one[1] == "prefix"}
            assert (told.prefix_blocks, told.prefix > 0) == (len(shared), len(shared) > 0)
            assert self.ledger.sharing.asked_blocks == asked + len(shared)
            assert self.ledger.sharing.hit_blocks == hits + len(shared & before)
            other = self.draw(st.integers(0, 7))
            tokens = self.table.booking(other)
            if other in self.outside:
                assert view.fits(tokens, other) == self.slow.fits(self.ledger.residents, other, tokens)

    def prefill(self, request: int) -> None:
        table = self.table
        rest = int(table.target[request] - table.held[request])
        tokens, held = self.draw(st.integers(1, rest)), int(table.held[request])
        self.ledger.prefill(Chunk(request, tokens, held, last=tokens == rest))
        table.emitted[request] += tokens == rest

    def decode(self, requests: list[int]) -> None:
        """Rounds under one plan, as many as there is room for; then requests that lack room go."""
        table, rows, residents = self.table, numbers(requests), self.ledger.residents
        to_finish = int((table.output[rows] - table.emitted[rows]).min())
        rounds = self.ledger.rounds_of_room(rows, to_finish)
        assert rounds == self.slow.rounds_of_room(residents, requests, to_finish)
        self.ledger.decode(rows, rounds)
        table.emitted[rows] += rounds
        ended = [request for request in requests if table.emitted[request] == table.output[request]]
        self.ledger.finish(ended)
        self.ledger.release(ended)
        self.preempt()

    def preempt(self) -> None:
        before = self.ledger.residents
        expected = self.slow.preempt(before)
        assert self.ledger.lacks_room() == bool(expected)
        assert self.ledger.preempt() == expected
        assert not before or before[0] not in expected
        for request in expected:
            assert self.table.held[request] == 0
            self.table.target[request] = self.table.prompt[request] + self.table.emitted[request]
            self.table.phase[request] = Phase.WAITING
            self.outside.append(request)

    def check(self) -> None:
        """Both sides agree on every rank, nothing is wrong, and no rank is over its room."""
        ranks, residents = (
            [divmod(i, self.layout.ranks) for i in range(len(self.room))],
            self.ledger.residents,
        )
        booked, held = self.slow.booked(residents), self.slow.bytes(self.slow.held_blocks(residents))
        assert self.ledger.booked_bytes().tolist() == [booked[rank] for rank in ranks]
        assert self.ledger.held_bytes().tolist() == [held[rank] for rank in ranks]
        assert (self.ledger.booked_bytes() <= self.room).all()
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


def ledger(
    tokens: int, watermark: float = 0.0, block_tokens: int = 1, sharing: str = "balanced"
) -> tuple[KvLedger, RequestTable]:
    """A rank each of two ranksets, with room for so many tokens of a request; 0 and 1 share a prefix."""
    layout, model = small_layout(ranks=1, kv_block_tokens=block_tokens), small_model()
    table = table_of([10] * 3, [10] * 3, [(1, 8), (1, 8), (2, 8)])
    block = int(layout.pieces(model.layers).max()) * layout.block_bytes(model)
    room = np.full(2, tokens // block_tokens * block, dtype=np.int64)
    return KvLedger(KvShape.of(layout, model, room), table, watermark, 0, sharing), table


def test_the_watermark_is_not_asked_of_an_empty_replica() -> None:
    books, _ = ledger(11, watermark=0.5)
    assert books.view().fits(11) == (0, 0)
    assert books.view().fits(13) is None
    books, table = ledger(22, watermark=0.5)
    books.admit(KvPlacement(0, 0, 0))
    table.target[0] = 4
    books.prefill(Chunk(0, 4, 0, last=True))
    assert books.view().fits(6) is not None
    assert books.view().fits(7) is None


def test_the_largest_request_is_admitted_though_its_next_token_has_no_room() -> None:
    books, _ = ledger(10)
    view = books.view()
    assert view.fits(11) == (0, 0)
    view.admit(11, 0, 0)
    assert (view.booked == books.shape.room_bytes).all()


@pytest.mark.parametrize(("sharing", "place"), [("off", (1, 0)), ("balanced", (1, 0)), ("longest", (0, 0))])
def test_hits_come_before_balance_only_where_the_job_says_so(sharing: str, place: tuple[int, int]) -> None:
    """Request 0 makes offset 0 the fuller one; request 1 has its prefix."""
    books, _ = ledger(60, sharing=sharing)
    books.admit(KvPlacement(0, 0, 0))
    assert books.view().fits(11, 1) == place
    # Who is unknown shares nothing.
    assert books.view().fits(11) == (1, 0)


def test_among_equally_full_bins_hits_decide() -> None:
    """Request 2 is alone at offset 1, so that both are equally full; it has another prefix."""
    books, _ = ledger(60)
    books.admit(KvPlacement(2, 0, 0))
    books.admit(KvPlacement(0, 1, 0))
    assert books.view().fits(11, 1) == (1, 0)


def test_room_lasts_until_a_block_opens() -> None:
    """Blocks of 4 tokens; 10 are held and 11 booked, so that the 13th, booked after 2 rounds, opens one."""
    books, _ = ledger(12, block_tokens=4)
    books.admit(KvPlacement(0, 0, 0))
    books.prefill(Chunk(0, 10, 0, last=True))
    assert (books.booked_bytes() == books.shape.room_bytes).all()
    # Alone, its booking is bounded by the room.
    assert books.rounds_of_room(numbers([0]), 9) == 9
    books, _ = ledger(24, block_tokens=4, sharing="off")
    for request in range(2):
        books.admit(KvPlacement(request, 0, 0))
        books.prefill(Chunk(request, 10 + request, 0, last=True))
    assert books.rounds_of_room(numbers([0, 1]), 9) == 1
    assert books.rounds_of_room(numbers([0]), 9) == 2
    assert books.rounds_of_room(numbers([0]), 1) == 1


def test_the_lowest_rank_drops_first_and_its_last_admitted() -> None:
    layout, model = small_layout(ranksets=1, ranks=2, groups=1), small_model()
    room = np.full(2, 30 * int(layout.pieces(model.layers).max()) * layout.block_bytes(model), dtype=np.int64)
    table = table_of([10] * 5, [20] * 5)
    books = KvLedger(KvShape.of(layout, model, room), table, 0.0)
    for request, rank in enumerate([1, 0, 0, 1, 1]):
        books.admit(KvPlacement(request, 0, rank))
        books.prefill(Chunk(request, 16, 0, last=True))
    # 34 tokens are booked on rank 0 and 51 on rank 1.
    assert books.preempt() == [2, 4, 3]
    assert books.residents == [0, 1]


def test_only_the_ledger_writes_what_is_held() -> None:
    books, table = ledger(30)
    books.admit(KvPlacement(0, 0, 0))
    with pytest.raises(ValueError, match="read-only"):
        table.held[0] = 5
    books.prefill(Chunk(0, 5, 0, last=False))
    assert table.held[0] == 5


def beside(tokens: int) -> tuple[KvLedger, RequestTable]:
    """GPU memory for so many tokens beside ranks; three requests there that hold 10 tokens each."""
    layout, model = small_layout(decode=DecodePlacement.BOTH), small_model()
    room = np.append(np.full(4, 10**6), tokens * model.kv_bytes_per_token)
    table = table_of([10, 10, 10], [50, 50, 50])
    books = KvLedger(KvShape.of(layout, model, room), table, 0.0)
    for request in range(3):
        books.admit(KvPlacement(request, layout.ranksets, 0))
        books.prefill(Chunk(request, 10, 0, last=True))
    return books, table


def test_what_gpu_memory_lacks_room_for_are_those_admitted_last() -> None:
    assert beside(40)[0].lacks_on_gpus() == []
    assert beside(33)[0].lacks_on_gpus() == [2]  # a little stays free
    assert beside(20)[0].lacks_on_gpus() == [2, 1]
    books, _ = beside(30)
    assert books.over_on_gpus == 3 * small_model().kv_bytes_per_token
    books.leaving_bytes = 7
    assert books.over_on_gpus == 3 * small_model().kv_bytes_per_token + 7


def test_kv_that_moves_is_booked_at_once_and_held_when_it_has_arrived() -> None:
    books, table = beside(40)
    told = books.move(KvPlacement(2, 1, 0))
    assert (told.held, table.moved[2], books.on_gpus(numbers([1, 2])).tolist()) == (10, 10, [True, False])
    assert books.booked_bytes()[:4].sum() > 0
    assert books.held_bytes()[:4].sum() == 0
    assert not books.check_integrity()
    books.arrived()
    assert books.held_bytes()[:4].sum() > 0
    assert not books.check_integrity()
    # One of those left is preempted where nothing helps; the moved one is not of that memory.
    books.decode(numbers([0, 1]), 9)
    assert books.preempt() == []
    books.decode(numbers([0, 1]), 1)
    assert books.preempt() == [1]
