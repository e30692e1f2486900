"""Layers that are built otherwise than the common one: what a model changes of a program's `block_out`.

    common              attention_output, all_reduce, norm, FFN, all_reduce
    parallel_attention  attention_output,             norm, FFN, all_reduce          summed once for both
    ... shared_norm     attention_output,                   FFN, all_reduce
    post_norms          attention_output, all_reduce, norm, norm, FFN, all_reduce, norm
    experts             FFN = router, top_k, ffn_up, activation, ffn_down, combine

The residual, where a program has it, is added where the sum is: once for parallel layers.
"""

from collections.abc import Sequence

from l3sim.services.gpu.experts import mixture
from l3sim.services.gpu.kernels import Kernel, Program
from l3sim.specs.model import ModelShape
from l3sim.work import Op


def program_of(program: Program, model: ModelShape) -> Program:
    """A program whose `block_out` is that of a model."""
    block = list(program[Op.BLOCK_OUT])
    norm = next(kernel for kernel in block if kernel.name == "norm")
    before, after = block[: block.index(norm)], block[block.index(norm) + 1 :]
    if model.experts:
        after = [*mixture(model.experts, model.experts_per_token), *_behind(after, "ffn_down")]
    if model.parallel_attention:
        before = [kernel for kernel in before if kernel.name not in ("all_reduce", "residual")]
    if model.post_norms:
        before, after = _normed(before, norm), _normed(after, norm)
    middle = [] if model.shared_norm else [norm]
    return {**program, Op.BLOCK_OUT: (*before, *middle, *after)}


def _behind(kernels: Sequence[Kernel], name: str) -> Sequence[Kernel]:
    """Kernels after the one of a name."""
    names = [kernel.name for kernel in kernels]
    return kernels[names.index(name) + 1 :]


def _normed(kernels: Sequence[Kernel], norm: Kernel) -> list[Kernel]:
    """Kernels with a norm after the all-reduce."""
    found = [[kernel, norm] if kernel.name == "all_reduce" else [kernel] for kernel in kernels]
    return [kernel for pair in found for kernel in pair]
