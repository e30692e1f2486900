"""The GPU side: what the operations of one replica's tensor-parallel group cost.

The GPUs of a group are in step; times are those of one GPU, the one with the largest share. Elements have 2
bytes. The kernels of each operation stand in `kernels.py`, what a model changes of them in `layers.py`, what
they cost in `roofline.py` or, fitted to measurements, in `calibrated.py`; attention is in `attention.py` and
`fused.py`.
"""

from collections.abc import Iterator, Mapping, Sequence

from l3sim.errors import InvalidInput
from l3sim.services.gpu.attacc import PROGRAM, AttAcc, AttAccAttention
from l3sim.services.gpu.calibrated import Calibrated
from l3sim.services.gpu.fused import AttentionCosts, attention_of
from l3sim.services.gpu.kernels import (
    FUSED,
    LIMITS,
    UNFUSED,
    Level,
    Program,
    Spent,
    merged_elements,
    widths_of,
)
from l3sim.services.gpu.layers import program_of
from l3sim.services.gpu.roofline import Roofline
from l3sim.specs.config import ATTACC_KEYS, CALIBRATION_KEYS, AttAccGpuConfig, CalibratedGpuConfig, GpuConfig
from l3sim.specs.model import ModelShape
from l3sim.units import PS_PER_S, Int64s, ps
from l3sim.work import Chunk, Op

LEVELS = ("roofline", "calibrated", "attacc")
DENSE = (Op.EMBED, Op.BLOCK_IN, Op.BLOCK_OUT, Op.HEAD)


class GroupCosts:
    """Costs of one replica's group: one layer of each operation, all of one pass for embed and head."""

    def __init__(self, gpu: GpuConfig, model: ModelShape, tp: int) -> None:
        self._level, program = _level_of(gpu, tp)
        self._program = program_of(program, model)
        self._layers = model.layers
        self._head_size = model.head_size
        self._widths = widths_of(model, tp)
        self._attention = _attention_of(gpu, self._widths, model, tp, self._level)

    def kernels(self, op: Op, tokens: int, sampled: int) -> Iterator[tuple[str, Spent]]:
        """Name and time of each kernel of a dense operation; one without rows does not run."""
        for kernel in self._program[op]:
            rows = sampled if kernel.sampled else tokens
            spent = kernel.spent(rows, self._widths, self._level) if rows else None
            if spent is not None:
                yield kernel.name, spent

    def kernels_s(self, op: Op, tokens: int, sampled: int) -> list[tuple[str, float]]:
        """The same in seconds."""
        return [(name, spent.seconds) for name, spent in self.kernels(op, tokens, sampled)]

    def dense_ps(self, op: Op, tokens: int, sampled: int) -> int:
        """Cost of embed, block_in, block_out or head over `tokens` >= 1 tokens, `sampled` of them sampled.

        A head that samples nothing (a prefill chunk that is not its prompt's last) is its norm only.

        Raises:
            ValueError: it is above `units.MAX_COST_PS`.
        """
        return ps(sum(seconds for _, seconds in self.kernels_s(op, tokens, sampled)))

    def pass_limits_ps(self, tokens: int, sampled: int) -> dict[str, int]:
        """What all dense operations of a whole pass wait for, by `LIMITS`; sums to their costs exactly."""
        total = dict.fromkeys(LIMITS, 0)
        for op in DENSE:
            times = self._layers if op in (Op.BLOCK_IN, Op.BLOCK_OUT) else 1
            spent = [spent for _, spent in self.kernels(op, tokens, sampled)]
            for limit, part in _split_ps(spent).items():
                total[limit] += times * part
        return total

    def prefill_limits_ps(self, chunks: Sequence[Chunk]) -> dict[str, int]:
        """The same of a pass's prefill attention, all layers."""
        parts = _split_ps([self._attention.prefill(chunks)])
        return {limit: self._layers * part for limit, part in parts.items()}

    def decode_limits_ps(self, context: Int64s, rounds: int) -> dict[str, int]:
        """The same of decode attention over so many successive rounds, all layers."""
        total = int(self.attend_rounds_ps(context, rounds).sum())
        overhead = rounds * int(self._attention.overhead_s * PS_PER_S)
        return {"attention": self._layers * (total - overhead), "overhead": self._layers * overhead}

    def merge(self, parts: int, requests: int) -> Spent:
        """Merging partial results of striped decode attention in one layer; see `kernels.merge`."""
        return self._level.stream("merge", 1, merged_elements(parts, requests, self._widths, self._head_size))

    def merge_limits_ps(self, parts: int, requests: int) -> dict[str, int]:
        """What that waits for over all layers, by `LIMITS`; nothing where there is nothing to merge."""
        if not parts:
            return {}
        split = _split_ps([self.merge(parts, requests)])
        return {limit: self._layers * part for limit, part in split.items()}

    def attend_prefill_ps(self, chunks: Sequence[Chunk]) -> int:
        """Cost of causal attention of a pass's chunks in one layer.

        Raises:
            ValueError: it is above `units.MAX_COST_PS`.
        """
        return ps(self._attention.prefill(chunks).seconds)

    def attend_decode_ps(self, context: Int64s) -> int:
        """Cost of decode attention in one layer, of requests that hold so many tokens before the new one.

        Raises:
            ValueError: it is above `units.MAX_COST_PS`.
        """
        return int(self.attend_rounds_ps(context, 1)[0])

    def attend_rounds_ps(self, context: Int64s, rounds: int) -> Int64s:
        """The same in successive rounds, in which every request holds one token more: shape (rounds,)."""
        return ps(self._attention.decode_s(context, rounds))


def _split_ps(spent: Sequence[Spent]) -> dict[str, int]:
    """Time of one operation by what it waits for; the largest part takes what rounding leaves."""
    seconds = dict.fromkeys(LIMITS, 0.0)
    for one in spent:
        seconds[one.limit] += one.work_s
        seconds["overhead"] += one.overhead_s
    parts = {limit: int(value * PS_PER_S) for limit, value in seconds.items()}
    largest = max(LIMITS, key=lambda limit: seconds[limit])
    parts[largest] += ps(sum(one.seconds for one in spent)) - sum(parts.values())
    return parts


def _level_of(gpu: GpuConfig, tp: int) -> tuple[Level, Program]:
    if gpu.level == "attacc":
        if not isinstance(gpu, AttAccGpuConfig):
            text = f"attacc needs {', '.join(ATTACC_KEYS[:2])} and the like (docs/gpus.md); say roofline"
            raise InvalidInput(("gpu.level", text))
        return AttAcc(gpu, tp), PROGRAM
    if gpu.level != "calibrated":
        return Roofline(gpu, tp), FUSED
    if not isinstance(gpu, CalibratedGpuConfig):
        text = f"calibrated needs {', '.join(CALIBRATION_KEYS[:2])} and the like (docs/gpus.md); say roofline"
        raise InvalidInput(("gpu.level", text))
    return Calibrated(gpu, tp), UNFUSED


def _attention_of(
    gpu: GpuConfig, widths: Mapping[str, int], model: ModelShape, tp: int, level: Level
) -> AttentionCosts:
    if isinstance(level, AttAcc) and isinstance(gpu, AttAccGpuConfig):
        heads, kv_heads = -(-model.heads // tp), -(-model.kv_heads // tp)
        return AttAccAttention(gpu, level, heads, kv_heads, model.head_size)
    return attention_of(gpu, widths, model.head_size)
