"""Fit GPU files to measured kernels: `python -m scripts.fit_kernels TABLES GPU.yaml...`.

Finds the parameters of GEMMs, attention and all-reduces (`services/gpu/`) from the part of the tables that
`kernel_tables.py` calls fitted, and rewrites them in the GPU files; everything else there stays. Robust least
squares on the logarithm of time, one kind after the other. Under a minute a GPU; the same tables, the same
result.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from l3sim.errors import InvalidInput, L3Error
from l3sim.specs.catalog import load_group
from l3sim.specs.config import MeasuredGpuConfig
from l3sim.units import Floats
from scripts.fit_gpu import fit_keys, write
from scripts.kernel_tables import BORROWED, KINDS, PREFIXES, Rows, read

#: Order of magnitude of every fitted parameter, by the kind that it is fitted to, of no GPU in particular.
PRIORS: Mapping[str, Mapping[str, float]] = {
    "gemm": {
        "gemm_compute_efficiency": 0.8,
        "gemm_memory_efficiency": 0.8,
        "gemm_cache_bytes_per_s": 150e9,
        "gemm_launch_us": 3.0,
        "gemm_tile_us": 1.0,
        "gemm_interference": 0.3,
        "gemm_tail_share": 0.5,
        "gemm_reduce_us": 2.0,
    },
    "decode": {
        "decode_launch_us": 7.0,
        "decode_cta_us": 1.5,
        "decode_block_us": 2.0,
        "decode_memory_efficiency": 0.85,
        "decode_interference": 0.3,
        "decode_tail_share": 0.3,
        "decode_combine_us": 3.0,
        "decode_split_us": 0.1,
        "decode_regroup_us": 5.0,
    },
    "prefill": {
        "prefill_launch_us": 7.0,
        "prefill_cta_us": 1.5,
        "prefill_block_us": 2.0,
        "prefill_compute_efficiency": 0.6,
        "prefill_memory_efficiency": 0.7,
        "prefill_interference": 0.3,
        "prefill_chain_share": 0.5,
    },
    "custom": {
        "custom_latency_us": 4.5,
        "custom_rank_us": 0.15,
        "custom_one_shot_bytes_per_s": 200e9,
        "custom_two_shot_us": 5.0,
        "custom_two_shot_bytes_per_s": 250e9,
    },
    "nccl": {
        "nccl_latency_us": 5.0,
        "nccl_rank_us": 2.0,
        "nccl_ll_bytes_per_s": 15e9,
        "nccl_ll128_latency": 0.2,
        "nccl_ll128_bytes_per_s": 150e9,
        "nccl_simple_latency": 2.5,
        "nccl_simple_bytes_per_s": 300e9,
        "nccl_switch_bytes_per_s": 300e9,
    },
    "eager": {"all_reduce_eager_us": 30.0},
}
#: Which table of a GPU a kind comes from.
TABLES: Mapping[str, str] = {
    "gemm": "gemm",
    "decode": "generation_attention",
    "prefill": "context_attention",
    "custom": "custom-all-reduce",
    "nccl": "nccl",
    "eager": "custom-all-reduce",
}
#: Rows that a fit takes, evenly spread over the table.
MOST_ROWS = 4000


def fit(gpu: MeasuredGpuConfig, rows: Rows) -> MeasuredGpuConfig:
    """The GPU with one kind's parameters fitted to the rows that are not held out."""
    keys = keys_of(gpu, rows.kind)
    prior = {key: PRIORS[rows.kind][key] for key in keys}
    some = rows.where(~rows.held)
    if rows.kind == "custom":  # the others are NCCL's
        ranks, size = some.sizes
        some = some.where((ranks <= gpu.custom_most_ranks) & (size < gpu.custom_below_bytes))
    every = np.arange(len(some.measured_us)) % max(1, -(-len(some.measured_us) // MOST_ROWS)) == 0
    some = some.where(every)

    def errors(trial: MeasuredGpuConfig) -> Floats:
        return np.asarray(np.log(some.predicted_us(trial) / some.measured_us))

    return fit_keys(gpu, keys, prior, errors)


def keys_of(gpu: MeasuredGpuConfig, kind: str) -> tuple[str, ...]:
    """What is fitted to a kind: what a GPU does not have (an in-switch sum, a split, a copy) is not."""
    return tuple(key for key in PRIORS[kind] if getattr(gpu, key))


def main(words: Sequence[str]) -> int:
    """The command line; returns an exit code."""
    parser = argparse.ArgumentParser(prog="fit_kernels", description=str(__doc__).partition("\n")[0])
    parser.add_argument("tables", type=Path, help="folder of aiconfigurator's tables")
    parser.add_argument("gpus", type=Path, nargs="+", help="GPU files with all keys; they are rewritten")
    given = parser.parse_args(words)
    try:
        for path in given.gpus:
            _fit_file(given.tables, path)
    except L3Error as error:
        print(f"fit_kernels: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _fit_file(tables: Path, path: Path) -> None:
    gpu = load_group(f"./{path}" if not path.is_absolute() else str(path), 1, {})
    if not isinstance(gpu, MeasuredGpuConfig) or gpu.type not in PREFIXES:
        text = f"needs all keys of measured attention and collectives, and a name of {', '.join(PREFIXES)}"
        raise InvalidInput((str(path), text))
    sources: dict[str, str] = {}
    for kind in (kind for kind in KINDS if kind not in BORROWED.get(gpu.type, ())):
        rows = read(tables, gpu, gpu.type, kind)
        gpu = fit(gpu, rows)
        table = f"{PREFIXES[gpu.type]}-{TABLES[kind]}"
        source = f"fitted by scripts/fit_kernels.py to {table} (aiconfigurator's public tables, Apache-2.0)"
        sources |= dict.fromkeys(keys_of(gpu, kind), source)
        held = np.abs(rows.where(rows.held).errors(gpu))
        median, high = np.quantile(held, [0.5, 0.9])
        print(f"{gpu.type} {kind}: held out {len(held)}, median {median:.1%}, 90th percentile {high:.1%}")
    write(path, gpu, sources)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
