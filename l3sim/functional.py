"""Functional work: what a session computes, beside what it costs.

A device that holds bytes answers it for the KV heads that lie on its ranks; all are asked the same, and
`joined` puts the answers together. All numbers are FP16. The request must be placed, by a window, before.

    Offload    K and V of prompt tokens, layer by layer      -> Offloaded
    Attend     q, k, v of one new token of each request      -> Attended: outputs, and how long it took
    ReadBack   K and V as they were written                  -> Returned
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l3sim.errors import InvalidInput, InvariantBroken
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s

Halves = NDArray[np.float16]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Offload:
    """Write K and V of some tokens of one layer.

    Attributes:
        first: the first token; they follow what is there.
        k, v: shape (tokens, KV heads, head size), all heads of the model.
    """

    request: int
    layer: int
    first: int
    k: Halves
    v: Halves


@dataclass(frozen=True, slots=True)
class Attend:
    """Append one token to each of some requests, in one layer, and attend.

    Attributes:
        requests: each once.
        q: shape (requests, heads, head size). k, v: shape (requests, KV heads, head size).
    """

    layer: int
    requests: tuple[int, ...]
    q: Halves
    k: Halves
    v: Halves


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Read K and V of some tokens of one layer."""

    request: int
    layer: int
    first: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Offloaded:
    """The answer to Offload.

    Attributes:
        tokens: what the request's layer holds now; 0: no head of it lies here.
    """

    tokens: int


@dataclass(frozen=True, slots=True)
class Attended:
    """The answer to Attend.

    Attributes:
        outputs: shape (requests, heads, head size); zeros where a head does not lie here.
        present: which KV heads lie here, shape (requests, KV heads).
        device, domain: of each rank that worked, as in OpCost, shape (ranks,).
        duration_ps: of its command stream, int64, shape (ranks,).
    """

    outputs: Halves
    present: Flags
    device: tuple[int, ...]
    domain: tuple[int, ...]
    duration_ps: Int64s


@dataclass(frozen=True, slots=True)
class Returned:
    """The answer to ReadBack.

    Attributes:
        k, v: shape (tokens, KV heads, head size); zeros where a head does not lie here.
        present: which KV heads lie here, shape (KV heads,).
    """

    k: Halves
    v: Halves
    present: Flags


FunctionalRequest = Offload | Attend | ReadBack
FunctionalAnswer = Offloaded | Attended | Returned


_ANSWERS: dict[type, type] = {Offload: Offloaded, Attend: Attended, ReadBack: Returned}


def answers(answer: FunctionalAnswer, work: FunctionalRequest) -> bool:
    """Whether an answer is of the kind that a piece of work asks for."""
    return isinstance(answer, _ANSWERS[type(work)])


def check(work: FunctionalRequest, model: ModelShape) -> None:
    """Check what does not depend on who holds what.

    Raises:
        InvalidInput: a layer that the model does not have, nothing to do, or a tensor of another shape.
    """
    name = type(work).__name__.lower()
    if not 0 <= work.layer < model.layers:
        raise InvalidInput((f"{name}.layer", f"must be 0 to {model.layers - 1}, got {work.layer}"))
    kv = (model.kv_heads, model.head_size)
    if isinstance(work, ReadBack):
        if work.tokens < 1 or work.first < 0:
            text = f"must ask for 1 token or more from token 0 on, got {work.tokens} from {work.first}"
            raise InvalidInput((f"{name}.tokens", text))
        return
    if isinstance(work, Offload):
        count = len(work.k)
        shapes = {"k": (count, *kv), "v": (count, *kv)}
    else:
        count = len(work.requests)
        if len(set(work.requests)) != count:
            raise InvalidInput((f"{name}.requests", "names a request twice; it gets one token a call"))
        shapes = {"q": (count, model.heads, model.head_size), "k": (count, *kv), "v": (count, *kv)}
    if count < 1:
        raise InvalidInput((name, "has nothing to do; give at least one token"))
    for field, shape in shapes.items():
        tensor: NDArray[Any] = getattr(work, field)
        if tensor.shape != shape or tensor.dtype != np.float16:
            text = f"must be float16 {list(shape)}, got {tensor.dtype} {list(tensor.shape)}"
            raise InvalidInput((f"{name}.{field}", text))


def joined(parts: Sequence[tuple[Halves, Flags]]) -> Halves:
    """Put together what several addresses hold of one tensor.

    Args:
        parts: (tensor, present) of each: shape (..., heads, head size), and (..., KV heads) or (KV heads,).

    Raises:
        InvariantBroken: a head lies nowhere, or twice.
    """
    held = sum(present.astype(np.int64) for _, present in parts)
    if not np.all(held == 1):
        raise InvariantBroken("a KV head lies at no address, or at two; ask every address once")
    whole = np.zeros_like(parts[0][0])
    for tensor, present in parts:
        queries = tensor.shape[-2] // present.shape[-1]
        here = np.repeat(present, queries, axis=-1)[..., None]
        whole = np.where(here, tensor, whole)
    return whole
