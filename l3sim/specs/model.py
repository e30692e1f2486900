"""The transformer that is served: its shape, its weights, its KV.

Shapes come from `models/*.yaml`, each written by hand from the published model with its source, or from a
Hugging Face `config.json` (`hugging_face/`). FP16 throughout, 2 bytes an element.

    sequential            parallel_attention     post_norms             experts
    x + A(n(x))           x + A(n(x)) + F(m(x))  x + n'(A(n(x)))        F = k of `experts` FFNs,
    x + F(m(x))           m = n: shared_norm     x + m'(F(m(x)))        chosen by a router for each token
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
        head_size: of one head; heads * head_size need not be hidden.
        ffn: inner width of the FFN, or of one expert.
        gated: the FFN has a gate (three matrices of hidden x ffn), else two.
        learned_positions: rows of the learned position embedding, 0 when positions are rotary.
        biases: linear layers and norms carry biases.
        default_tp: tensor-parallel degree of a job that names none; 0: by estimate, on its machine.
        experts, experts_per_token: FFNs of a layer and how many of them each token takes; 0: dense.
        qkv_biases, norm_biases: where not all have biases, those that do all the same.
        parallel_attention: attention and FFN read the same input and are summed.
        shared_norm: then also through the same norm.
        post_norms: what attention and FFN give is normed once more before it is added.
        qk_norm: queries and keys are normed by head.
        sliding_window: tokens that some layers attend at most, 0: all layers attend all. Not modelled;
            the report warns where a request goes past it.
        max_positions: tokens that the model was made for, 0: as `learned_positions` says.
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
    experts: int = 0
    experts_per_token: int = 0
    qkv_biases: bool = False
    norm_biases: bool = False
    parallel_attention: bool = False
    shared_norm: bool = False
    post_norms: bool = False
    qk_norm: bool = False
    sliding_window: int = 0
    max_positions: int = 0

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "kv_heads", "head_size", "hidden", "ffn", "vocabulary"):
            if not 1 <= getattr(self, name) <= 10**7:
                raise ValueError(f"{name} must be 1 to 10,000,000, got {getattr(self, name)}")
        for name in ("default_tp", "experts", "sliding_window", "max_positions"):
            if not 0 <= getattr(self, name) <= 10**9:
                raise ValueError(f"{name} must be 0 to 1,000,000,000, got {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.learned_positions < 0:
            raise ValueError(f"learned_positions must be at least 0, got {self.learned_positions}")
        least = 1 if self.experts else 0
        if not least <= self.experts_per_token <= self.experts:
            text = f"must be {least} to experts ({self.experts}), got {self.experts_per_token}"
            raise ValueError(f"experts_per_token {text}")
        if self.shared_norm and not self.parallel_attention:
            raise ValueError("shared_norm needs parallel_attention")

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
    def expert_parameters(self) -> int:
        """Weights of one layer's FFN, or of one of its experts."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    @cached_property
    def ffn_parameters(self) -> int:
        """Weights of one layer's feed-forward network: all experts, and the router that chooses of them."""
        return max(self.experts, 1) * self.expert_parameters + self.experts * self.hidden

    @property
    def norms(self) -> int:
        """Norms of one layer over the hidden width."""
        return (1 if self.shared_norm else 2) + (2 if self.post_norms else 0)

    @cached_property
    def parameters(self) -> int:
        """All weights: layers, embeddings (twice unless tied), positions, norms and biases."""
        layer = self.qkv_parameters + self.output_parameters + self.ffn_parameters + self._vectors
        embeddings = (1 if self.tied_embeddings else 2) * self.vocabulary * self.hidden
        last_norm = self.hidden * self._norm_vectors
        return self.layers * layer + embeddings + self.learned_positions * self.hidden + last_norm

    @property
    def _norm_vectors(self) -> int:
        """A norm has a weight, and a bias or none."""
        return 2 if self.biases or self.norm_biases else 1

    @property
    def _vectors(self) -> int:
        """Norms and biases of one layer."""
        vectors = self.norms * self.hidden * self._norm_vectors
        if self.qk_norm:
            vectors += 2 * self.head_size
        if self.biases or self.qkv_biases:
            vectors += (self.heads + 2 * self.kv_heads) * self.head_size
        if self.biases:
            vectors += self.hidden + max(self.experts, 1) * (self.ffn + self.hidden)
        return vectors

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
