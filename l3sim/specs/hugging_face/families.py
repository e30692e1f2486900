"""How each family of models writes its shape: one function a family.

What a field is called and what its absence means is that of the family's configuration class in the
`transformers` library (version 4, its documentation). A field that the class would fill with the sizes of one
certain model, such as 32 layers, is asked for all the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.specs.hugging_face.fields import Fields

#: Fields of ModelShape.
Shape = dict[str, Any]

#: `sliding_window` of Mistral's, Gemma 2's and Gemma 3's classes where a file has none; null: no window.
CLASS_WINDOW = 4096


def _heads(fields: Fields, hidden: int) -> Shape:
    """Query heads and their size: `head_dim`, or what the width leaves each."""
    heads = fields.whole("num_attention_heads")
    size = fields.whole("head_dim", hidden // heads)
    if hidden % heads and "head_dim" not in fields:
        text = f"{heads} does not divide the width of {hidden}, and there is no head_dim"
        raise InvalidInput(("num_attention_heads", text))
    return {"heads": heads, "head_size": size, "hidden": hidden}


def _gated(
    fields: Fields, ffn: str = "intermediate_size", tied: bool = False, kv_heads: int | None = None
) -> Shape:
    """What Llama began: rotary positions, RMS norms, a gated FFN, no biases.

    Args:
        ffn: field of the FFN's width.
        tied, kv_heads: what the absence of their fields means; None: they must be there.
    """
    fields.refuse("attention_bias", False)
    fields.refuse("mlp_bias", False)
    shape = _heads(fields, fields.whole("hidden_size"))
    return shape | {
        "layers": fields.whole("num_hidden_layers"),
        "kv_heads": fields.whole("num_key_value_heads", kv_heads),
        "ffn": fields.whole(ffn),
        "gated": True,
        "vocabulary": fields.whole("vocab_size"),
        "tied_embeddings": fields.flag("tie_word_embeddings", tied),
        "max_positions": fields.whole("max_position_embeddings", 0),
    }


def _llama(fields: Fields) -> Shape:
    return _gated(fields, kv_heads=fields.whole("num_attention_heads"))


def _window(fields: Fields) -> int:
    return fields.nullable("sliding_window", CLASS_WINDOW)


def _switched_window(fields: Fields) -> Shape:
    """Qwen's files name a window also where it is switched off."""
    on = fields.flag("use_sliding_window", False)
    return {"sliding_window": _window(fields) if on else 0}


def _mistral(fields: Fields) -> Shape:
    return _gated(fields) | {"sliding_window": _window(fields)}


def _mixtral(fields: Fields) -> Shape:
    return _gated(fields) | {
        "sliding_window": fields.whole("sliding_window", 0),
        "experts": fields.whole("num_local_experts"),
        "experts_per_token": fields.whole("num_experts_per_tok"),
    }


def _qwen2(fields: Fields) -> Shape:
    return _gated(fields) | _switched_window(fields) | {"qkv_biases": True}


def _qwen3(fields: Fields) -> Shape:
    fields.whole("head_dim")  # the class has a number of its own, which is not hidden / heads
    return _gated(fields) | _switched_window(fields) | {"qk_norm": True}


def _qwen3_moe(fields: Fields) -> Shape:
    fields.refuse("decoder_sparse_step", 1)
    fields.refuse("mlp_only_layers", [])
    fields.whole("head_dim")
    shape = _gated(fields, ffn="moe_intermediate_size") | _switched_window(fields)
    return shape | {
        "experts": fields.whole("num_experts"),
        "experts_per_token": fields.whole("num_experts_per_tok"),
        "qk_norm": True,
    }


def _gemma(fields: Fields) -> Shape:
    fields.whole("head_dim")
    return _gated(fields, tied=True)


def _gemma2(fields: Fields) -> Shape:
    return _gemma(fields) | {"sliding_window": _window(fields), "post_norms": True}


def _gemma3(fields: Fields) -> Shape:
    return _gemma2(fields) | {"qk_norm": True}


