"""Attention bank by bank against float64, within a bound from unit round-off (`builders.reference`).

This tests `execute`, `execute_rank`, `operands`, `effects`, `bank_unit`, `rank_unit` and `rank`.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from l3sim.services.dimm_pim.functional.memory import Key
from l3sim.services.dram.command.columns import COMMANDS
from l3sim.services.dram.command.result import attend
from tests.services.dimm_pim.functional.builders import Oracle, small_kernel

ONE: Key = (0, 0, 0)
#: 1, and around chunks (16 and 64 tokens), rows (32) and segments (64 or 128 below).
BORDERS = [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129, 161]


def check(oracle: Oracle, *keys: Key) -> float:
    """Attend and compare; returns the largest share of the bound that was needed."""
    needed = 0.0
    for output, expected, bound in zip(*oracle.attend(*keys), strict=True):
        error = abs(output.astype(np.float64) - expected)
        assert (error <= bound).all(), f"{error.max()} is more than {bound.min()}"
        needed = max(needed, float((error / bound).max()))
    return needed


def attends(
    tokens: int, keys: tuple[Key, ...] = (ONE,), seed: int = 0, spread: float = 2.0, **kernel: Any
) -> float:
    oracle = Oracle(small_kernel(**kernel), seed, spread)
    for number, key in enumerate(keys):
        if tokens + number > 1:
            oracle.offload(key, tokens + number - 1)
    return check(oracle, *keys)


@settings(max_examples=20, deadline=None)
@given(
    n_hc=st.sampled_from([1, 2, 4, 8]),
    queries=st.sampled_from([1, 4, 8]),
    tokens=st.sampled_from(BORDERS) | st.integers(1, 170),
    rows_slots=st.sampled_from([2, 4]),
    segment=st.sampled_from([64, 4096]),
    groups=st.integers(1, 3),
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.1, 1.0, 4.0]),
)
def test_attention_is_float64s_within_the_bound(
    n_hc: int, queries: int, tokens: int, rows_slots: int, segment: int, groups: int, seed: int, spread: float
) -> None:
    keys = tuple((number, 0, number % 2) for number in range(groups))
    buffer = 2 * segment * 8 // n_hc * queries
    attends(
        tokens, keys, seed, spread,
        n_hc=n_hc, queries=queries, rows_slots=rows_slots, score_buffer_bytes=buffer,
    )  # fmt: skip


@pytest.mark.parametrize(
    "switches",
    [
        {"pipelining": False},
        {"overlap_heads": False},
        {"refresh": False},
        {"all_bank_faw": "exempt"},
        {"relayout": "cpu"},
        {"host_transfer_bytes": 5000},
        {"n_cmr": 1},
        {"n_cmr": 3},
        {"chunk_tokens": 16},
        {"result_buffer_bytes": 32, "dims": 32},  # eight queries take turns
        {"result_buffer_bytes": 64, "result_bytes": 8, "dims": 32},
        {"result_bytes": 2},
        {"result_bytes": 8},
        {"shared_buffer_bytes": 512},
        {"pu": "rank"},
        {"pu": "rank", "n_cmr": 1},
        {"pu": "rank", "relayout": "cpu", "host_transfer_bytes": 100},
        {"dims": 32},
        {"column_bytes": 16},
    ],
    ids=str,
)
@pytest.mark.parametrize("queries", [1, 8])
def test_every_switch_computes_the_same(switches: dict[str, Any], queries: int) -> None:
    # Three segments; rows, chunks and columns that are not full.
    kernel = {"rows_slots": 2, "score_buffer_bytes": 2 * 64 * 4 * queries, **switches}
    attends(150, ((0, 0, 0), (3, 0, 0)), queries=queries, **kernel)


def test_slots_are_waited_for_in_rows_that_follow_from_others() -> None:
    """Enough row blocks that buffers are used again and again (`Rows.through`)."""
    attends(700, queries=8, n_hc=1, rows_slots=4, shared_buffer_bytes=2048, dims=32)


@example(pu="bank", n_hc=1, start=0)
@example(pu="bank", n_hc=8, start=58)
@example(pu="rank", n_hc=2, start=28)
@settings(max_examples=4, deadline=None)
@given(pu=st.sampled_from(["bank", "rank"]), n_hc=st.sampled_from([2, 4]), start=st.integers(0, 140))
def test_growth_token_by_token(pu: str, n_hc: int, start: int) -> None:
    """Each step appends by WR commands what the next one reads."""
    kernel = small_kernel(n_hc=n_hc, rows_slots=2, score_buffer_bytes=2 * 64 * 8 // n_hc, pu=pu)
    oracle = Oracle(kernel, seed=start)
    if start:
        oracle.offload(ONE, start)
    for _ in range(10):
        check(oracle, ONE)
    k, v = oracle.rank.read(ONE, 0, start + 10)
    assert np.array_equal(k, oracle.k[ONE])
    assert np.array_equal(v, oracle.v[ONE])


def test_scores_too_large_for_an_exponential_need_the_running_maximum() -> None:
    """Scores of some thousands, the largest in the last chunk; exp of one would be infinite."""
    oracle = Oracle(small_kernel(), spread=30.0)
    oracle.offload(ONE, 129)
    check(oracle, ONE)


def test_the_bound_is_not_idle() -> None:
    """The error comes within a factor of twenty of what is allowed."""
    assert attends(120, n_hc=1, spread=0.5) > 0.05


def test_a_bank_unit_of_fp16_is_worse_and_says_so() -> None:
    def largest(result_bytes: int) -> float:
        oracle = Oracle(small_kernel(result_bytes=result_bytes))
        oracle.offload(ONE, 99)
        (output,), (expected,), _ = oracle.attend(ONE)
        return float(abs(output - expected).max())

    assert largest(2) > 3 * largest(4)


def test_what_is_executed_is_what_is_timed() -> None:
    """The outcome of a functional call is that of the timing level for the same tokens."""
    oracle = Oracle(small_kernel(queries=4))
    oracle.offload((0, 0, 0), 70)
    oracle.offload((1, 0, 0), 33)
    oracle.attend((0, 0, 0), (1, 0, 0))
    timed = attend(oracle.kernel, [71, 34])
    assert np.array_equal(oracle.outcome.values, timed.values)
    assert len(oracle.outcome.trace) == timed.values[COMMANDS].sum()


def test_the_same_work_gives_the_same_bytes() -> None:
    def bytes_out() -> bytes:
        oracle = Oracle(small_kernel(n_hc=4, queries=4), seed=5)
        oracle.offload(ONE, 80)
        return oracle.attend(ONE)[0][0].tobytes()

    assert bytes_out() == bytes_out()
