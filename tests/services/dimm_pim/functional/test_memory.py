"""Which head group owns which row, and what rows hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvariantBroken, OutOfRoom, OutOfStep
from l3sim.services.dimm_pim.functional.memory import Chips, RowBlocks
from tests.services.dimm_pim.functional.builders import Oracle, small_kernel

K, V = ((1, 0, 0), "K"), ((1, 0, 0), "V")


def test_rows_are_handed_out_lowest_first_and_again_after_a_release() -> None:
    blocks = RowBlocks(4)
    blocks.grow({K: 1, V: 1})
    blocks.grow({((2, 0, 0), "K"): 1})
    assert [blocks.row(*K, 0), blocks.row(*V, 0), blocks.row((2, 0, 0), "K", 0)] == [0, 1, 2]
    assert blocks.release(1) == [0, 1]
    blocks.grow({((3, 0, 0), "K"): 3})
    assert [blocks.row((3, 0, 0), "K", i) for i in range(3)] == [0, 1, 3]
    assert blocks.free == 0


def test_what_does_not_fit_takes_nothing() -> None:
    blocks = RowBlocks(3)
    blocks.grow({K: 1})
    with pytest.raises(
        OutOfRoom, match="3 more row blocks are needed and 2 of 3 are free; release a request"
    ):
        blocks.grow({K: 3, V: 1})
    assert blocks.free == 2
    with pytest.raises(InvariantBroken, match=r"row block 1 of K of \(1, 0, 0\) was never handed out"):
        blocks.row(*K, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.booleans()), max_size=30))
def test_no_row_ever_has_two_owners(steps: list[tuple[int, int, bool]]) -> None:
    blocks = RowBlocks(10)
    owned: dict[tuple[int, int, int], list[int]] = {}
    for request, more, release in steps:
        key = (request, 0, 0)
        if release:
            assert sorted(blocks.release(request)) == sorted(owned.pop(key, []))
            continue
        count = len(owned.get(key, [])) + more
        try:
            blocks.grow({(key, "K"): count})
        except OutOfRoom:
            assert more > blocks.free
            continue
        owned[key] = [blocks.row(key, "K", i) for i in range(count)]
        rows = [row for of in owned.values() for row in of]
        assert len(rows) == len(set(rows)) == 10 - blocks.free
        assert set(rows) <= set(range(10))


def test_unwritten_bytes_are_no_numbers() -> None:
    chips = Chips(small_kernel().geometry)
    assert np.isnan(chips.row(5).view("<f2").astype(np.float32)).all()
    assert len(chips) == 1
    chips.forget(5)
    assert len(chips) == 0


def test_a_full_rank_refuses_and_keeps_what_it_has() -> None:
    kernel = small_kernel(n_hc=4, rows_slots=2)
    at = kernel.geometry
    block = at.chips * at.banks * kernel.pim.row_bytes
    oracle = Oracle(kernel, room=4 * block)  # two row blocks of 32 tokens, K and V
    oracle.offload((0, 0, 0), 64)
    with pytest.raises(OutOfRoom):
        oracle.attend((0, 0, 0))
    with pytest.raises(OutOfRoom):
        oracle.offload((1, 0, 0), 1)
    k, v = oracle.rank.read((0, 0, 0), 0, 64)
    assert np.array_equal(k, oracle.k[0, 0, 0])
    assert np.array_equal(v, oracle.v[0, 0, 0])
    assert oracle.rank.tokens((1, 0, 0)) == 0
    oracle.rank.release(0)
    assert len(oracle.rank.chips) == 0
    oracle.offload((1, 0, 0), 63)
    (output,), (expected,), (bound,) = oracle.attend((1, 0, 0))
    assert (abs(output - expected) <= bound).all()


def test_tokens_follow_each_other() -> None:
    oracle = Oracle(small_kernel())
    at = oracle.kernel.geometry
    token = oracle.draw(1, at.heads, at.head_size)
    with pytest.raises(OutOfStep, match="request 0 has 0 tokens of layer 0 here; the next is token 0, not 3"):
        oracle.rank.write((0, 0, 0), 3, token, token)
    oracle.offload((0, 0, 0), 2)
    with pytest.raises(OutOfStep, match="has 2 tokens of layer 0 here; it cannot give 2 from token 1 on"):
        oracle.rank.read((0, 0, 0), 1, 2)
