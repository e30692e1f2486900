"""Functional work: what a session computes, beside what it costs.

A device that holds bytes answers it for the KV heads that lie on its ranks; all are asked the same, and
`joined` puts the answers together. All numbers are FP16. The request must be placed, by a window, before.

Where KV is striped (`l3sim.placement`) and a head lies on several ranks, each gives a partial result in FP32:
the running maximum m and sum l of the exponentials of its scores, and its output o. `merged` joins them in
the order of their ranks, as the GPUs do:

    M' = max(M, m)     a = L exp(M - M')     b = l exp(m - M')     O' = (O a + o b) / (a + b)     L' = a + b

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
from l3sim.ieee import exponential
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s

Halves = NDArray[np.float16]
Singles = NDArray[np.float32]
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
class Partials:
    """Results of KV heads that lie on several ranks, each on one of them; n of them.

    Attributes:
        request, head: which of the work's requests, which KV head, int64, shape (n,).
        step, ranks: how many ranks from the head's first one, and on how many it lies, int64, shape (n,).
        top, total: running maximum and sum of exponentials, shape (n, query heads of a KV head).
        output: shape (n, query heads of a KV head, head size).
    """

    request: Int64s
    head: Int64s
    step: Int64s
    ranks: Int64s
    top: Singles
    total: Singles
    output: Singles

    @classmethod
    def none(cls, queries: int, size: int) -> "Partials":
        """Of heads that each lie on one rank."""
        no, nothing = np.zeros(0, dtype=np.int64), np.zeros((0, queries), dtype=np.float32)
        return cls(no, no, no, no, nothing, nothing, np.zeros((0, queries, size), dtype=np.float32))

    def __len__(self) -> int:
        return len(self.request)


@dataclass(frozen=True, slots=True)
class Attended:
    """The answer to Attend.

    Attributes:
        outputs: shape (requests, heads, head size); zeros where a head does not lie here alone.
        present: which KV heads lie here alone, shape (requests, KV heads).
        device, domain: of each rank that worked, as in OpCost, shape (ranks,).
        duration_ps: of its command stream, int64, shape (ranks,).
        partials: of KV heads that lie on other ranks as well.
    """

    outputs: Halves
    present: Flags
    device: tuple[int, ...]
    domain: tuple[int, ...]
    duration_ps: Int64s
    partials: Partials


@dataclass(frozen=True, slots=True)
class Returned:
    """The answer to ReadBack.

    Attributes:
        k, v: shape (tokens, KV heads, head size); zeros where a head does not lie here.
        present: which KV heads lie here, shape (KV heads,); of each token, shape (tokens, KV heads), where KV
            is striped.
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


def merged(answers: Sequence[Attended]) -> Halves:
    """Outputs of all addresses' answers, partial results merged: shape (requests, heads, head size).

    Raises:
        InvariantBroken: a head lies nowhere, or twice, or one of its ranks is missing.
    """
    whole: Halves = np.zeros_like(answers[0].outputs)
    held: Int64s = np.zeros(answers[0].present.shape, dtype=np.int64)
    queries = whole.shape[1] // held.shape[1]
    for answer in answers:
        here = np.repeat(answer.present, queries, axis=-1)[..., None]
        whole = np.where(here, answer.outputs, whole)
        held += answer.present
    for (request, head), parts in _by_head(answers).items():
        complete = [part.step for part in parts] == list(range(parts[0].ranks))
        held[request, head] += complete
        begin = head * queries
        whole[request, begin : begin + queries] = _joined_parts(parts)
    if not np.all(held == 1):
        raise InvariantBroken("a KV head lies nowhere, twice, or not all its ranks answered; ask all once")
    return whole


@dataclass(frozen=True, slots=True)
class _Part:
    """One of `Partials`, without which head it is of."""

    step: int
    ranks: int
    top: Singles
    total: Singles
    output: Singles


def _by_head(answers: Sequence[Attended]) -> dict[tuple[int, int], list[_Part]]:
    """Every partial result by (request, KV head), in order of step."""
    found: dict[tuple[int, int], list[_Part]] = {}
    for answer in answers:
        some = answer.partials
        for at in range(len(some)):
            key = int(some.request[at]), int(some.head[at])
            part = _Part(
                int(some.step[at]), int(some.ranks[at]), some.top[at], some.total[at], some.output[at]
            )
            found.setdefault(key, []).append(part)
    return {key: sorted(parts, key=lambda part: part.step) for key, parts in found.items()}


def _joined_parts(parts: Sequence[_Part]) -> Halves:
    """Results of one KV head, shape (query heads, head size), rounded to FP16 at the end."""
    top, total, output = parts[0].top, parts[0].total, parts[0].output
    for part in parts[1:]:
        most: Singles = np.maximum(top, part.top)
        before: Singles = total * exponential(top - most)
        here: Singles = part.total * exponential(part.top - most)
        both: Singles = before + here
        output = ((output * before[:, None] + part.output * here[:, None]) / both[:, None]).astype(np.float32)
        top, total = most, both
    return output.astype(np.float16)
