"""Attention on the GPU by hand; decode attention is prefill attention of single tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.services.gpu.attention import Attention
from l3sim.services.gpu.kernels import widths_of
from l3sim.services.gpu.model import GroupCosts
from l3sim.specs.catalog import load_group, load_model
from l3sim.work import Chunk


def attention(model: str = "llama-2-70b", tp: int = 4, gpu: str = "a40", **settings: float) -> Attention:
    return Attention.of(load_group(gpu, tp, settings), widths_of(load_model(model), tp))


def test_decode_attention_by_hand() -> None:
    # 16 query and 2 KV heads of 128 on each of 4 GPUs; a token's K and V are 1,024 bytes.
    held = np.array([999, 1999])
    spent = attention(attention_memory_efficiency=0.5, gemm_launch_us=7.0).decode(held)
    moved = 2 * (2 * 2048 * 2 + 2 * 256 * 3000)
    assert spent.work_s == pytest.approx(moved / (696e9 * 0.5))
    assert (spent.limit, spent.overhead_s) == ("attention", 7e-6)


def test_many_queries_a_key_are_bound_by_arithmetic() -> None:
    spent = attention("llama-2-70b", 1, attention_compute_efficiency=0.01).decode(np.array([9999]))
    assert spent.work_s == pytest.approx(4 * 8192 * 10_000 / 1.497e12)


def test_each_level_has_its_own_efficiency() -> None:
    calibrated = attention(attention_memory_efficiency=0.4, memory_efficiency=0.8)
    roofline = attention("llama-2-70b", 4, "a100-40gb", memory_efficiency=0.8)
    assert calibrated.bytes_per_s == pytest.approx(0.4 * 696e9)
    assert roofline.bytes_per_s == pytest.approx(0.8 * 1.555e12)


@given(held=st.lists(st.integers(0, 100_000), min_size=1, max_size=50))
def test_a_decoding_request_is_a_chunk_of_one(held: list[int]) -> None:
    group = GroupCosts(load_group("a40", 4, {}), load_model("llama-2-70b"), 4)
    chunks = [Chunk(n, 1, context, True) for n, context in enumerate(held)]
    assert group.attend_decode_ps(np.array(held)) == group.attend_prefill_ps(chunks)
