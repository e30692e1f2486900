"""A device's books of blocks against a recount, request by request and block by block, at every window."""

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.placement import Layout
from l3sim.work import Commit, KvPlacement, Window
from tests.l3sim.device.test_session import LAYOUT, SHAPE, batch, prefill, session, window


def layout_with(block_tokens: int, stripe: int = 0) -> Layout:
    """With stripes of so many blocks; 0: none."""
    return replace(LAYOUT, kv_block_tokens=block_tokens, stripe_tokens=stripe * block_tokens)


@dataclass
class Resident:
    """Where a request lies, what it holds, and how many first blocks of prefix 7 are its own."""

    replica: int
    offset: int
    rank: int
    shared: int
    held: int = 0


@dataclass
class Recount:
    """What each assignment of LAYOUT's four modules must hold."""

    block_tokens: int
    stripe: int = 0
    residents: dict[int, Resident] = field(default_factory=dict)

    def held_bytes(self) -> list[int]:
        blocks = {
            (one.replica, one.offset, one.rank, ("prefix", k) if k < one.shared else (request, k))
            for request, one in self.residents.items()
            for k in range(-(-one.held // self.block_tokens))
        }
        held: Counter[tuple[int, int, int]] = Counter()
        for replica, offset, rank, (_, number) in blocks:
            step = number // self.stripe if self.stripe else 0
            for layer in range(SHAPE.layers):
                for group in range(LAYOUT.groups):
                    at = (offset + layer) % LAYOUT.ranksets, (rank + group + step) % LAYOUT.ranks
                    held[replica, *at] += self.block_tokens * 2 * SHAPE.head_size * 2
        # Module m is channel m: replica m // 2, rank m % 2; its two ranks are of ranksets 0 and 1.
        used = [(m // 2, j, m % 2) for m in range(4) for j in range(2)]
        return [0 if assignment == (1, 1, 1) else held[assignment] for assignment in used]


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 1), st.integers(1, 9), st.booleans()),
    max_size=40,
)


@settings(max_examples=100, derandomize=True)
@given(st.sampled_from([1, 3, 8]), st.sampled_from([0, 1, 2]), STEPS)
def test_held_bytes_are_those_of_a_recount(
    block_tokens: int, stripe: int, steps: list[tuple[int, int, int, int, bool]]
) -> None:
    books, recount = session(layout=layout_with(block_tokens, stripe)), Recount(block_tokens, stripe)
    commits: dict[int, tuple[Commit, ...]] = {0: (), 1: ()}
    taken: dict[int, dict[int, int]] = {0: {}, 1: {}}
    for number, (request, offset, rank, tokens, leaves) in enumerate(steps):
        replica = request % 2
        # The rounds of this replica's window before are committed with this one.
        for one, growth in taken[replica].items():
            recount.residents[one].held += growth
        releases: tuple[int, ...] = ()
        places: tuple[KvPlacement, ...] = ()
        if request in recount.residents and leaves:
            releases = (request,)
            del recount.residents[request]
        if request not in recount.residents:
            shared = tokens if request > 1 else 0
            recount.residents[request] = Resident(replica, offset, rank, shared)
            places = (KvPlacement(request, offset, rank, 7 if shared else 0, shared),)
        life = recount.residents[request]
        work = prefill(request, tokens, life.held) if number % 2 else batch([request], [life.held])
        rounds = 1 if number % 2 else tokens
        asked = window(number, work, replica=replica, rounds=rounds, commits=commits[replica])
        asked = replace(asked, releases=releases, places=places)
        assert list(books.window(asked).held_bytes) == recount.held_bytes()
        commits[replica], taken[replica] = (Commit(number, rounds),), {request: tokens}
    for replica in range(2):
        for one, growth in taken[replica].items():
            recount.residents[one].held += growth
    accounts = books.close([*commits[0], *commits[1]])
    assert [held for account in accounts for held in account.held_bytes] == recount.held_bytes()


def place(request: int, blocks: int) -> Window:
    """A window that lets a sharer of prefix 7 in and prefills 12 tokens of it."""
    placed = (KvPlacement(request, 0, 0, 7, blocks),)
    return replace(window(request, prefill(request, 12)), places=placed)


def test_a_shared_block_is_held_once_and_until_the_last_leaves() -> None:
    books = session(layout=layout_with(4))
    unit = SHAPE.layers * LAYOUT.groups * 4 * 512
    told = [sum(books.window(place(0, 2)).held_bytes)]
    after = [Commit(0, 1)]
    for step, request in enumerate((1, 2), start=1):
        asked = place(request, step)
        told.append(sum(books.window(replace(asked, commits=tuple(after))).held_bytes))
        after = [Commit(request, 1)]
    for step, releases in enumerate([(), (0,), (2,), (1,)], start=3):
        asked = replace(window(step), releases=releases, commits=tuple(after))
        told.append(sum(books.window(asked).held_bytes))
        after = [Commit(step, 1)]
    # Three blocks each, of which 0 shares two, 1 one and 2 two. When 0 goes, 2 keeps what they share.
    assert [size / unit for size in told] == [0, 3, 5, 6, 5, 3, 0]


@pytest.mark.parametrize(("prefix", "blocks"), [(7, 0), (0, 3)])
def test_a_prefix_without_blocks_is_refused(prefix: int, blocks: int) -> None:
    with pytest.raises(Exception, match="give both, or neither"):
        session().window(replace(window(1), places=(KvPlacement(0, 0, 0, prefix, blocks),)))
