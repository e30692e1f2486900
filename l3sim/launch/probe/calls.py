"""One attend call of a rank or a stack at each level, and what it took: parts of the time, buses, energy.

The parts are *exposed* time: each cycle of the rank is put down to one cause, so that they sum to the whole,
and what is hidden behind the banks' work is in none of them.

    score, context   the banks multiply: a column every CCD_L
    softmax          the rank's unit computes           collect  results on their way to it
    stream           S on its way to the banks          query    Q on its way
    row              rows close and open                refresh  the rank refreshes
    write            the new token's K and V            relayout the processor's copies (relayout: cpu)
    host             a transfer of the host's
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l3sim.placement import Layout
from l3sim.services.dimm_pim.roofline import head_group
from l3sim.services.dram.command.columns import Took
from l3sim.services.dram.command.commands import ISSUED, Command
from l3sim.services.dram.command.energy import weights
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.program import Cause, Phase
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Floats, Int64s, nj, ps

PARTS = (
    *("score", "softmax", "context", "collect", "stream", "query"),
    *("row", "write", "relayout", "refresh", "host"),
)
_CAUSES = {part: Cause[part.upper()] for part in PARTS if part not in {"score", "context"}}
_OUTER = (Command.RD, Command.WR, Command.PIM_WR_SB, Command.PIM_RD_RB)
_INNER = (Command.PIM_MAC, Command.PIM_LD_SB)


@dataclass(frozen=True)
class Call:
    """What one rank does in one layer; None is what a level cannot say.

    Attributes:
        parts_us: by PARTS; those that are known sum to time_us. energy_j: in all.
        energy_parts_j: sum to energy_j. commands: of the rank, by name, only those that there are.
        row_activations, row_hits: of a bank in all chips at once; a hit finds its row open.
        bus_busy: share of the time, "inner" and "outer".
    """

    time_us: float
    parts_us: Mapping[str, float | None]
    energy_j: float
    energy_parts_j: Mapping[str, float] | None = None
    commands: Mapping[str, int] | None = None
    row_activations: int | None = None
    row_hits: int | None = None
    bus_busy: Mapping[str, float] | None = None


class Caller(ABC):
    """Costs calls over equal head groups at the level of a module.

    Attributes:
        kernel: what runs under one DRAM controller; None at level `roofline`.
    """

    def __init__(self, level: str, kernel: Kernel | None) -> None:
        self.kernel = kernel
        self._level = level

    def call(self, tokens: Int64s, appends: Sequence[bool] | None = None) -> Call:
        """Head groups over so many tokens each, the new one included: shape (head groups,).

        Args:
            appends: whether the new token of each lies here; None: of all.
        """
        if self.kernel is None:
            return self.roofline(*np.unique(tokens, return_counts=True))
        share = np.array([self.share(one) for one in tokens.tolist()], dtype=np.int64)
        if self._level == "command":
            # The compiler is loaded by those who run commands.
            from l3sim.services.dram.command.result import attend

            return call_of(
                self.kernel, attend(self.kernel, share.tolist(), appends=appends), self.weights(self.kernel)
            )
        from l3sim.services.dram.fast.table_cache import table_of

        took = table_of(self.kernel).call(share, appends)
        return call_of(self.kernel, took, self.weights(self.kernel))

    @abstractmethod
    def roofline(self, tokens: Int64s, groups: Int64s) -> Call:
        """The same at level `roofline`: so many head groups of each count of tokens, shape (counts,) both."""

    @abstractmethod
    def share(self, tokens: int) -> int:
        """Tokens of a head group under the controller that has most of them."""

    @abstractmethod
    def weights(self, kernel: Kernel) -> Mapping[str, Floats]:
        """Picojoules of each column of what a call took, by part."""


class DimmCaller(Caller):
    """Calls of one rank of a DIMM.

    Raises:
        InvalidInput: the model does not fit the chips or buffers; the field is a key of the section.
    """

    def __init__(self, pim: DimmPimConfig, model: ModelShape, layout: Layout) -> None:
        super().__init__(pim.level, None if pim.level == "roofline" else kernel_of(pim, model, layout))
        self.pim, self.model, self.layout = pim, model, layout

    def share(self, tokens: int) -> int:
        """See Caller."""
        return tokens

    def weights(self, kernel: Kernel) -> Mapping[str, Floats]:
        """See Caller."""
        return weights(kernel)

    def roofline(self, tokens: Int64s, groups: Int64s) -> Call:
        """See Caller."""
        group = head_group(self.pim, self.model, self.layout)
        time_ps = int(groups @ ps(group.cost_s(tokens)))
        compute, collect = group.compute_s(tokens), group.collect_s(tokens)
        softmax, stream = group.softmax_s(tokens), group.stream_s(tokens)
        if group.pipelining:
            # Only what the banks wait for is seen: the longest, beyond their own work.
            beyond = np.maximum(np.maximum(collect, softmax), compute) - compute
            first = collect >= softmax
            collect, softmax = np.where(first, beyond, 0.0), np.where(first, 0.0, beyond)
            stream = np.maximum(stream - compute, 0.0)
        rows = group.rows(tokens)
        query = group.pass_s + group.head_size * group.queries * group.heads * 2 / group.rank_bytes_per_s
        seconds = {
            "score": compute,
            "context": compute,
            "softmax": softmax,
            "stream": stream,
            "query": query,
            "collect": collect + group.ends_s - query,
            "row": rows * group.row_s,
        }
        return Call(
            time_us=time_ps / 1e6,
            parts_us=summed_us(seconds, groups),
            energy_j=float(nj(self.pim.rank_active_w, np.array([time_ps]))[0]) / 1e9,
            row_activations=int(groups @ rows) * group.banks,
        )


def call_of(kernel: Kernel, took: Took, picojoules: Mapping[str, Floats]) -> Call:
    """A call of level `command` or `fast`; `picojoules` of each column, by part."""
    pim = kernel.pim
    parts = {part: took.cause(cause) for part, cause in _CAUSES.items()}
    parts["score"] = took.cause(Cause.COMPUTE, phase=Phase.SCORE)
    parts["context"] = took.cause(Cause.COMPUTE) - parts["score"]
    count = took.command
    activations = count(Command.ACT) + count(Command.ACTA) * pim.banks_per_chip
    columns = sum(count(command) for command in (Command.RD, Command.WR, Command.PIM_LD_SB))
    columns += count(Command.PIM_MAC) * kernel.geometry.units
    energy_j = {part: float(took.values @ of) / 1e12 for part, of in picojoules.items()}
    busy = {
        "inner": sum(map(count, _INNER)) * pim.mac_tck,
        "outer": sum(map(count, _OUTER)) * pim.burst_tck,
    }
    return Call(
        time_us=took.cycles * pim.tck_ps / 1e6,
        parts_us={part: parts[part] * pim.tck_ps / 1e6 for part in PARTS},
        energy_j=sum(energy_j.values()),
        energy_parts_j=energy_j,
        commands={command.name: count(command) for command in ISSUED if count(command)},
        row_activations=activations,
        row_hits=columns - activations,
        bus_busy={bus: cycles / took.cycles for bus, cycles in busy.items()},
    )


def summed_us(seconds: Mapping[str, Any], groups: Int64s) -> dict[str, float | None]:
    """Microseconds of each part, over head groups of several counts of tokens; None: not of this level.

    Args:
        seconds: of one head group of each count, shape (counts,), or alike for all.
    """
    return {part: float(sum(groups * seconds[part] * 1e6)) if part in seconds else None for part in PARTS}
