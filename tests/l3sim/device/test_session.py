"""The order of a session and its books, with devices that cost nothing."""

from collections.abc import Sequence

import numpy as np
import pytest

from l3sim.device import BookkeepingSession, Ledger
from l3sim.errors import OutOfRoom, OutOfStep
from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.work import (
    NO_REQUESTS,
    Chunk,
    Commit,
    DeviceReady,
    Hello,
    KvPlacement,
    OpCost,
    RankAssignment,
    SlotAssignment,
    SubBatch,
    Window,
)

SHAPE = ModelShape("tiny", 5, 3, 3, 128, 8, 8, False, 8, True, 0, False, 1, "made up")
#: 2 replicas, 2 ranksets of 2 ranks, 3 groups of 1 head.
LAYOUT = Layout(1, 2, 2, 2, 1, 3, 8, 1)


class Free(BookkeepingSession):
    """Costs nothing and remembers where it was told that KV lies."""

    def ready(self) -> Sequence[DeviceReady]:
        return []

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        self.seen = [int(ledger.offset[batch.decode].sum()) for batch in window.sub_batches]
        return ()


def session(room: int | None = None, layout: Layout = LAYOUT) -> Free:
    """One module a channel; the second rank of module 3 is unused."""
    slots = [
        SlotAssignment(
            f"d{m}",
            f"dimm-{m:02d}",
            {},
            tuple(RankAssignment(m // 2, j, m % 2, m == 3 and j == 1) for j in range(2)),
        )
        for m in range(4)
    ]
    hello = Hello(1, "job", 0, SHAPE, layout, tuple(slots))
    return Free(hello, None if room is None else np.full(8, room))


def batch(
    requests: list[int], context: list[int], chunks: tuple[Chunk, ...] = (), index: int = 0
) -> SubBatch:
    return SubBatch(index, np.array(requests, dtype=np.int64), np.array(context, dtype=np.int64), chunks)


def window(window_id: int, *batches: SubBatch, rounds: int = 1, replica: int = 0, **more: object) -> Window:
    return Window(window_id, replica, rounds, batches, **more)  # type: ignore[arg-type]


def prefill(request: int, tokens: int, done: int = 0) -> SubBatch:
    return SubBatch(0, NO_REQUESTS, NO_REQUESTS, (Chunk(request, tokens, done, True),))


def test_kv_grows_by_commits_only() -> None:
    books = session()
    books.window(window(1, prefill(0, 100), places=(KvPlacement(0, 1, 1),)))
    assert [sum(account.held_bytes) for account in books.audit()] == [0, 0, 0, 0]
    books.window(window(2, batch([0], [100]), rounds=9, commits=(Commit(1, 1),)))
    books.window(window(3, batch([0], [104]), rounds=9, commits=(Commit(2, 4),)))
    accounts = books.close([Commit(3, 1)])
    assert [(account.windows, account.rounds, account.requests) for account in accounts] == [
        (3, 6, 1)
    ] * 2 + [(0, 0, 0)] * 2
    # 105 tokens at (1, 1): layers 1 and 3 lie on rankset 0, 0, 2 and 4 on rankset 1; groups 0 and 2 on
    # rank 1, group 1 on rank 0.
    assert [account.held_bytes for account in accounts[:2]] == [
        (2 * 1 * 512 * 105, 3 * 1 * 512 * 105),
        (2 * 2 * 512 * 105, 3 * 2 * 512 * 105),
    ]


def test_order_is_commits_releases_places_rounds() -> None:
    books = session()
    books.window(window(1, prefill(0, 10), places=(KvPlacement(0, 0, 0),)))
    # One window ends request 0's first life, drops it, places it anew elsewhere and prefills it again.
    books.window(
        window(2, prefill(0, 4), commits=(Commit(1, 1),), releases=(0,), places=(KvPlacement(0, 1, 1),))
    )
    books.window(window(3, batch([0], [4]), commits=(Commit(2, 1),)))
    assert books.seen == [1]
    assert sum(sum(account.held_bytes) for account in books.audit()) == 4 * 5 * 3 * 512


def test_a_window_that_is_never_committed_leaves_no_trace() -> None:
    books = session()
    books.window(window(1, prefill(0, 10), places=(KvPlacement(0, 0, 0),)))
    books.window(window(2, prefill(0, 20)))
    accounts = books.close([Commit(2, 1)])
    assert (accounts[0].windows, sum(sum(account.held_bytes) for account in accounts)) == (
        1,
        20 * 5 * 3 * 512,
    )


def test_unused_ranks_hold_nothing_and_room_is_kept_by_rank() -> None:
    books = session(room=10 * 512 * 6)
    books.window(window(1, prefill(0, 12), replica=1, places=(KvPlacement(0, 1, 1),)))
    # Rank 1 of rankset 1 would hold 12 * 6 * 512 bytes, but is unused.
    assert books.close([Commit(1, 1)])[3].held_bytes == (12 * 4 * 512, 0)
    books = session(room=10 * 512 * 6)
    books.window(window(1, prefill(0, 12), places=(KvPlacement(0, 1, 1),)))
    with pytest.raises(OutOfRoom, match="rank-1 of dimm-01 holds 36864 bytes of KV, more than its 30720"):
        books.close([Commit(1, 1)])


def test_an_estimate_stands_alone() -> None:
    books = session()
    (answer,) = books.estimate([window(1, batch([7], [5000]), rounds=8, places=(KvPlacement(7, 1, 0),))])
    assert (answer.window_id, answer.valid_rounds, books.seen) == (1, 8, [1])
    assert [account.requests for account in books.audit()] == [0] * 4
    with pytest.raises(OutOfStep, match="request 7 has no KV here"):
        books.estimate([window(1, batch([7], [5000]))])
    with pytest.raises(OutOfRoom, match="contexts must be 0 to"):
        books.estimate([window(1, batch([7], [2**60]), places=(KvPlacement(7, 1, 0),))])


PLACED = (KvPlacement(0, 0, 0),)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            window(2, places=(KvPlacement(1, 2, 0),)),
            "request 1 is placed at (2, 0), outside 2 ranksets of 2 ranks",
        ),
        (window(2, places=(KvPlacement(0, 0, 0),)), "request 0 is placed twice"),
        (window(2, releases=(5,)), "request 5 has no KV here"),
        (window(1), "window 1 is already open"),
        (window(2, commits=(Commit(9, 1),)), "cannot commit 1 rounds of window 9; it is not open"),
        (window(2, commits=(Commit(1, 2),)), "cannot commit 2 rounds of window 1; it has 1"),
        (window(2, commits=(Commit(1, 0),)), "cannot commit 0 rounds of window 1; it has 1"),
        (
            window(2, commits=(Commit(1, 1), Commit(1, 1))),
            "cannot commit 1 rounds of window 1; it is not open",
        ),
        (
            window(2, replica=1, commits=(Commit(1, 1),)),
            "a window of replica 1 cannot commit window 1 of replica 0",
        ),
        (window(2, batch([0], [4])), "request 0 holds 0 tokens here, not 4"),
    ],
)
def test_what_is_out_of_step(asked: Window, message: str) -> None:
    books = session()
    books.window(window(1, prefill(0, 4), places=PLACED))
    with pytest.raises(OutOfStep) as caught:
        books.window(asked)
    assert message in str(caught.value)


def test_two_windows_cannot_both_grow_the_same_kv() -> None:
    books = session()
    books.window(window(1, prefill(0, 4), places=PLACED))
    books.window(window(2, prefill(0, 4)))
    with pytest.raises(OutOfStep, match="cannot commit window 2; its KV has changed since"):
        books.close([Commit(1, 1), Commit(2, 1)])
