"""Attention as it was measured: formulas by hand, floors, and how it grows."""

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.services.gpu.attention import Attention
from l3sim.services.gpu.fused import Fused, Heads, attention_of, decode_s, lanes_of, prefill_s
from l3sim.services.gpu.kernels import widths_of
from l3sim.specs.catalog import load_group, load_model
from l3sim.specs.config import MeasuredGpuConfig
from l3sim.units import Floats
from l3sim.work import Chunk

MEASURED = ("a100-80gb", "h100-80gb", "h200", "b200", "l40s")

#: 10 SMs, microseconds that are told apart, a memory that never binds.
PLAIN: dict[str, Any] = {
    "sms": 10,
    "memory_bytes_per_s": 1e30,
    "compute_flops": 1e30,
    "decode_launch_us": 1000.0,
    "decode_cta_us": 5.0,
    "decode_block_us": 1.0,
    "decode_memory_efficiency": 0.5,
    "decode_interference": 0.0,
    "decode_tail_share": 0.0,
    "decode_combine_us": 100.0,
    "decode_split_us": 0.5,
    "decode_regroup_us": 7000.0,
    "decode_most_splits": None,
    "prefill_launch_us": 1000.0,
    "prefill_cta_us": 5.0,
    "prefill_block_us": 1.0,
    "prefill_compute_efficiency": 0.5,
    "prefill_memory_efficiency": 0.5,
    "prefill_interference": 0.0,
    "prefill_chain_share": 0.0,
}


@cache
def shipped(name: str) -> MeasuredGpuConfig:
    loaded = load_group(name, 8, {})
    assert isinstance(loaded, MeasuredGpuConfig)
    return loaded


def gpu(name: str = "a100-80gb", **settings: Any) -> MeasuredGpuConfig:
    return msgspec.structs.replace(shipped(name), **settings)


def decode_us(requests: int, heads: Heads, tokens: int, kernel: str = "flash3", **settings: Any) -> float:
    config = gpu(**PLAIN | {"attention_kernel": kernel} | settings)
    return _decode_us(config, heads, requests, tokens)


def _decode_us(config: MeasuredGpuConfig, heads: Heads, requests: int, tokens: int, **how: float) -> float:
    lanes, one = lanes_of(config, heads, requests), np.array(float(tokens))
    return float(decode_s(config, heads, lanes, one, one, requests * one, **how)) * 1e6


def prefill_us(heads: Heads, tokens: list[float], kernel: str = "flash3", **settings: Any) -> float:
    config = gpu(**PLAIN | {"attention_kernel": kernel} | settings)
    return float(prefill_s(config, heads, np.array(tokens), np.zeros(len(tokens)))) * 1e6


def test_keys_are_split_until_the_sms_are_busy() -> None:
    one = Heads(4, 1, 128)
    # 2 requests: 5 CTAs each, of 20 / 5 tiles of keys; 10: one CTA each, and nothing to combine.
    assert decode_us(2, one, 2560) == pytest.approx(1000 + 5 + 4 + 100 + 5 * 0.5)
    assert decode_us(10, one, 2560) == pytest.approx(1000 + 5 + 20)
    assert decode_us(11, one, 2560) == pytest.approx(1000 + 2 * (5 + 20))
    assert decode_us(11, one, 2560, decode_tail_share=1.0) == pytest.approx(1000 + 1.1 * (5 + 20))
    # One tile of keys is not split, and costs no less.
    assert decode_us(1, one, 128) == decode_us(1, one, 1) == pytest.approx(1000 + 5 + 1)
    assert decode_us(2, one, 2560, decode_most_splits=4) == pytest.approx(1000 + 5 + 10 + 100 + 2 * 0.5)
    assert decode_us(2, Heads(4, 1, 64), 2560) == pytest.approx(1000 + 5 + 4 / 2 + 100 + 5 * 0.5)


def test_what_libraries_do_differently() -> None:
    single, grouped = Heads(2, 2, 128), Heads(4, 2, 128)
    assert decode_us(1, single, 2560, "flash2") == pytest.approx(1000 + 5 + 20)
    assert decode_us(1, single, 2560) == pytest.approx(1000 + 5 + 4 + 100 + 5 * 0.5)
    # FlashAttention 2: twice as many CTAs as SMs, and copies around several KV heads of several requests.
    assert decode_us(1, grouped, 2560, "flash2") == pytest.approx(1000 + 2 * (5 + 2) + 100 + 10 * 0.5)
    assert decode_us(20, grouped, 2560, "flash2") == pytest.approx(1000 + 4 * (5 + 20) + 7000)
    # 4 query heads of 16 tokens fit into a tile of 64 rows of one KV head.
    assert prefill_us(Heads(40, 10, 128), [16.0], prefill_cta_us=50.0) == pytest.approx(1000 + 50 + 1)
    assert prefill_us(Heads(40, 10, 128), [16.0], "flash2", prefill_cta_us=50.0) == pytest.approx(
        1000 + 4 * 50
    )


