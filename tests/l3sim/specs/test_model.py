"""The transformers: published sums, and refusals."""

from typing import Any

import msgspec
import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_model, model_names
from l3sim.specs.model import ModelShape, model_from

#: Layers, heads, KV heads, hidden, FFN, vocabulary; weights in GB; KV bytes a token.
TABLE = {
    "opt-66b": (64, 72, 72, 9216, 36864, 50272, 131.4, 2_359_296),
    "qwen-72b": (80, 64, 8, 8192, 24576, 152064, 125.8, 327_680),
    "gpt-175b": (96, 96, 96, 12288, 49152, 50257, 349.2, 4_718_592),
    "llama-2-70b": (80, 64, 8, 8192, 28672, 32000, 138.0, 327_680),
    "llama-2-7b": (32, 32, 32, 4096, 11008, 32000, 13.5, 524_288),
}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_published_sizes(name: str) -> None:
    model = load_model(name)
    layers, heads, kv_heads, hidden, ffn, vocabulary, weights_gb, kv_bytes = TABLE[name]
    assert (model.layers, model.heads, model.kv_heads) == (layers, heads, kv_heads)
    assert (model.hidden, model.ffn, model.vocabulary, model.default_tp) == (hidden, ffn, vocabulary, 0)
    assert model.head_size == 128
    assert round(model.weight_bytes / 1e9, 1) == weights_gb
    assert model.kv_bytes_per_token == kv_bytes
    assert model.layer_kv_bytes * layers == kv_bytes
    assert model.queries_per_kv == heads // kv_heads
    assert model.source
    tied = name.startswith(("opt", "gpt"))
    assert (model.gated, model.tied_embeddings) == (not tied, tied)


def test_every_model_is_in_the_table() -> None:
    assert model_names() == sorted(TABLE)


def test_the_published_qwen_shape_has_62_9e9_parameters() -> None:
    assert round(load_model("qwen-72b").parameters / 1e9, 1) == 62.9


def test_parameters_are_the_sum_of_all_matrices() -> None:
    gpt = load_model("gpt-175b")
    hidden, ffn = 12288, 49152
    layer = 4 * hidden * hidden + 2 * hidden * ffn  # Q, K, V, output; up, down
    layer += 3 * hidden + hidden + ffn + hidden  # their biases
    layer += 2 * 2 * hidden  # two norms, each with weight and bias
    assert gpt.parameters == 96 * layer + (50257 + 2048) * hidden + 2 * hidden  # and the last norm
    llama = load_model("llama-2-70b")
    layer = 8192 * (64 + 8 + 8) * 128 + 8192 * 8192 + 3 * 8192 * 28672 + 2 * 8192
    assert llama.parameters == 80 * layer + 2 * 32000 * 8192 + 8192
    assert load_model("llama-2-7b").parameters == 6_738_415_616  # the published checkpoint's


def test_experts_multiply_the_ffn_and_nothing_else() -> None:
    dense = load_model("llama-2-7b")
    moe = msgspec.structs.replace(dense, experts=8, experts_per_token=2)
    expert = 3 * 4096 * 11008
    assert (moe.expert_parameters, moe.ffn_parameters) == (expert, 8 * expert + 8 * 4096)
    assert moe.parameters - dense.parameters == 32 * (7 * expert + 8 * 4096)
    assert moe.kv_bytes_per_token == dense.kv_bytes_per_token


@pytest.mark.parametrize(
    ("changes", "each_layer"),
    [
        ({"qk_norm": True}, 2 * 128),
        ({"qkv_biases": True}, 3 * 4096),
        ({"post_norms": True}, 2 * 4096),
        ({"parallel_attention": True}, 0),
        ({"parallel_attention": True, "shared_norm": True}, -4096),
    ],
)
def test_small_weights_of_a_layer(changes: dict[str, Any], each_layer: int) -> None:
    plain = load_model("llama-2-7b")
    assert msgspec.structs.replace(plain, **changes).parameters - plain.parameters == 32 * each_layer


def raw(**changes: Any) -> dict[str, Any]:
    values = msgspec.to_builtins(load_model("llama-2-7b"))
    return {key: value for key, value in {**values, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layers": 0}, "layers must be 1 to 10,000,000, got 0"),
        ({"hidden": 10**8}, "hidden must be 1 to 10,000,000, got 100000000"),
        ({"kv_heads": 5}, "heads (32) must be a multiple of kv_heads (5)"),
        ({"learned_positions": -1}, "learned_positions must be at least 0, got -1"),
        ({"default_tp": -1}, "default_tp must be 0 to 1,000,000,000, got -1"),
        ({"experts": 8}, "experts_per_token must be 1 to experts (8), got 0"),
        ({"experts_per_token": 1}, "experts_per_token must be 0 to experts (0), got 1"),
        ({"shared_norm": True}, "shared_norm needs parallel_attention"),
        ({"layerz": 3}, "Object contains unknown field `layerz`"),
        ({"ffn": ...}, "Object missing required field `ffn`"),
        ({"heads": "many"}, "Expected `int`, got `str` - at `$.heads`"),
    ],
)
def test_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        model_from(raw(**changes))
    assert str(refused.value) == f"model: {text}"


def test_a_good_mapping_is_a_shape() -> None:
    assert model_from(raw()) == load_model("llama-2-7b")
    assert isinstance(model_from(raw()), ModelShape)
