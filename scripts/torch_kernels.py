"""The operations of a transformer layer as torch runs them, for `measure_gpu`; torch is optional.

One GPU plays its share of a tensor-parallel group: shapes are those of `widths_of` in
services/gpu/kernels.py, and nothing is communicated. Names of operations are the columns of the profiles.
"""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from l3sim.errors import NotReady
from l3sim.services.gpu.kernels import widths_of
from l3sim.specs.model import ModelShape

#: Runs before the clock starts: libraries choose their kernels, clocks of the GPU rise.
WARM_UP = 3


def torch_or_refuse() -> Any:
    """The torch module.

    Raises:
        NotReady: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise NotReady("measuring needs torch, which is not installed; .venv/bin/pip install torch") from None
    return torch


class TorchKernels:
    """Operations of one model's shard on one device.

    Args:
        device: "cuda", "cuda:1", "cpu".
        repeats: how often each is timed; the median counts.
    """

    def __init__(self, model: ModelShape, tp: int, device: str, repeats: int) -> None:
        self._torch = torch_or_refuse()
        self._repeats = repeats
        self._on = {
            "device": device,
            "dtype": self._torch.float16 if "cuda" in device else self._torch.float32,
        }
        self._model = model
        self._widths = widths = widths_of(model, tp)
        self._table = self._random(model.vocabulary, widths["hidden"])
        self._weights = {
            name: self._random(n, k)
            for name, (n, k) in {
                "attn_pre_proj_us": (widths["qkv"], widths["hidden"]),
                "attn_post_proj_us": (widths["hidden"], widths["attention"]),
                "mlp_up_proj_us": (widths["ffn_up"], widths["hidden"]),
                "mlp_down_proj_us": (widths["hidden"], widths["ffn"]),
            }.items()
        }

    def times_us(self, tokens: int) -> dict[str, float]:
        """Median time of every dense operation over so many tokens."""
        return {name: self._timed(run) for name, run in self._dense(tokens).items()}

    def decode_us(self, requests: int, context: int) -> float:
        """Decode attention: one new token of each request, which then holds `context` + 1."""
        return self._attention_us(requests, 1, context + 1)

    def prefill_us(self, tokens: int, context: int) -> float:
        """Causal attention of one chunk of tokens, `context` tokens after the beginning."""
        return self._attention_us(1, tokens, context + tokens)

    def _dense(self, tokens: int) -> Mapping[str, Callable[[], Any]]:
        functional, widths = self._torch.nn.functional, self._widths
        hidden, residual = self._random(tokens, widths["hidden"]), self._random(tokens, widths["hidden"])
        scale = self._random(widths["hidden"])
        ids = self._torch.randint(self._model.vocabulary, (tokens,), device=self._on["device"])
        inner = {name: self._random(tokens, weight.shape[1]) for name, weight in self._weights.items()}
        up = self._random(tokens, widths["ffn_up"])
        turned = self._random(tokens, max(widths["rotary"], 2))
        cosine, sine = self._random(*turned.shape), self._random(*turned.shape)

        def norm() -> Any:
            return functional.rms_norm(hidden, (widths["hidden"],), scale)

        def rotary() -> Any:
            first, second = turned.chunk(2, dim=-1)
            return turned * cosine + self._torch.cat((-second, first), dim=-1) * sine

        def activation() -> Any:
            if not self._model.gated:
                return functional.gelu(up)
            gate, value = up.chunk(2, dim=-1)
            return functional.silu(gate) * value

        gemms = {
            name: lambda x=inner[name], w=weight: functional.linear(x, w)
            for name, weight in self._weights.items()
        }
        return {
            "emb_us": lambda: functional.embedding(ids, self._table),
            "input_layernorm_us": norm,
            "attn_rope_us": rotary,
            "post_attention_layernorm_us": norm,
            "mlp_act_us": activation,
            "add_us": lambda: hidden + residual,
            **gemms,
        }

    def _attention_us(self, batch: int, queries: int, keys: int) -> float:
        size = self._model.head_size
        heads, kv_heads = self._widths["attention"] // size, self._widths["kv"] // size
        q = self._random(batch, heads, queries, size)
        k, v = self._random(batch, kv_heads, keys, size), self._random(batch, kv_heads, keys, size)
        how: dict[str, Any] = {"enable_gqa": True} if heads != kv_heads else {}
        if queries == keys:
            how["is_causal"] = True
        elif queries > 1:
            # Query i, of the last `queries` positions, sees all keys up to its own position.
            mask = self._torch.ones(queries, keys, dtype=self._torch.bool, device=self._on["device"])
            how["attn_mask"] = mask.tril(keys - queries)
        attend = self._torch.nn.functional.scaled_dot_product_attention
        return self._timed(lambda: attend(q, k, v, **how))

    def _random(self, *shape: int) -> Any:
        return self._torch.randn(*shape, **self._on)

    def _timed(self, run: Callable[[], Any]) -> float:
        for _ in range(WARM_UP):
            run()
        if "cuda" not in str(self._on["device"]):
            return median(_wall_us(run) for _ in range(self._repeats))
        cuda = self._torch.cuda
        cuda.synchronize()
        pairs = []
        for _ in range(self._repeats):
            begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
            begin.record()
            run()
            end.record()
            pairs.append((begin, end))
        cuda.synchronize()
        return float(median(begin.elapsed_time(end) * 1000 for begin, end in pairs))


def _wall_us(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return max(time.perf_counter() - begin, 1e-9) * 1e6
