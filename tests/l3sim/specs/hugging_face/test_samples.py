"""The sample configurations have as many parameters as their published checkpoints."""

import json

import pytest

from l3sim.specs.catalog import MODELS, load_model
from l3sim.specs.hugging_face.families import READERS

SAMPLES = sorted((MODELS / "samples").glob("*.json"))

#: Parameters of the published checkpoints, tied weights counted once, as loading them with `transformers`
#: counts them (`num_parameters()`); the model cards print them rounded.
PUBLISHED = {
    "falcon-40b": 41_303_293_952,
    "falcon-7b": 6_921_720_704,
    "gemma-2-9b": 9_241_705_984,
    "gemma-3-1b": 999_885_952,
    "gemma-7b": 8_537_680_896,
    "gpt-neox-20b": 20_554_567_680,
    "gpt2": 124_439_808,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "opt-6.7b": 6_658_473_984,
    "qwen2-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-8b": 8_190_735_360,
}

#: KV bytes of a token: layers x 2 x KV heads x head size x 2 bytes.
KV_BYTES = {
    "falcon-7b": 32 * 2 * 1 * 64 * 2,
    "gemma-2-9b": 42 * 2 * 8 * 256 * 2,
    "gpt2": 12 * 2 * 12 * 64 * 2,
    "mixtral-8x7b": 32 * 2 * 8 * 128 * 2,
    "qwen3-0.6b": 28 * 2 * 8 * 128 * 2,
}


def sample(name: str) -> str:
    return str(MODELS / "samples" / f"{name}.json")


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_are_the_published_ones(name: str) -> None:
    model = load_model(sample(name))
    assert (model.name, model.parameters) == (name, PUBLISHED[name])
    assert model.weight_bytes == 2 * PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(KV_BYTES))
def test_kv_of_a_token_by_hand(name: str) -> None:
    assert load_model(sample(name)).kv_bytes_per_token == KV_BYTES[name]


def test_every_family_has_a_sample_with_its_source() -> None:
    assert [path.stem for path in SAMPLES] == sorted(PUBLISHED)
    raw = [json.loads(path.read_text()) for path in SAMPLES]
    assert {one["architectures"][0] for one in raw} == READERS.keys()
    assert all("model card" in one["_source"] for one in raw)


def test_what_makes_a_family_special() -> None:
    qwen, neox = load_model(sample("qwen3-0.6b")), load_model(sample("gpt-neox-20b"))
    assert (qwen.heads * qwen.head_size, qwen.hidden, qwen.qk_norm) == (2048, 1024, True)
    assert (neox.parallel_attention, neox.shared_norm, neox.norms) == (True, False, 2)
    falcon = load_model(sample("falcon-7b"))
    assert (falcon.kv_heads, falcon.parallel_attention, falcon.shared_norm, falcon.norms) == (
        1,
        True,
        True,
        1,
    )
    assert load_model(sample("falcon-40b")).norms == 2
    mixtral, gemma = load_model(sample("mixtral-8x7b")), load_model(sample("gemma-2-9b"))
    assert (mixtral.experts, mixtral.experts_per_token, mixtral.sliding_window) == (8, 2, 0)
    assert (gemma.post_norms, gemma.norms, gemma.sliding_window, gemma.tied_embeddings) == (
        True,
        4,
        4096,
        True,
    )
    qwen2 = load_model(sample("qwen2-7b"))  # its file names a window that is switched off
    assert (qwen2.sliding_window, qwen2.qkv_biases, qwen2.max_positions) == (0, True, 131072)
    opt = load_model(sample("opt-6.7b"))
    assert (opt.learned_positions, opt.max_positions, opt.default_tp) == (2050, 2048, 0)
