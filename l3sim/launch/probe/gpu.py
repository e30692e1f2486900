"""`./l3 probe gpu`: the kernels of one layer on one GPU of a tensor-parallel group."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.numbers import whole
from l3sim.clients.options import JsonOption
from l3sim.errors import InvalidInput
from l3sim.specs.job import MAX_DEGREE

if TYPE_CHECKING:
    from l3sim.specs.config import GpuConfig
    from l3sim.specs.model import ModelShape

#: As far as one pass of a machine can go.
MAX_TOKENS = 1_048_576
MAX_CONTEXT = 100_000_000


def gpu(
    gpu: Annotated[str, typer.Option(metavar="NAME|FILE", help="A name from gpus/ or a YAML file.")],
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="A name from models/ or a file.")],
    tokens: Annotated[
        int,
        typer.Option(parser=whole("--tokens", 1, MAX_TOKENS), metavar="T", help="Tokens of the pass."),
    ],
    tp: Annotated[
        int, typer.Option(parser=whole("--tp", 1, MAX_DEGREE), metavar="N", help="GPUs of the group.")
    ] = 1,
    context: Annotated[
        int | None,
        typer.Option(
            parser=whole("--context", 0, MAX_CONTEXT),
            metavar="C",
            help="Also attention: of T requests that hold C tokens each, and of a chunk of T after C.",
        ),
    ] = None,
    level: Annotated[
        str, typer.Option(help="roofline, calibrated or attacc; default: the GPU file's.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Print what one layer of a pass of T tokens takes on one GPU, in microseconds."""
    from l3sim.specs.catalog import load_group, load_model

    shape = load_model(model)
    if shape.heads % tp:
        raise InvalidInput(("tp", f"{tp} does not divide the {shape.heads} heads of {shape.name}"))
    group = load_group(gpu, tp, {"level": level} if level else {})
    values = probe(group, shape, tp, tokens, context)
    if as_json:
        print_json(values)
        return
    where = f"{values['gpu']} ({values['level']})"
    print(
        f"one layer of {shape.name}, {tokens} tokens, TP {tp}, on one {where}; attention is not in layer_us"
    )
    for name, value in values.items():
        if name.endswith("_us") and not isinstance(value, Mapping):
            print(f"  {name.removesuffix('_us'):<18} {value:12.2f} us")
    spent = ", ".join(
        f"{limit} {value:.2f} us" for limit, value in values["layer_limits_us"].items() if value
    )
    print(f"  the layer's time goes to: {spent}")


def probe(
    gpu: "GpuConfig", model: "ModelShape", tp: int, tokens: int, context: int | None = None
) -> dict[str, Any]:
    """Microseconds of one layer, summed by kernel, and what they wait for.

    `embedding_us` and `lm_head_us` (every token sampled) run once a pass and are no part of `layer_us`.

    Args:
        context: tokens that come before; None leaves attention out.
    """
    import numpy as np

    from l3sim.services.gpu.kernels import LIMITS
    from l3sim.services.gpu.model import GroupCosts
    from l3sim.work import Chunk, Op

    group = GroupCosts(gpu, model, tp)
    kernels = dict.fromkeys(("qkv", "attention_output", "ffn_up", "ffn_down", "norm", "all_reduce"), 0.0)
    limits = dict.fromkeys(LIMITS, 0.0)
    for op in (Op.BLOCK_IN, Op.BLOCK_OUT):
        for name, spent in group.kernels(op, tokens, tokens):
            kernels[name] = kernels.get(name, 0.0) + spent.seconds * 1e6
            limits[spent.limit] += spent.work_s * 1e6
            limits["overhead"] += spent.overhead_s * 1e6
    once = dict(group.kernels_s(Op.EMBED, tokens, tokens)) | dict(group.kernels_s(Op.HEAD, tokens, tokens))
    values: dict[str, Any] = {"gpu": gpu.type, "level": gpu.level, "model": model.name, "tp": tp}
    values["tokens"] = tokens
    values |= {f"{name}_us": value for name, value in kernels.items()}
    values["layer_us"] = sum(kernels.values())
    values["layer_limits_us"] = limits
    values |= {f"{name}_us": once.get(name, 0.0) * 1e6 for name in ("embedding", "lm_head")}
    if context is not None:
        contexts = np.full(tokens, context, dtype=np.int64)
        values["decode_attention_us"] = group.attend_decode_ps(contexts) / 1e6
        values["prefill_attention_us"] = group.attend_prefill_ps([Chunk(0, tokens, context, True)]) / 1e6
    return values
