"""Measure a GPU's kernels: `python -m scripts.measure_gpu --model llama-2-7b --out mine.csv`.

Writes a profile (`gpu_profiles`) that `fit_gpu` reads: a line for every TP degree and number of tokens, with
the model's shard measured on one GPU, and decode and prefill attention at one context. Needs torch; with
`--device cpu` it measures a processor, which shows that it works and nothing else.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from l3sim.errors import InvalidInput, L3Error
from l3sim.specs.catalog import load_model
from l3sim.specs.model import ModelShape
from scripts.gpu_profiles import ATTENTION_COLUMNS, COLUMNS, SHAPE_COLUMNS
from scripts.torch_kernels import TorchKernels

#: As Vidur's profiles have them, thinned: tiles and waves show, and an A100 is done in minutes.
TOKENS = (
    *(1, 2, 4, *range(8, 65, 8), *range(80, 257, 16), *range(288, 513, 32)),
    *(*range(576, 1025, 64), *range(1152, 2049, 128), *range(2304, 4097, 256)),
)
#: Decode attention is measured up to so many requests: their KV has to fit beside the weights.
MOST_REQUESTS = 256
HEAD = ("tensor_parallel", "num_tokens", *SHAPE_COLUMNS, *COLUMNS, *ATTENTION_COLUMNS)


class Kernels(Protocol):
    """What is measured; `TorchKernels`, or a stand-in for tests."""

    def times_us(self, tokens: int) -> Mapping[str, float]:
        """Every dense operation by column."""

    def decode_us(self, requests: int, context: int) -> float:
        """Decode attention of so many requests."""

    def prefill_us(self, tokens: int, context: int) -> float:
        """Attention of one chunk."""


def lines(
    model: ModelShape, tp: int, tokens: Sequence[int], context: int, kernels: Kernels
) -> Iterator[Mapping[str, object]]:
    """Measure one TP degree, a line of the profile after the other."""
    hidden = model.heads * model.head_size
    if model.hidden != hidden:
        text = f"hidden ({model.hidden}) is not heads x head size ({hidden}); profiles cannot say that"
        raise InvalidInput(("model", f"{model.name}: {text}"))
    shape = (model.heads, model.kv_heads, hidden, model.ffn, model.vocabulary, model.gated)
    for count in tokens:
        yield {
            "tensor_parallel": tp,
            "num_tokens": count,
            **dict(zip(SHAPE_COLUMNS, shape, strict=True)),
            **{column: f"{value:.3f}" for column, value in kernels.times_us(count).items()},
            "context_tokens": context,
            "attn_decode_us": f"{kernels.decode_us(count, context):.3f}" if count <= MOST_REQUESTS else "",
            "attn_prefill_us": f"{kernels.prefill_us(count, context):.3f}",
        }


def main(words: Sequence[str]) -> int:
    """The command line; returns an exit code."""
    parser = argparse.ArgumentParser(prog="measure_gpu", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--model", required=True, help="name from models/, or a file; its shape is measured")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--tp", type=int, nargs="+", default=[1, 2, 4, 8], help="degrees to measure")
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS, help="numbers of tokens")
    parser.add_argument(
        "--context", type=int, default=1024, help="tokens before those of a pass, for attention"
    )
    parser.add_argument("--device", default="cuda", help="as torch names it")
    parser.add_argument("--repeats", type=int, default=20, help="the median of N measurements counts")
    given = parser.parse_args(words)
    try:
        model = load_model(given.model)
        for tp in given.tp:
            if tp < 1 or model.heads % tp:
                raise InvalidInput(("tp", f"{tp} does not divide the {model.heads} heads of {model.name}"))
        with given.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, HEAD)
            writer.writeheader()
            for tp in given.tp:
                kernels = TorchKernels(model, tp, given.device, given.repeats)
                for line in lines(model, tp, given.tokens, given.context, kernels):
                    writer.writerow(line)
    except L3Error as error:
        print(f"measure_gpu: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
