"""The loops of the KV books against the same in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.kv.kernels import (
    NOWHERE,
    Bookings,
    best_place,
    booked_tokens,
    bytes_of,
    rounds_of_room,
)
from l3sim.orchestrator.engine.requests import Phase
from tests.orchestrator.small_jobs import numbers

LEDGER = settings(max_examples=60, derandomize=True, deadline=None)


@LEDGER
@given(st.lists(st.integers(0, 5), min_size=3, max_size=3), st.integers(0, 2**32))
def test_bytes_are_a_product_of_blocks_and_their_bytes(blocks: list[int], seed: int) -> None:
    block_bytes = np.random.default_rng(seed).integers(0, 100, (3, 3))
    assert bytes_of(numbers(blocks), block_bytes).tolist() == (numbers(blocks) @ block_bytes).tolist()


def test_bookings_by_phase() -> None:
    """The target in prefill, what is held when decoding, and one more; bounded by an empty rank."""
    phase = np.array([Phase.PREFILL, Phase.DECODE, Phase.DECODE], dtype=np.int8)
    held, target, fit = numbers([3, 12, 12]), numbers([10, 10, 10]), numbers([100, 15])
    rows, places = numbers([0, 1, 2]), numbers([0, 0, 1])

    def booked(ahead: int, reserve: int) -> list[int]:
        bookings = Bookings(reserve, phase, held, target, fit)
        tokens: list[int] = booked_tokens(rows, places, ahead, bookings).tolist()
        return tokens

    assert booked(0, 0) == [11, 13, 13]
    assert booked(5, 0) == [11, 18, 15]
    assert booked(0, 4) == [15, 15, 15]


@LEDGER
@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 20))
def test_rounds_of_room_is_the_first_that_lacks_room(free: int, block: int, most: int) -> None:
    """One rank; two requests that hold 7 and 9 tokens and book one more each."""
    phase = np.full(2, Phase.DECODE, dtype=np.int8)
    held, rows, fit = numbers([7, 9]), numbers([0, 1]), numbers([10**6])

    def blocks(ahead: int) -> int:
        return sum(-(-(tokens + 1 + ahead) // block) for tokens in (7, 9))

    room = blocks(0) + free
    expected = next((rounds for rounds in range(1, most) if blocks(rounds) > room), most)
    one = np.ones((1, 1), dtype=np.int64)
    found = rounds_of_room(
        most,
        rows,
        rows * 0,
        Bookings(0, phase, held, held, fit),
        block,
        -1,
        numbers([blocks(0)]),
        numbers([room]),
        one,
        1,
        0,
    )
    assert found == expected


def place_of(tokens: int, hits: list[int], longest: bool, booked: list[int], bins: list[int]) -> int:
    """Two ranksets of one rank; a request lies on the rank of its offset, a byte a token, room for 20."""
    own = np.eye(2, dtype=np.int64)
    limit = numbers([20, 20])
    return best_place(
        tokens,
        0,
        numbers(hits),
        longest,
        numbers(booked),
        limit,
        numbers(bins).reshape(2, 1),
        limit,
        own,
        np.ones((1, 1), dtype=np.int64),
        1,
        0,
    )


def test_the_best_placement() -> None:
    assert place_of(10, [0, 0], False, [5, 0], [5, 0]) == 1
    assert place_of(10, [0, 0], False, [0, 0], [0, 0]) == 0
    # It does not fit at the emptier one, or at none.
    assert place_of(10, [0, 0], False, [0, 15], [9, 0]) == 0
    assert place_of(10, [0, 0], False, [15, 15], [9, 0]) == NOWHERE
    assert place_of(22, [0, 0], False, [0, 0], [0, 0]) == NOWHERE
    # Blocks that are there need no room; they decide where bins are even, or always with `longest`.
    assert place_of(10, [6, 0], False, [15, 15], [9, 0]) == 0
    assert place_of(10, [0, 3], False, [0, 0], [4, 4]) == 1
    assert place_of(10, [3, 0], False, [0, 0], [5, 0]) == 1
    assert place_of(10, [3, 0], True, [0, 0], [5, 0]) == 0
