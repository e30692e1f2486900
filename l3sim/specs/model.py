"""The transformer that is served: its shape, its weights, its KV.

Shapes come from `models/*.yaml`, each written by hand from the published model with its source. FP16
throughout, 2 bytes an element.
"""

from functools import cached_property
from typing import Any

import msgspec

from l3sim.errors import InvalidInput

ELEMENT_BYTES = 2


class ModelShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A decoder-only transformer.

    Attributes:
        heads, kv_heads: query and KV heads; equal for MHA, heads = g * kv_heads for GQA-g.
        gated: the FFN has a gate (three matrices of hidden x ffn), else two.
        learned_positions: rows of the learned position embedding, 0 when positions are rotary.
        biases: linear layers and norms carry biases.
        default_tp: tensor-parallel degree on eight GPUs (arXiv 2504.17584, evaluation).
    """

    name: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    ffn: int
    gated: bool
    vocabulary: int
    tied_embeddings: bool
    learned_positions: int
    biases: bool
    default_tp: int
    source: str

    def __post_init__(self) -> None:
        sizes = ("layers", "heads", "kv_heads", "head_size", "hidden", "ffn", "vocabulary", "default_tp")
        for name in sizes:
            if not 1 <= getattr(self, name) <= 10**7:
                raise ValueError(f"{name} must be 1 to 10,000,000, got {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.learned_positions < 0:
            raise ValueError(f"learned_positions must be at least 0, got {self.learned_positions}")

    @property
    def queries_per_kv(self) -> int:
        """N_gqa: query heads that share one KV head."""
        return self.heads // self.kv_heads

    @property
    def head_kv_bytes(self) -> int:
        """K and V of one token, one KV head, one layer."""
        return 2 * self.head_size * ELEMENT_BYTES

    @property
    def layer_kv_bytes(self) -> int:
        """K and V of one token, all heads, one layer."""
        return self.kv_heads * self.head_kv_bytes

    @property
    def kv_bytes_per_token(self) -> int:
        """K and V of one token, all heads, all layers."""
        return self.layers * self.layer_kv_bytes

    @cached_property
    def qkv_parameters(self) -> int:
        """Weights of one layer's Q, K and V projections."""
        return self.hidden * (self.heads + 2 * self.kv_heads) * self.head_size

    @cached_property
    def output_parameters(self) -> int:
        """Weights of one layer's attention output projection."""
        return self.heads * self.head_size * self.hidden

    @cached_property
    def ffn_parameters(self) -> int:
        """Weights of one layer's feed-forward network."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    @cached_property
    def parameters(self) -> int:
        """All weights: layers, embeddings (twice unless tied), positions, norms and biases."""
        norms = 2 * self.hidden
        biases = 0
        if self.biases:
            qkv = (self.heads + 2 * self.kv_heads) * self.head_size
            biases = qkv + self.hidden + self.ffn + self.hidden + norms  # norms have a bias as well
        layer = self.qkv_parameters + self.output_parameters + self.ffn_parameters + norms + biases
        embeddings = (1 if self.tied_embeddings else 2) * self.vocabulary * self.hidden
        return self.layers * layer + embeddings + self.learned_positions * self.hidden

    @property
    def weight_bytes(self) -> int:
        """All weights in FP16."""
        return self.parameters * ELEMENT_BYTES


def model_from(raw: Any) -> ModelShape:
    """Check a mapping and make a shape of it.

    Raises:
        InvalidInput: a key is missing, unknown, or out of range.
    """
    try:
        return msgspec.convert(raw, ModelShape)
    except msgspec.ValidationError as error:
        raise InvalidInput(("model", str(error))) from None
