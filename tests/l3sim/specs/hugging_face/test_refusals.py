"""What a `config.json` may not say: one line that names the file and the field."""

import json
from pathlib import Path
from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import MODELS, load_model
from l3sim.specs.hugging_face.families import MODEL_TYPES, READERS
from tests.l3sim.specs.hugging_face.test_samples import PUBLISHED, SAMPLES

#: Fields whose absence is a refusal, by sample.
NEEDED = {
    "llama-3.1-8b": (
        "architectures",
        "hidden_size",
        "num_attention_heads",
        "num_hidden_layers",
        "intermediate_size",
        "vocab_size",
    ),
    "mistral-7b": ("num_key_value_heads",),
    "mixtral-8x7b": ("num_local_experts", "num_experts_per_tok"),
    "qwen2-7b": ("num_key_value_heads",),
    "qwen3-8b": ("head_dim",),
    "qwen3-30b-a3b": ("moe_intermediate_size", "num_experts"),
    "gemma-2-9b": ("head_dim",),
    "opt-6.7b": ("ffn_dim", "max_position_embeddings"),
    "gpt2": ("n_embd", "n_head", "n_layer", "n_positions", "vocab_size"),
    "gpt-neox-20b": ("intermediate_size",),
    "falcon-7b": ("hidden_size", "num_hidden_layers"),
}


def written(folder: Path, name: str, **changes: Any) -> Path:
    """A sample as `config.json`, changed; `...` takes a field away."""
    raw = json.loads((MODELS / "samples" / f"{name}.json").read_text()) | changes
    file = folder / "config.json"
    file.write_text(json.dumps({key: value for key, value in raw.items() if value is not ...}))
    return file


def refusal(file: Path) -> str:
    with pytest.raises(InvalidInput) as refused:
        load_model(str(file))
    text = str(refused.value)
    assert text.startswith(f"model: {file}: ")
    assert "\n" not in text
    return text.removeprefix(f"model: {file}: ")


@pytest.mark.parametrize(
    ("name", "field"), [(name, one) for name, fields in NEEDED.items() for one in fields]
)
def test_a_needed_field(name: str, field: str, tmp_path: Path) -> None:
    said = refusal(written(tmp_path, name, **{field: ...}))
    wanted = "must be a list of one name, got null" if field == "architectures" else "missing"
    assert said.startswith(f"{field}: {wanted}")


@pytest.mark.parametrize(
    ("name", "changes", "text"),
    [
        ("gpt2", {"n_layer": "many"}, 'n_layer: must be a whole number of at least 1, got "many"'),
        ("gpt2", {"n_layer": 0}, "n_layer: must be a whole number of at least 1, got 0"),
        ("gpt2", {"n_layer": True}, "n_layer: must be a whole number of at least 1, got true"),
        ("gpt2", {"n_layer": 10**8}, "layers must be 1 to 10,000,000, got 100000000"),
        ("gpt2", {"n_head": 7}, "n_head: 7 does not divide the width of 768"),
        (
            "gpt2",
            {"add_cross_attention": True},
            "add_cross_attention: true is not modelled; use a model without",
        ),
        (
            "llama-3.1-8b",
            {"tie_word_embeddings": "no"},
            'tie_word_embeddings: must be true or false, got "no"',
        ),
        (
            "llama-3.1-8b",
            {"attention_bias": True},
            "attention_bias: true is not modelled; use a model without",
        ),
        ("llama-3.1-8b", {"num_key_value_heads": 5}, "heads (32) must be a multiple of kv_heads (5)"),
        (
            "llama-3.1-8b",
            {"num_attention_heads": 24, "num_key_value_heads": 8},
            "num_attention_heads: 24 does not divide the width of 4096, and there is no head_dim",
        ),
        (
            "llama-3.1-8b",
            {"quantization_config": {"bits": 4}},
            "quantization_config: this is not modelled; use a model without",
        ),
        (
            "opt-6.7b",
            {"word_embed_proj_dim": 512},
            "word_embed_proj_dim: 512 is not modelled; use a model without",
        ),
        (
            "qwen3-30b-a3b",
            {"mlp_only_layers": [3]},
            "mlp_only_layers: this is not modelled; use a model without",
        ),
        ("mixtral-8x7b", {"num_experts_per_tok": 9}, "experts_per_token must be 1 to experts (8), got 9"),
    ],
)
def test_a_field_that_is_wrong(name: str, changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    assert refusal(written(tmp_path, name, **changes)) == text


@pytest.mark.parametrize("architecture", ["BloomForCausalLM", "Qwen2MoeForCausalLM", "T5Model"])
def test_an_unknown_architecture_by_name(architecture: str, tmp_path: Path) -> None:
    said = refusal(written(tmp_path, "gpt2", architectures=[architecture]))
    assert said.startswith(f"architectures: unknown architecture '{architecture}'")
    assert all(known in said for known in READERS)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "architectures: missing; the file must hold a Hugging Face configuration"),
        ('{"architectures": []}', "architectures: must be a list of one name, got []"),
        ("{", "is not JSON: "),
        (b"\xff\xfe", "is not JSON: "),
    ],
)
def test_a_file_that_is_no_configuration(content: str | bytes, text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal(file).startswith(text)


def test_a_model_is_called_as_its_folder_or_file(tmp_path: Path) -> None:
    folder = tmp_path / "Some-Model-7B"
    folder.mkdir()
    assert load_model(str(written(folder, "gpt2"))).name == "Some-Model-7B"
    assert load_model(str(SAMPLES[0])).name == SAMPLES[0].stem


def test_a_model_type_stands_in_for_an_architecture(tmp_path: Path) -> None:
    assert set(MODEL_TYPES.values()) == READERS.keys()
    gpt2 = load_model(str(written(tmp_path, "gpt2", architectures=..., model_type="gpt2")))
    assert gpt2.parameters == PUBLISHED["gpt2"]
    said = refusal(written(tmp_path, "gpt2", architectures=..., model_type="bloom"))
    assert said.startswith("model_type: unknown architecture 'bloom' (there are: falcon, gemma, ")


def test_absence_is_what_the_class_says(tmp_path: Path) -> None:
    mistral = {
        name: load_model(str(written(tmp_path, "mistral-7b", sliding_window=value)))
        for name, value in {"absent": ..., "null": None, "given": 512}.items()
    }
    assert {name: model.sliding_window for name, model in mistral.items()} == {
        "absent": 4096,
        "null": 0,
        "given": 512,
    }
    llama = load_model(str(written(tmp_path, "llama-3.1-8b", num_key_value_heads=..., head_dim=None)))
    assert (llama.kv_heads, llama.head_size) == (32, 128)
    tied = load_model(str(written(tmp_path, "gemma-7b", tie_word_embeddings=...)))
    assert tied.tied_embeddings
    assert load_model(str(written(tmp_path, "gpt2", n_inner=1000))).ffn == 1000
    old = {"new_decoder_architecture": False, "multi_query": False, "parallel_attn": False, "bias": True}
    falcon = load_model(str(written(tmp_path, "falcon-7b", alibi=True, **old)))
    assert (falcon.kv_heads, falcon.norms, falcon.biases, falcon.parallel_attention) == (71, 2, True, False)
