"""Mixture of experts and other layers: work by hand, and limits that hold for any router."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.services.gpu.experts import power, touched
from l3sim.services.gpu.model import GroupCosts
from l3sim.specs.catalog import MODELS, load_group, load_model
from l3sim.specs.model import ModelShape
from l3sim.work import Op
from tests.services.builders import reshaped
from tests.services.gpu.test_model import IDEAL, config

MIXTRAL = load_model(str(MODELS / "samples" / "mixtral-8x7b.json"))


def group(model: ModelShape, tp: int = 1) -> GroupCosts:
    return GroupCosts(config(**IDEAL, fabric_bytes_per_s=1e18), model, tp)


def names(model: ModelShape, tp: int = 2) -> list[str]:
    return [name for name, _ in group(model, tp).kernels_s(Op.BLOCK_OUT, 8, 0)]


@pytest.mark.parametrize(
    ("tokens", "expected"), [(1, 2.0), (2, 8 * (1 - 0.75**2)), (4, 8 * (1 - 0.75**4)), (10_000, 8.0)]
)
def test_distinct_experts_by_hand(tokens: int, expected: float) -> None:
    assert touched(tokens, 8, 2) == pytest.approx(expected, rel=1e-12)


@given(st.integers(1, 256), st.data())
def test_touched_experts_lie_between_one_token_s_and_all(experts: int, data: st.DataObject) -> None:
    per_token = data.draw(st.integers(1, experts))
    tokens = data.draw(st.integers(1, 4096))
    here = touched(tokens, experts, per_token)
    assert per_token * (1 - 1e-12) <= here <= min(experts, tokens * per_token) * (1 + 1e-12)
    assert here <= touched(tokens + 1, experts, per_token)


def test_touched_experts_are_what_a_uniform_router_touches() -> None:
    rng = np.random.default_rng(7)
    drawn = [
        len({int(one) for _ in range(12) for one in rng.choice(16, size=3, replace=False)})
        for _ in range(2000)
    ]
    assert touched(12, 16, 3) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 2000**0.5)


@given(st.floats(0, 1), st.integers(0, 5000))
def test_powers(base: float, exponent: int) -> None:
    assert power(base, exponent) == pytest.approx(base**exponent, rel=1e-10, abs=1e-300)


def test_one_token_reads_the_experts_that_it_takes_and_a_batch_reads_all() -> None:
    expert, rest = 3 * 4096 * 14336, MIXTRAL.qkv_parameters + MIXTRAL.output_parameters
    for tokens, experts in ((1, 2), (64, 8)):
        costs = group(MIXTRAL)
        layer = costs.dense_ps(Op.BLOCK_IN, tokens, 0) + costs.dense_ps(Op.BLOCK_OUT, tokens, 0)
        floor = 2 * (rest + experts * expert) / 2.0375e12 * 1e12
        assert floor * 0.999 <= layer <= floor * 1.02  # activations and the router are the rest


def test_many_tokens_are_as_slow_as_the_arithmetic_of_their_own_experts() -> None:
    costs = GroupCosts(config(**IDEAL, memory_bytes_per_s=1e18), MIXTRAL, 1)
    kernels = dict(costs.kernels_s(Op.BLOCK_OUT, 65_536, 0))
    assert kernels["ffn_down"] == pytest.approx(2 * 2 * 65_536 * 4096 * 14336 / 312e12, rel=1e-9)


def test_one_expert_for_all_is_a_dense_ffn() -> None:
    """But for router, choice and sum."""
    dense = reshaped("llama-2-7b")
    single = msgspec.structs.replace(dense, experts=1, experts_per_token=1)
    extra = {"router", "top_k", "combine"}
    kernels = [one for one in group(single).kernels_s(Op.BLOCK_OUT, 37, 0) if one[0] not in extra]
    assert kernels == group(dense).kernels_s(Op.BLOCK_OUT, 37, 0)


def test_layers_that_are_built_otherwise() -> None:
    falcon = reshaped("llama-2-7b", parallel_attention=True, shared_norm=True)
    neox, gemma = reshaped("llama-2-7b", parallel_attention=True), reshaped("llama-2-7b", post_norms=True)
    ffn = ["ffn_up", "activation", "ffn_down"]
    assert names(falcon) == ["attention_output", *ffn, "all_reduce"]
    assert names(neox) == ["attention_output", "norm", *ffn, "all_reduce"]
    around = ["all_reduce", "norm"]
    assert names(gemma) == ["attention_output", *around, "norm", *ffn, *around]
    mixture = ["router", "top_k", *ffn, "combine"]
    assert names(MIXTRAL) == ["attention_output", "all_reduce", "norm", *mixture, "all_reduce"]


def test_the_calibrated_level_prices_experts_by_its_own_gemms() -> None:
    costs = GroupCosts(load_group("a100-80gb", 1, {}), MIXTRAL, 1)
    kernels = {tokens: dict(costs.kernels_s(Op.BLOCK_OUT, tokens, 0)) for tokens in (1, 64)}
    # Two experts of one row, and eight of sixteen rows: nearly four times the weights.
    assert 3.5 < kernels[64]["ffn_down"] / kernels[1]["ffn_down"] < 4.2
    assert "residual" in kernels[1]