def _opt(fields: Fields) -> Shape:
    shape = _heads(fields, fields.whole("hidden_size"))
    fields.refuse("word_embed_proj_dim", shape["hidden"])
    fields.refuse("do_layer_norm_before", True)
    fields.refuse("enable_bias", True)
    fields.refuse("layer_norm_elementwise_affine", True)
    fields.refuse("_remove_final_layer_norm", False)
    positions = fields.whole("max_position_embeddings")
    return shape | {
        "layers": fields.whole("num_hidden_layers"),
        "kv_heads": shape["heads"],
        "ffn": fields.whole("ffn_dim"),
        "gated": False,
        "vocabulary": fields.whole("vocab_size"),
        "tied_embeddings": fields.flag("tie_word_embeddings", True),
        "learned_positions": positions + 2,  # the table begins with two rows that no token uses
        "max_positions": positions,
        "biases": True,
    }


def _gpt2(fields: Fields) -> Shape:
    hidden, heads = fields.whole("n_embd"), fields.whole("n_head")
    positions = fields.whole("n_positions")
    if hidden % heads:
        raise InvalidInput(("n_head", f"{heads} does not divide the width of {hidden}"))
    return {
        "layers": fields.whole("n_layer"),
        "heads": heads,
        "kv_heads": heads,
        "head_size": hidden // heads,
        "hidden": hidden,
        "ffn": fields.whole("n_inner", 4 * hidden),
        "gated": False,
        "vocabulary": fields.whole("vocab_size"),
        "tied_embeddings": fields.flag("tie_word_embeddings", True),
        "learned_positions": positions,
        "max_positions": positions,
        "biases": True,
    }


def _gpt_neox(fields: Fields) -> Shape:
    fields.refuse("attention_bias", True)
    shape = _heads(fields, fields.whole("hidden_size"))
    return shape | {
        "layers": fields.whole("num_hidden_layers"),
        "kv_heads": shape["heads"],
        "ffn": fields.whole("intermediate_size"),
        "gated": False,
        "vocabulary": fields.whole("vocab_size"),
        "tied_embeddings": fields.flag("tie_word_embeddings", False),
        "max_positions": fields.whole("max_position_embeddings", 0),
        "biases": True,
        "parallel_attention": fields.flag("use_parallel_residual", True),
    }


def _falcon(fields: Fields) -> Shape:
    shape = _heads(fields, fields.whole("hidden_size"))
    heads, hidden = shape["heads"], shape["hidden"]
    new = fields.flag("new_decoder_architecture", False)
    if new:
        kv_heads = fields.whole("num_kv_heads", heads)
    else:
        kv_heads = 1 if fields.flag("multi_query", True) else heads
    parallel = new or fields.flag("parallel_attn", True)
    norms = fields.whole("num_ln_in_parallel_attn", 2 if new else 1)
    return shape | {
        "layers": fields.whole("num_hidden_layers"),
        "kv_heads": kv_heads,
        "ffn": fields.whole("ffn_hidden_size", 4 * hidden),
        "gated": False,
        "vocabulary": fields.whole("vocab_size"),
        "tied_embeddings": fields.flag("tie_word_embeddings", True),
        "max_positions": fields.whole("max_position_embeddings", 2048),
        "biases": fields.flag("bias", False),
        "norm_biases": True,
        "parallel_attention": parallel,
        "shared_norm": parallel and norms == 1,
    }


#: Families by the architecture that `config.json` names.
READERS: Mapping[str, Callable[[Fields], Shape]] = {
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _mistral,
    "MixtralForCausalLM": _mixtral,
    "Qwen2ForCausalLM": _qwen2,
    "Qwen3ForCausalLM": _qwen3,
    "Qwen3MoeForCausalLM": _qwen3_moe,
    "OPTForCausalLM": _opt,
    "GPT2LMHeadModel": _gpt2,
    "GPTNeoXForCausalLM": _gpt_neox,
    "FalconForCausalLM": _falcon,
    "GemmaForCausalLM": _gemma,
    "Gemma2ForCausalLM": _gemma2,
    "Gemma3ForCausalLM": _gemma3,
}

#: The same by `model_type`, for files that list no architecture.
MODEL_TYPES: Mapping[str, str] = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "opt": "OPTForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_neox": "GPTNeoXForCausalLM",
    "falcon": "FalconForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
}