def test_memory_binds_what_is_wide() -> None:
    heads = Heads(8, 2, 128)
    moved = 2 * 128 * (2 * 2 * 50 * 4096 + 2 * 8 * 50)
    slow = decode_us(50, heads, 4096, memory_bytes_per_s=1e9)
    assert slow == pytest.approx(1000 + moved / 0.5e9 * 1e6)
    cached = gpu(**PLAIN | {"attention_kernel": "flash3", "memory_bytes_per_s": 1e9})
    assert _decode_us(cached, heads, 50, 4096, from_memory=0.0) == pytest.approx(decode_us(50, heads, 4096))
    prompt = 2 * 128 * (2 * 8 * 300 + 2 * 2 * 300)
    assert prefill_us(heads, [100.0, 200.0], memory_bytes_per_s=1e6) == pytest.approx(1000 + prompt / 0.5)


def test_a_prefill_is_its_multiplications_or_its_longest_tile() -> None:
    heads = Heads(1, 1, 128)
    assert prefill_us(heads, [1280.0]) == pytest.approx(1000 + max(20 / 10 * 5, 5 + 10))
    # 20 tiles of 64 rows pass (1280 / 128 + 1) / 2 tiles of keys each, half of 1e9 FLOP a second.
    flops = 20 * 5.5 * 4 * 128 * 64 * 128
    assert prefill_us(heads, [1280.0], compute_flops=1e9) == pytest.approx(1000 + flops / 500 + 10)
    assert prefill_us(heads, [1280.0, 128.0]) == pytest.approx(prefill_us(heads, [1280.0]))


@cache
def fused(name: str) -> Fused:
    """An eighth of 70B."""
    shape = load_model("llama-2-70b")
    made = attention_of(gpu(name), widths_of(shape, 8), shape.head_size)
    assert isinstance(made, Fused)
    return made


@pytest.mark.parametrize(
    ("requests", "tokens", "measured_us"),
    [(8, 4096, 29.9), (1, 8192, 30.3), (1, 4096, 24.1), (64, 1024, 41.0), (128, 8192, 364.6)],
)
def test_decode_of_an_eighth_of_70b_on_an_a100(requests: int, tokens: int, measured_us: float) -> None:
    spent = fused("a100-80gb").decode(np.full(requests, tokens - 1))
    assert spent.seconds * 1e6 == pytest.approx(measured_us, rel=0.2)


@pytest.mark.parametrize(("tokens", "measured_us"), [(16, 11.3), (512, 21.7), (2048, 97.1), (8192, 906.5)])
def test_prefill_of_an_eighth_of_70b_on_an_a100(tokens: int, measured_us: float) -> None:
    spent = fused("a100-80gb").prefill([Chunk(0, tokens, 0, True)])
    assert spent.seconds * 1e6 == pytest.approx(measured_us, rel=0.2)
    assert (spent.limit, spent.overhead_s) == ("attention", gpu().prefill_launch_us / 1e6)


@pytest.mark.parametrize("name", MEASURED)
@given(held=st.lists(st.integers(0, 50_000), min_size=1, max_size=40), rounds=st.integers(1, 300))
def test_rounds_grow_and_are_single_decodes(name: str, held: list[int], rounds: int) -> None:
    attention, context = fused(name), np.array(held)
    times: Floats = attention.decode_s(context, rounds)
    assert times.shape == (rounds,)
    assert (np.diff(times) >= 0).all()
    assert times[-1] == pytest.approx(attention.decode(context + rounds - 1).seconds, rel=1e-12)
    assert times[0] > attention.overhead_s


def test_one_long_request_holds_up_the_others() -> None:
    equal, unequal = np.full(8, 4095), np.array([511] * 7 + [8 * 4096 - 7 * 512 - 1])
    for name in MEASURED:
        assert fused(name).decode(equal).seconds < fused(name).decode(unequal).seconds


@pytest.mark.parametrize("name", MEASURED)
def test_chunks_of_one_token_are_decoded_where_that_is_faster(name: str) -> None:
    attention = fused(name)
    ones = [Chunk(n, 1, held, True) for n, held in enumerate((5, 40_000))]
    assert attention.prefill(ones) == attention.decode(np.array([5, 40_000]))
    short = [Chunk(0, 1, 0, True)]
    assert attention.prefill(short).seconds <= attention.decode(np.array([0])).seconds
    two = [Chunk(0, 2, 4000, True)]
    assert attention.prefill(two).seconds > attention.prefill([Chunk(0, 2, 0, True)]).seconds


def test_levels_without_measurements_keep_their_efficiencies() -> None:
    shape = load_model("llama-2-70b")
    for group in (load_group("a40", 8, {}), load_group("a100-80gb", 8, {"level": "roofline"})):
        assert isinstance(attention_of(group, widths_of(shape, 8), 128), Attention)
