"""A head on the host by hand, and the published rates."""

from typing import Any

import numpy as np
import pytest

from l3sim.errors import InvalidInput
from l3sim.placement import kv_room_bytes, layout_of
from l3sim.services.cpu_attention.model import Head
from l3sim.specs.catalog import load_model
from l3sim.specs.config import CpuAttentionConfig
from tests.services.builders import machine


def head_of(model: str, tp: int, **settings: Any) -> Head:
    on = machine("cpu-dgx-a100", **{f"attention__{key}": value for key, value in settings.items()}).attention
    assert isinstance(on, CpuAttentionConfig)
    shape = load_model(model)
    return Head.of(on, shape, layout_of(on, shape, tp, 1))


def at(head: Head, tokens: int) -> float:
    return float(head.cost_s(np.array([tokens]))[0])


def test_memory_binds_mha_by_hand() -> None:
    # 1000 tokens * 512 B / (25.6e9 * 0.8) = 25 us; 4 * 128 * 1000 FLOPs / (8 * 72e9 * 0.5) = 1.8 us.
    assert at(head_of("gpt-175b", 8), 1000) == pytest.approx(25e-6 + 100e-9)


def test_slow_cores_bind_instead() -> None:
    # 4 * 128 * 8 * 1000 FLOPs / (8 * 1e9 * 0.5).
    assert at(head_of("llama-2-70b", 4, core_flops=1e9), 1000) == pytest.approx(1024e-6 + 100e-9)


def test_queries_that_do_not_fit_the_cache_read_kv_again() -> None:
    # A query head and its output are 128 * 6 B: two of them need four passes for eight.
    assert head_of("llama-2-70b", 4, cache_bytes=2 * 768).token_bytes == 4 * 512
    assert head_of("llama-2-70b", 4).token_bytes == 512
    with pytest.raises(InvalidInput, match="cache_bytes: 767 hold no query head of 128"):
        head_of("llama-2-70b", 4, cache_bytes=767)


def test_bandwidth_and_capacity_are_the_published_ones() -> None:
    on, model = machine("cpu-dgx-a100").attention, load_model("gpt-175b")
    assert on.kv_bytes_per_s == pytest.approx(406e9, rel=0.01)
    assert 16 * kv_room_bytes(on, layout_of(on, model, 8, 1), model) == 2 * 2**40
