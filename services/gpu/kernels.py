"""What a pass runs on a GPU: kernels and collectives, by their sizes; a level says how long each takes.

    embed       embedding
    block_in    norm, qkv, (rotary)
    block_out   attention_output, all_reduce, (residual),
                norm, ffn_up, activation, ffn_down, all_reduce, (residual)
    head        norm, lm_head, sampling

Where decode attention is striped over ranks, block_out begins with a kernel that merges partial results.
Kernels in parentheses stand alone in the profiles that level `calibrated` was fitted to; level `roofline`
assumes that rotary embeddings fuse into the QKV projection and residuals into the norm, which then moves
twice as much. Biases and the exchange of the sampled token between GPUs hide in the overheads; the embedding
table is on every GPU, so its rows need no collective (assumed).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.work import Op

#: What the time of a pass goes to; reports and counters use these names.
LIMITS = ("weights", "compute", "activations", "collectives", "attention", "overhead")


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of one kernel.

    Attributes:
        limit: of `LIMITS`, what its work waits for.
        overhead_s: launch and the like, on top of the work.
    """

    limit: str
    work_s: float
    overhead_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.work_s + self.overhead_s


class Level(Protocol):
    """A way of telling what kernels cost on one GPU of a group."""

    def gemm(self, rows: int, k: int, n: int) -> Spent:
        """`rows` x k activations times k x n weights."""

    def stream(self, name: str, rows: int, elements: int) -> Spent:
        """A kernel of this name that reads and writes so many elements in each row."""

    def all_reduce(self, rows: int, width: int) -> Spent:
        """A sum of rows x width elements over the group, each GPU getting all of it."""


class Kernel(Protocol):
    """One kernel, or one collective, over some rows (tokens)."""

    @property
    def name(self) -> str:
        """As probes and reports call it."""

    @property
    def sampled(self) -> bool:
        """True: its rows are the tokens that are sampled, else all tokens of the pass."""

    def spent(self, rows: int, widths: Mapping[str, int], level: Level) -> Spent | None:
        """Its time over `rows` >= 1 rows; None when it does not run for this model."""


@dataclass(frozen=True)
class Gemm:
    """Rows of width `k` times weights k x n; widths by name."""

    name: str
    k: str
    n: str
    sampled: bool = False

    def spent(self, rows: int, widths: Mapping[str, int], level: Level) -> Spent | None:
        """See Kernel."""
        return level.gemm(rows, widths[self.k], widths[self.n])


@dataclass(frozen=True)
class Stream:
    """Elements read and written in each row: so many of each width."""

    name: str
    elements: Mapping[str, int]
    sampled: bool = False

    def spent(self, rows: int, widths: Mapping[str, int], level: Level) -> Spent | None:
        """See Kernel."""
        elements = sum(times * widths[width] for width, times in self.elements.items())
        return level.stream(self.name, rows, elements) if elements else None


@dataclass(frozen=True)
class AllReduce:
    """A sum of rows of one width over the group."""

    name: str
    width: str
    sampled: bool = False

    def spent(self, rows: int, widths: Mapping[str, int], level: Level) -> Spent | None:
        """See Kernel."""
        return level.all_reduce(rows, widths[self.width])


Program = Mapping[Op, Sequence[Kernel]]

_EMBEDDING = Stream("embedding", {"hidden": 2, "position": 1})
_QKV = Gemm("qkv", "hidden", "qkv")
_OUTPUT = Gemm("attention_output", "attention", "hidden")
_ALL_REDUCE = AllReduce("all_reduce", "hidden")
_UP = Gemm("ffn_up", "hidden", "ffn_up")
_ACTIVATION = Stream("activation", {"ffn_up": 1, "ffn": 1})
_DOWN = Gemm("ffn_down", "ffn", "hidden")
_LM_HEAD = Gemm("lm_head", "hidden", "vocabulary", sampled=True)
_SAMPLING = Stream("sampling", {"vocabulary": 1}, sampled=True)

#: A norm with the residual added in: both read, both written.
_FUSED_NORM = Stream("norm", {"hidden": 4})
_NORM = Stream("norm", {"hidden": 2})
_ROTARY = Stream("rotary", {"rotary": 2})
_RESIDUAL = Stream("residual", {"hidden": 3})

FUSED: Program = {
    Op.EMBED: (_EMBEDDING,),
    Op.BLOCK_IN: (_FUSED_NORM, _QKV),
    Op.BLOCK_OUT: (_OUTPUT, _ALL_REDUCE, _FUSED_NORM, _UP, _ACTIVATION, _DOWN, _ALL_REDUCE),
    Op.HEAD: (_FUSED_NORM, _LM_HEAD, _SAMPLING),
}

UNFUSED: Program = {
    Op.EMBED: (_EMBEDDING,),
    Op.BLOCK_IN: (_NORM, _QKV, _ROTARY),
    Op.BLOCK_OUT: (
        *(_OUTPUT, _ALL_REDUCE, _RESIDUAL),
        *(_NORM, _UP, _ACTIVATION, _DOWN, _ALL_REDUCE, _RESIDUAL),
    ),
    Op.HEAD: (_NORM, _LM_HEAD, _SAMPLING),
}


def widths_of(model: ModelShape, tp: int) -> dict[str, int]:
    """Widths on the GPU with the largest share; at least one KV head on each."""
    heads, kv_heads, ffn = (-(-whole // tp) for whole in (model.heads, model.kv_heads, model.ffn))
    return {
        "hidden": model.hidden,
        "position": model.hidden if model.learned_positions else 0,
        "rotary": 0 if model.learned_positions else (heads + kv_heads) * model.head_size,
        "attention": heads * model.head_size,
        "kv": kv_heads * model.head_size,
        "qkv": (heads + 2 * kv_heads) * model.head_size,
        "ffn": ffn,
        "ffn_up": (2 if model.gated else 1) * ffn,
        "experts": model.experts,
        "vocabulary": -(-model.vocabulary // tp),
    }


def merged_elements(parts: int, requests: int, widths: Mapping[str, int], head_size: int) -> int:
    """FP16 elements that merging partial results reads and writes on a GPU.

    Read, of each partial result and query head: outputs, running maximum and sum, FP32. Written, of each
    request and query head: the output.

    Args:
        parts: partial results. requests: that have several.
    """
    heads = widths["attention"] // head_size
    return heads * (parts * 2 * (head_size + 2) + requests * head_size)


def bytes_of(elements: int) -> int:
    """In FP16."""
    return ELEMENT_BYTES * elements
