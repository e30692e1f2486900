"""The GPU group against closed-form limits, at level roofline, and how costs grow at each level."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.services.gpu.kernels import widths_of
from l3sim.services.gpu.model import LEVELS, GroupCosts
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.config import GpuConfig
from l3sim.work import Chunk, Op
from tests.services.builders import machine

IDEAL: dict[str, Any] = {
    "memory_efficiency": 1.0,
    "compute_efficiency": 1.0,
    "attention_compute_efficiency": 1.0,
    "kernel_overhead_us": 0.0,
    "fabric_latency_us": 0.0,
}
DENSE = [Op.EMBED, Op.BLOCK_IN, Op.BLOCK_OUT, Op.HEAD]


def config(**settings: Any) -> GpuConfig:
    settings = {"level": "roofline", **settings}
    made: GpuConfig = machine(**{f"gpu__{key}": value for key, value in settings.items()}).gpu
    return made


def group(model: str = "gpt-175b", tp: int = 8, **settings: Any) -> GroupCosts:
    return GroupCosts(config(**settings), load_model(model), tp)


MODELS = {
    (model, tp, level): group(model, tp, level=level)
    for model, tp in [("gpt-175b", 8), ("llama-2-70b", 4), ("llama-2-7b", 1)]
    for level in LEVELS
    if level != "attacc"  # of GPU files of its own: test_attacc
}


def test_a_level_that_the_configuration_cannot_have_is_refused() -> None:
    plain = load_machine("l3-mini", gpu="rtx-4090").gpu
    assert type(plain) is GpuConfig
    with pytest.raises(InvalidInput, match=r"^gpu\.level: calibrated needs sms, "):
        GroupCosts(msgspec.structs.replace(plain, level="calibrated"), load_model("llama-2-7b"), 1)


@pytest.mark.parametrize(
    ("model", "tp"), [("gpt-175b", 8), ("opt-66b", 2), ("llama-2-70b", 4), ("llama-2-7b", 1)]
)
def test_one_token_is_as_slow_as_its_weights(model: str, tp: int) -> None:
    shape = load_model(model)
    ideal = group(model, tp, **IDEAL, fabric_bytes_per_s=1e18)
    layer = ideal.dense_ps(Op.BLOCK_IN, 1, 0) + ideal.dense_ps(Op.BLOCK_OUT, 1, 0)
    weights = 2 * (shape.qkv_parameters + shape.output_parameters + shape.ffn_parameters) / tp
    floor = weights / 2.0375e12 * 1e12
    assert floor <= layer <= floor * 1.002  # activations are the rest


@pytest.mark.parametrize(("model", "tp"), [("gpt-175b", 8), ("llama-2-70b", 4)])
def test_many_tokens_are_as_slow_as_their_arithmetic(model: str, tp: int) -> None:
    shape = load_model(model)
    tokens = 65_536
    ideal = group(model, tp, **IDEAL, fabric_bytes_per_s=1e18, memory_bytes_per_s=1e18)
    layer = ideal.dense_ps(Op.BLOCK_IN, tokens, 0) + ideal.dense_ps(Op.BLOCK_OUT, tokens, 0)
    weights = (shape.qkv_parameters + shape.output_parameters + shape.ffn_parameters) / tp
    assert layer == pytest.approx(2 * tokens * weights / 312e12 * 1e12, rel=1e-6)


def test_doubling_the_binding_rate_halves_the_time() -> None:
    base = {**IDEAL, "fabric_bytes_per_s": 1e18}
    for tokens, key, rate in ((1, "memory_bytes_per_s", 2.0375e12), (100_000, "compute_flops", 312e12)):
        free: dict[str, Any] = (
            {"compute_flops": 1e24} if key == "memory_bytes_per_s" else {"memory_bytes_per_s": 1e24}
        )
        slow = group(**base, **free | {key: rate}).dense_ps(Op.BLOCK_OUT, tokens, 0)
        fast = group(**base, **free | {key: 2 * rate}).dense_ps(Op.BLOCK_OUT, tokens, 0)
        assert slow == pytest.approx(2 * fast, rel=1e-6)


def test_kernels_and_collectives_of_a_block_by_hand() -> None:
    # gpt-175b on 8 GPUs, 64 tokens: 12288 x 1536, x 6144; every GEMM reads more than it computes.
    kernels = dict(group().kernels_s(Op.BLOCK_OUT, 64, 0))
    bandwidth = 2.0375e12 * 0.85
    assert kernels["attention_output"] == pytest.approx(
        2 * (64 * 1536 + 1536 * 12288 + 64 * 12288) / bandwidth + 4e-6
    )
    assert kernels["norm"] == pytest.approx(4 * 2 * 64 * 12288 / bandwidth + 4e-6)
    assert kernels["all_reduce"] == pytest.approx(
        2 * 7 / 8 * 64 * 12288 * 2 / (300e9 * 0.8) + 14 * 1.5e-6, rel=1e-9
    )
    names = [name for name, _ in group().kernels_s(Op.BLOCK_OUT, 64, 0)]
    assert names == [
        "attention_output",
        "all_reduce",
        "norm",
        "ffn_up",
        "activation",
        "ffn_down",
        "all_reduce",
    ]


def test_one_gpu_reduces_nothing() -> None:
    assert dict(group("llama-2-7b", 1).kernels_s(Op.BLOCK_OUT, 64, 0))["all_reduce"] == 0.0


def test_fewer_kv_heads_than_gpus_leave_one_on_each() -> None:
    shape = load_model("llama-2-70b")
    assert widths_of(shape, 4)["qkv"] == (16 + 2 * 2) * 128
    assert widths_of(shape, 16)["qkv"] == (4 + 2 * 1) * 128


def test_prefill_attention_by_hand() -> None:
    # 12 heads of 128 a GPU; 512 tokens after 1024: 512 * 1024 + 512 * 513 / 2 pairs, bound by arithmetic.
    pairs = 512 * 1024 + 512 * 513 // 2
    cost = group(kernel_overhead_us=0.0).attend_prefill_ps([Chunk(0, 512, 1024, False)])
    assert cost == pytest.approx(4 * 12 * 128 * pairs / (312e12 * 0.5) * 1e12, rel=1e-6)
    # A single token after many is bound by reading them.
    cost = group(kernel_overhead_us=0.0).attend_prefill_ps([Chunk(0, 1, 99_999, False)])
    assert cost == pytest.approx((2 * 100_000 * 1536 + 2 * 1536) * 2 / (2.0375e12 * 0.85) * 1e12, rel=1e-6)


def test_chunks_of_a_prompt_do_the_work_of_the_whole() -> None:
    free = group(kernel_overhead_us=0.0, memory_bytes_per_s=1e18)
    parts = [Chunk(0, 256, done, False) for done in range(0, 2048, 256)]
    whole = free.attend_prefill_ps([Chunk(0, 2048, 0, True)])
    assert sum(free.attend_prefill_ps([part]) for part in parts) == pytest.approx(whole, rel=1e-6)


def test_a_pass_that_samples_nothing_pays_the_norm_only() -> None:
    costs = group()
    names = [name for name, _ in costs.kernels_s(Op.HEAD, 512, 0)]
    assert names == ["norm"]
    assert costs.dense_ps(Op.HEAD, 512, 0) < costs.dense_ps(Op.HEAD, 512, 1)
    assert costs.dense_ps(Op.BLOCK_IN, 512, 0) == costs.dense_ps(Op.BLOCK_IN, 512, 512)


@given(
    which=st.sampled_from(sorted(MODELS)),
    op=st.sampled_from(DENSE),
    tokens=st.integers(1, 100_000),
    sampled=st.integers(0, 1000),
)
def test_dense_costs_are_positive_and_grow(
    which: tuple[str, int, str], op: Op, tokens: int, sampled: int
) -> None:
    costs = MODELS[which]
    here = costs.dense_ps(op, tokens, sampled)
    assert 1 <= here <= costs.dense_ps(op, tokens + 1, sampled)
    assert here <= costs.dense_ps(op, tokens, sampled + 1)


@given(which=st.sampled_from(sorted(MODELS)), tokens=st.integers(1, 4096), done=st.integers(0, 100_000))
def test_prefill_attention_grows(which: tuple[str, int, str], tokens: int, done: int) -> None:
    costs = MODELS[which]
    here = costs.attend_prefill_ps([Chunk(0, tokens, done, False)])
    assert 1 <= here <= costs.attend_prefill_ps([Chunk(0, tokens + 1, done, False)])
    assert here <= costs.attend_prefill_ps([Chunk(0, tokens, done + 1, False)])
