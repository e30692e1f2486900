"""Small ranks for the tests of functional work, and attention in float64."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l3sim.placement import layout_of
from l3sim.services.dimm_pim.functional.execute import NewToken
from l3sim.services.dimm_pim.functional.memory import Key
from l3sim.services.dimm_pim.functional.numeric import Halves
from l3sim.services.dimm_pim.functional.rank import Rank
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from tests.services.builders import machine, reshaped

Doubles = NDArray[np.float64]

ROOM = 2**27


@cache
def small_kernel(
    n_hc: int = 2, queries: int = 1, rows_slots: int = 1, dims: int = 16, **settings: Any
) -> Kernel:
    """The smallest head for a number of chips, and rows that hold `rows_slots` tokens of K a bank.

    Args:
        dims: elements of a head in one chip.
    """
    values = {"n_hc": n_hc, "row_bytes": 2 * dims * rows_slots, **settings}
    on = machine("l3-mini", **{f"attention__{key}": value for key, value in values.items()})
    model = reshaped("llama-2-7b", heads=8 * queries, kv_heads=8, head_size=dims * n_hc)
    return kernel_of(on.attention, model, layout_of(on.attention, model, 1, 1))


class Oracle:
    """A rank beside plain arrays of the same K and V."""

    def __init__(self, kernel: Kernel, seed: int = 0, spread: float = 2.0, room: int = ROOM) -> None:
        self.kernel = kernel
        self.rank = Rank(kernel, room)
        self.k: dict[Key, Halves] = {}
        self.v: dict[Key, Halves] = {}
        self._random = np.random.default_rng(seed)
        self._spread = spread

    def draw(self, *shape: int) -> Halves:
        return (self._random.standard_normal(shape) * self._spread).astype(np.float16)

    def offload(self, key: Key, tokens: int) -> None:
        """Append drawn tokens."""
        at = self.kernel.geometry
        k, v = (self.draw(tokens, at.heads, at.head_size) for _ in range(2))
        self.rank.write(key, len(self.k.get(key, ())), k, v)
        self._append(key, k, v)

    def attend(self, *keys: Key) -> tuple[list[Halves], list[Doubles], list[Doubles]]:
        """Attend a drawn token of each; returns outputs, what they should be, and how far off they may be."""
        at = self.kernel.geometry
        new = [
            NewToken(
                tokens=len(self.k.get(key, ())) + 1,
                q=self.draw(at.heads, at.queries, at.head_size),
                k=self.draw(at.heads, at.head_size),
                v=self.draw(at.heads, at.head_size),
            )
            for key in keys
        ]
        units, self.outcome = self.rank.attend(keys, new)
        outputs = [unit.output for unit in units]
        for key, token in zip(keys, new, strict=True):
            assert token.k is not None
            assert token.v is not None
            self._append(key, token.k[None], token.v[None])
        told = [
            reference(self.kernel, token.q, self.k[key], self.v[key])
            for key, token in zip(keys, new, strict=True)
        ]
        return outputs, [told_one[0] for told_one in told], [told_one[1] for told_one in told]

    def _append(self, key: Key, k: Halves, v: Halves) -> None:
        empty = k[:0]
        self.k[key] = np.concatenate([self.k.get(key, empty), k])
        self.v[key] = np.concatenate([self.v.get(key, empty), v])


def reference(kernel: Kernel, q: Halves, k: Halves, v: Halves, parts: int = 0) -> tuple[Doubles, Doubles]:
    """Attention in float64, and a bound on what the module's may differ; shape (heads, queries, head size).

    With u = 2^-24 (FP32), h = 2^-11 (FP16), a the unit round-off of the sums, g(n, a) = n a / (1 - n a):

    1. A score is a sum of E_h products in some order, then scaled: off by g(2 E_h + 2, a) sum |q k| /
       sqrt(E_h) at most (Higham, Accuracy and Stability, section 3.1; with FP32 sums the products are exact).
       Call the largest e, and R the largest distance of two scores of a query, 2 max |s| + 2 e.
    2. A weight is exp(s - m) / l, made by at most c + 3 exponentials (c chunks rescale l), each of an FP32
       difference up to R, off by u R, and itself off by 2 u; by two roundings to FP16 (p and S) and the one
       of each p in l; by a sum of t terms and a product for each chunk; and by numerator and denominator
       having scores that are off by e. So it is (1 + d) what it should be, with
       |d| <= exp(2 e + (c + 3) u (R + 4) + g(t + c, u)) (1 + h)^2 / (1 - h) - 1.
    3. FP16 has no relative accuracy below 2^-14: each p, S, and the sum of p in l (which is 1 at least) may
       lose 2^-25 a token.
    4. An output sums t products in some order: g(2 t, a) sum w |v|; segments join by a few more operations on
       positive weights, each off as in step 2; the result is rounded to FP16. FP16 sums may lose 2^-25 in
       each product and each addition besides.
    """
    u, h, tiny = 2.0**-24, 2.0**-11, 2.0**-25
    halves = kernel.pim.result_bytes == 2
    a = h if halves else u  # FP64 sums end in the unit's FP32
    wide_q, wide_k, wide_v = (array.astype(np.float64) for array in (q, k, v))
    tokens, size = len(k), q.shape[-1]
    scale = 1 / np.sqrt(size)
    scores = np.einsum("hqe,the->thq", wide_q, wide_k) * scale
    weights = np.exp(scores - scores.max(axis=0))
    weights /= weights.sum(axis=0)
    outputs = np.einsum("thq,the->hqe", weights, wide_v)

    sizes = np.einsum("hqe,the->thq", abs(wide_q), abs(wide_k)) * scale
    off = (_gamma(2 * size + 2, a) * sizes).max(axis=0) + halves * 2 * size * tiny * scale
    reach = 2 * abs(scores).max(axis=0) + 2 * off
    # Partial results of several ranks join as segments do.
    chunks = -(-tokens // 16) + -(-tokens // kernel.segment_tokens) + 2 * parts
    relative = np.exp(2 * off + (chunks + 3) * u * (reach + 4) + _gamma(tokens + chunks, u))
    relative = relative * (1 + h) ** 2 / (1 - h) - 1
    total = np.einsum("thq,the->hqe", weights, abs(wide_v))
    most = abs(wide_v).max(axis=0)[:, None, :]
    bound = total * relative[:, :, None] + 3 * tokens * tiny * most * (1 + relative[:, :, None])
    bound = bound + _gamma(2 * tokens, a) * (total + bound) + halves * 2 * tokens * tiny
    return outputs, bound * (1 + h) + abs(outputs) * h + tiny


def _gamma(count: int, unit: float) -> float:
    """Higham's g(n, u); no bound where n u reaches 1."""
    return count * unit / (1 - count * unit) if count * unit < 1 else np.inf
