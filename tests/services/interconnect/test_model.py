"""Transfers against hand calculation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.placement import layout_of
from l3sim.services.interconnect.model import TransferCosts, gpu_heads
from l3sim.specs.catalog import load_model
from tests.services.builders import machine, reshaped


def transfers(model: str = "gpt-175b", tp: int = 8) -> TransferCosts:
    on, shape = machine(), load_model(model)
    return TransferCosts(on.link, shape, layout_of(on.attention, shape, tp, 1))


def one_ps(costs: TransferCosts, tokens: int, token_bytes: tuple[int, int, int]) -> list[int]:
    """`tokens` tokens at offset 0, rank 0."""
    where = np.zeros((1, 4, len(costs.channel_heads)), dtype=np.int64)
    where[0, 0, 0] = tokens
    result: list[int] = costs.cost_ps(where, np.array([token_bytes]))[0].tolist()
    return result


def test_a_token_of_mha_by_hand() -> None:
    # 12 heads a GPU: q, k, v of 256 B each, 9216 B over 27.2 GB/s; 6 heads on each of 16 channels, 4608 B.
    costs = transfers()
    assert costs.down_bytes == (12 * 3 * 256, 12 * 3 * 256, 3 * 256)
    assert costs.up_bytes == (12 * 256, 12 * 256, 256)
    down = one_ps(costs, 1, costs.down_bytes)
    assert down == [pytest.approx(1e6 + 9216 / (32e9 * 0.85) * 1e12, abs=1), 0, 0, 0]


def test_a_chunk_of_gqa_by_hand() -> None:
    # N_hc = 1: the 8 KV heads are one group, all on one channel: 8 * 512 B a token over 25.6 GB/s.
    costs = transfers("llama-2-70b", 4)
    kv = one_ps(costs, 1000, costs.kv_bytes)
    assert kv[0] == pytest.approx(1e6 + 1000 * 8 * 512 / 25.6e9 * 1e12, abs=1)
    # One query head of each KV head's 8 beside: 8 * 8 * 256 B up.
    assert one_ps(costs, 10, costs.up_bytes)[0] == pytest.approx(1e6 + 10 * 64 * 256 / 25.6e9 * 1e12, abs=1)


def test_doubling_the_binding_endpoint_halves_the_time() -> None:
    def moved(**settings: float) -> int:
        on, shape = machine(link__setup_us=0.0, **settings), load_model("llama-2-70b")
        costs = TransferCosts(on.link, shape, layout_of(on.attention, shape, 4, 1))
        return one_ps(costs, 100_000, costs.kv_bytes)[0]

    channel, pcie = {"link__channel_bytes_per_s": 25.6e9}, {"link__pcie_bytes_per_s": 1e9}
    assert moved(**channel) == pytest.approx(2 * moved(link__channel_bytes_per_s=51.2e9), rel=1e-6)
    assert moved(**pcie) == pytest.approx(2 * moved(link__pcie_bytes_per_s=2e9), rel=1e-6)
    assert moved(**pcie) == moved(**pcie, link__channel_bytes_per_s=51.2e9)


def test_four_gpus_behind_one_uplink_send_one_after_the_other() -> None:
    on, shape = machine(link__setup_us=0.0, link__gpus_per_uplink=4), load_model("gpt-175b")
    shared = TransferCosts(on.link, shape, layout_of(on.attention, shape, 8, 1))
    assert shared.down_bytes == (9216, 4 * 9216, 768)
    (alone, *_), (together, *_) = (
        one_ps(costs, 1000, costs.down_bytes) for costs in (transfers("gpt-175b", 8), shared)
    )
    assert together == pytest.approx(4 * (alone - 1e6), rel=1e-6)  # transfers() has a set-up of 1 us


def test_the_cpu_moves_each_byte_twice_more() -> None:
    """gpt-175b: 96 heads over 16 channels, 6 on each: all channels alike, so each has 3 times its bytes."""
    on, shape = machine(link__setup_us=0.0, link__relayout="cpu"), load_model("gpt-175b")
    costs = TransferCosts(on.link, shape, layout_of(on.attention, shape, 8, 1))
    assert one_ps(costs, 1000, costs.kv_bytes)[0] == pytest.approx(3 * 1000 * 6 * 512 / 25.6e9 * 1e12, abs=1)
    # llama-2-70b: all 8 heads of a request on one of 8 channels; its bytes there, and twice all over eight.
    shape = load_model("llama-2-70b")
    costs = TransferCosts(on.link, shape, layout_of(on.attention, shape, 4, 2))
    assert one_ps(costs, 1000, costs.kv_bytes)[0] == pytest.approx(
        1000 * 8 * 512 * (1 + 2 / 8) / 25.6e9 * 1e12, abs=1
    )


@pytest.mark.parametrize(
    ("heads", "kv_heads", "tp", "expected"),
    [
        (64, 8, 4, ([16] * 4, [2] * 4)),
        (96, 96, 8, ([12] * 8, [12] * 8)),
        (64, 8, 16, ([4] * 16, [1, 0] * 8)),  # two GPUs share a KV head: the first sends it
        (6, 3, 4, ([1, 2, 1, 2], [1, 1, 0, 1])),
    ],
)
def test_heads_of_each_gpu(heads: int, kv_heads: int, tp: int, expected: tuple[list[int], list[int]]) -> None:
    queries, sent = gpu_heads(reshaped("llama-2-7b", heads=heads, kv_heads=kv_heads), tp)
    assert (queries.tolist(), sent.tolist()) == expected


@given(st.integers(1, 128), st.integers(1, 8), st.integers(1, 16))
def test_every_head_is_carried_once(kv_heads: int, queries: int, tp: int) -> None:
    shape = reshaped("llama-2-7b", heads=kv_heads * queries, kv_heads=kv_heads)
    mine, sent = gpu_heads(shape, tp)
    assert (mine.sum(), sent.sum()) == (kv_heads * queries, kv_heads)


COSTS = transfers()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=1, max_size=40))
def test_bytes_are_conserved_and_time_grows(bins: list[tuple[int, int]]) -> None:
    offset, rank = (np.array(column) for column in zip(*bins, strict=True))
    tokens = COSTS.tokens(offset, rank)
    assert (tokens @ COSTS.channel_heads).sum() == 96 * len(bins)
    less = COSTS.tokens(offset[:-1], rank[:-1])
    some, all_ = COSTS.cost_ps(np.array([less, tokens]), np.array([COSTS.down_bytes] * 2))
    assert (some <= all_).all()
    assert ((all_ == 0) == (tokens.sum(axis=1) == 0)).all()
