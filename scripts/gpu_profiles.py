"""Measured times of a GPU's kernels: the CSV files that fits and validation read, and `measure_gpu` writes.

One file is one model on one GPU; a line is one tensor-parallel degree and number of tokens; `*_us` columns
are medians in microseconds. The form is that of Vidur's public profiles (Agrawal et al., MLSys 2024).
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.services.gpu.calibrated import gemm_s, stream_work_s
from l3sim.services.gpu.kernels import UNFUSED, Gemm, Stream, widths_of
from l3sim.specs.config import CalibratedGpuConfig, ProfiledGpuConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Floats

#: Name of the kernel that each column times.
COLUMNS: Mapping[str, str] = {
    "emb_us": "embedding",
    "input_layernorm_us": "norm",
    "attn_pre_proj_us": "qkv",
    "attn_rope_us": "rotary",
    "attn_post_proj_us": "attention_output",
    "post_attention_layernorm_us": "norm",
    "mlp_up_proj_us": "ffn_up",
    "mlp_act_us": "activation",
    "mlp_down_proj_us": "ffn_down",
    "add_us": "residual",
}
#: How often each runs in a layer.
IN_LAYER: Mapping[str, int] = {
    column: 2 if kernel == "residual" else 1 for column, kernel in COLUMNS.items() if kernel != "embedding"
}
SHAPE_COLUMNS = ("n_head", "n_kv_head", "n_embd", "n_expanded_embd", "vocab_size", "gated_mlp")
#: Not in every file: attention of `num_tokens` requests that hold so many tokens each, and of a chunk of
#: `num_tokens` after so many; an empty cell was not measured.
ATTENTION_COLUMNS = ("context_tokens", "attn_decode_us", "attn_prefill_us")
_KERNELS = {kernel.name: kernel for kernels in UNFUSED.values() for kernel in kernels}


@dataclass(frozen=True)
class Timed:
    """Measurements of one column; arrays have one element a line.

    Attributes:
        kernel: its name.
        sizes: rows, k, n of a GEMM; rows and elements a row of a stream.
        measured_us: medians.
    """

    kernel: str
    sizes: tuple[Floats, ...]
    measured_us: Floats

    @property
    def is_gemm(self) -> bool:
        """Or else a stream."""
        return len(self.sizes) == 3

    def predicted_us(self, gpu: CalibratedGpuConfig) -> Floats:
        """The same as the model has it."""
        if self.is_gemm:
            return gemm_s(gpu, *self.sizes) * 1e6
        work: Floats = stream_work_s(gpu, self.kernel, *self.sizes)
        return work * 1e6 + gpu.stream_launch_us


@dataclass(frozen=True)
class Attended:
    """Measurements of attention; arrays have one element a measurement.

    Attributes:
        pairs, elements: (query, key) pairs times width, and elements moved, on one GPU.
        measured_us: medians.
    """

    pairs: Floats
    elements: Floats
    measured_us: Floats

    def predicted_us(self, gpu: ProfiledGpuConfig) -> Floats:
        """The same as the model has it."""
        flops = gpu.compute_flops * gpu.attention_compute_efficiency
        bandwidth = gpu.memory_bytes_per_s * gpu.attention_memory_efficiency
        work_s = np.maximum(4 * self.pairs / flops, 2 * self.elements / bandwidth)
        return np.asarray(work_s * 1e6 + gpu.gemm_launch_us)


@dataclass(frozen=True)
class Profile:
    """One file.

    Attributes:
        name: of the file, without folder and ending.
        tp, tokens: of each line.
        timed: by column.
        attended: attention, None where the file has none; `where` leaves it out.
    """

    name: str
    tp: Floats
    tokens: Floats
    timed: Mapping[str, Timed]
    attended: Attended | None = None

    def where(self, lines: "np.typing.NDArray[np.bool_]") -> "Profile":
        """Only some of its lines."""
        timed = {
            column: Timed(one.kernel, tuple(size[lines] for size in one.sizes), one.measured_us[lines])
            for column, one in self.timed.items()
        }
        return Profile(self.name, self.tp[lines], self.tokens[lines], timed)

    def layer_us(self, gpu: CalibratedGpuConfig) -> tuple[Floats, Floats]:
        """Predicted and measured time of one layer without attention and collectives."""
        predicted = sum(times * self.timed[column].predicted_us(gpu) for column, times in IN_LAYER.items())
        measured = sum(times * self.timed[column].measured_us for column, times in IN_LAYER.items())
        return np.asarray(predicted), np.asarray(measured)


def read_profile(path: Path) -> Profile:
    """Read one file.

    Raises:
        InvalidInput: it is no such file; the message names the line.
    """
    rows = _rows(path, ("tensor_parallel", "num_tokens", *SHAPE_COLUMNS, *COLUMNS))
    numbers = {
        column: _numbers(path, column, [row[column] for row in rows])
        for column in ("tensor_parallel", "num_tokens", *COLUMNS)
    }
    tp, tokens = numbers["tensor_parallel"], numbers["num_tokens"]
    widths = [_widths(path, line, row) for line, row in enumerate(rows, 2)]
    timed = {}
    for column, name in COLUMNS.items():
        kernel = _KERNELS[name]
        if isinstance(kernel, Gemm):
            sizes = tuple(np.array([line[side] for line in widths], float) for side in (kernel.k, kernel.n))
        else:
            assert isinstance(kernel, Stream)
            totals = [sum(times * line[side] for side, times in kernel.elements.items()) for line in widths]
            sizes = (np.array(totals, float),)
        timed[column] = Timed(name, (tokens, *sizes), numbers[column])
    return Profile(path.stem, tp, tokens, timed, _attended(path, rows, widths))


def _attended(
    path: Path, rows: Sequence[Mapping[str, str]], widths: Sequence[Mapping[str, int]]
) -> Attended | None:
    if any(column not in rows[0] for column in ATTENTION_COLUMNS):
        return None
    found = []
    for line, (row, width) in enumerate(zip(rows, widths, strict=True), 2):
        for column in ("attn_decode_us", "attn_prefill_us"):
            if not row[column]:
                continue
            try:
                tokens, context, measured = (
                    int(row["num_tokens"]),
                    int(row["context_tokens"]),
                    float(row[column]),
                )
            except ValueError as error:
                raise InvalidInput((f"{path}:{line}", f"{column}: {error}")) from None
            if column == "attn_decode_us":
                keys = pairs = tokens * (context + 1)
            else:
                keys, pairs = context + tokens, tokens * context + tokens * (tokens + 1) // 2
            elements = 2 * width["attention"] * tokens + 2 * width["kv"] * keys
            found.append((float(width["attention"] * pairs), float(elements), measured))
    return Attended(*np.array(found).T) if found else None


@dataclass(frozen=True)
class AllReduces:
    """Measured all-reduces; arrays have one element a line, sorted by topology and size."""

    gpus: Floats
    gpus_per_node: Floats
    size_bytes: Floats
    measured_us: Floats

    def where(self, lines: "np.typing.NDArray[np.bool_]") -> "AllReduces":
        """Only some of its lines."""
        return AllReduces(
            self.gpus[lines], self.gpus_per_node[lines], self.size_bytes[lines], self.measured_us[lines]
        )


def read_all_reduces(path: Path) -> AllReduces:
    """Read a file of all-reduces.

    Raises:
        InvalidInput: it is no such file.
    """
    columns = ("num_workers", "devices_per_node", "bytes", "all_reduce_us")
    rows = _rows(path, columns)
    arrays = [_numbers(path, column, [row[column] for row in rows]) for column in columns]
    order = np.lexsort((arrays[2], arrays[1], arrays[0]))
    return AllReduces(*(array[order] for array in arrays))


def _rows(path: Path, columns: Iterable[str]) -> Sequence[Mapping[str, str]]:
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput((str(path), f"cannot be read: {error}")) from None
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput((f"{path}:1", f"no column {missing[0]!r}; docs/gpus.md shows the form"))
    if not rows:
        raise InvalidInput((str(path), "no measurements below its head"))
    return rows


def _numbers(path: Path, column: str, texts: Sequence[str]) -> Floats:
    values = np.zeros(len(texts))
    for index, text in enumerate(texts):
        try:
            values[index] = float(text)
        except (TypeError, ValueError):
            raise InvalidInput((f"{path}:{index + 2}", f"{column}: {text!r} is no number")) from None
        if not 0 < values[index] < 1e15:
            raise InvalidInput((f"{path}:{index + 2}", f"{column}: must be above 0, got {text}"))
    return values


def _widths(path: Path, line: int, row: Mapping[str, str]) -> Mapping[str, int]:
    if row["gated_mlp"] not in ("True", "False"):
        raise InvalidInput((f"{path}:{line}", f"gated_mlp: must be True or False, got {row['gated_mlp']!r}"))
    try:
        heads, hidden = int(row["n_head"]), int(row["n_embd"])
        model = ModelShape(
            name=path.stem,
            layers=1,
            heads=heads,
            kv_heads=int(row["n_kv_head"]),
            head_size=hidden // max(heads, 1),
            hidden=hidden,
            ffn=int(row["n_expanded_embd"]),
            gated=row["gated_mlp"] == "True",
            vocabulary=int(row["vocab_size"]),
            tied_embeddings=False,
            learned_positions=0,
            biases=False,
            default_tp=1,
            source="a profile",
        )
    except ValueError as error:
        raise InvalidInput((f"{path}:{line}", str(error))) from None
    return widths_of(model, int(row["tensor_parallel"]))
