"""From the devices' costs to the timeline's durations, and to the rows of the energy ledger.

Costs come a layer, over lanes, layer classes and rounds; this is where lanes become ranksets and layers are
counted. Everything is int64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.errors import DeviceLost, InvariantBroken
from l3sim.orchestrator.engine.costs.kernels import GPU_OPS, complete, enter_attention, enter_blocks
from l3sim.orchestrator.engine.timeline.base import RoundCosts
from l3sim.placement import Layout
from l3sim.rank_map import RankMap
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s
from l3sim.work import Costs, Hello, Op, OpCost, Role, Window

#: Energy row of each operation.
ROW_OF = {
    Op.EMBED: Role.GPU,
    Op.BLOCK_IN: Role.GPU,
    Op.ATTEND_PREFILL: Role.GPU,
    Op.BLOCK_OUT: Role.GPU,
    Op.HEAD: Role.GPU,
    Op.ATTEND_DECODE: Role.ATTENTION,
    Op.TRANSFER_DOWN: Role.LINK,
    Op.TRANSFER_UP: Role.LINK,
    Op.TRANSFER_KV: Role.LINK,
}
_ONCE = {Op.EMBED, Op.HEAD}
_GPU_ROW = {op: row for row, op in enumerate(GPU_OPS)}

#: A quantity of each round: one number when every round has the same, else shape (rounds,).
PerRound = int | Int64s


def over_rounds(each: PerRound, rounds: int) -> int:
    """Sum of a quantity over the first `rounds` rounds."""
    return each * rounds if isinstance(each, int) else int(each[:rounds].sum())


@dataclass(frozen=True, slots=True)
class WindowCosts:
    """A window's costs, put together.

    Attributes:
        rounds: rounds that every device foresees.
        durations: for the timeline.
        busy_ps: by "gpu", "attention" (sum over ranks), "link_down" and "link_up".
        energy_nj: by role.
        rank_ps: what each rank attends in each round, shape (ranksets * ranks, rounds).
    """

    rounds: int
    durations: RoundCosts
    rank_ps: Int64s
    busy_ps: dict[str, PerRound]
    energy_nj: dict[str, PerRound]


class Assembler:
    """Puts the answers of all of a replica's ports together, always in the order of `hellos`."""

    def __init__(self, replica: int, layout: Layout, model: ModelShape, hellos: Sequence[Hello]) -> None:
        self._layout = layout
        ranksets = layout.ranksets
        # Layers of each class: 0, R, 2R, ... are class 0.
        self._layers = np.array([len(range(c, model.layers, ranksets)) for c in range(ranksets)])
        self._total_layers = model.layers
        #: How often a pass does each operation of the GPU.
        self._gpu_layers = np.array([1 if op in _ONCE else model.layers for op in GPU_OPS])
        self._ranks = [RankMap.of(hello, replica).flat for hello in hellos]
        self._on_gpu = layout.on_gpu
        self._gpus = [not ranks for ranks in self._ranks]
        self._slots = [hello.slots[0].slot for hello in hellos]
        self._attend: Int64s = np.zeros(0, dtype=np.int64)
        self._lanes: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Int64s] = {}

    def assemble(
        self, window: Window, answers: Sequence[Costs], modules: Window | None = None
    ) -> WindowCosts:
        """Put together what the ports said of a window.

        Args:
            modules: the window as modules and the link heard it; None: alike.

        Raises:
            DeviceLost: an answer has a shape that was not agreed.
            InvariantBroken: some work has no cost, or a cost no work. (Ports see to it that answers belong to
                the window.)
        """
        rounds = min(answer.valid_rounds for answer in answers)
        table = _Table(rounds, self._layout, self._attend_table(rounds))
        for port, answer in enumerate(answers):
            for cost in answer.costs:
                try:
                    self._enter(table, port, cost)
                except (ValueError, IndexError) as error:
                    text = f"malformed answer: {cost.op} of window {window.window_id}: {error}"
                    raise DeviceLost(self._slots[port], text) from None
        return self._finish(window, window if modules is None else modules, table)

    def _enter(self, table: "_Table", port: int, cost: OpCost) -> None:
        op, s, rounds = Op(cost.op), cost.sub_batch, table.rounds
        duration = cost.duration_ps[:, :, :rounds]
        row = ROW_OF[op]
        if op is Op.ATTEND_DECODE and self._on_gpu:
            table.attend[s, 0] = duration[0]
            busy, row = "gpu", Role.GPU
        elif op is Op.ATTEND_DECODE and not self._gpus[port]:
            table.attend[s, self._lane_ranks(port, cost)] = duration
            busy = ""  # told rank by rank, at the end
        elif row is Role.GPU or op is Op.ATTEND_DECODE:
            table.gpu[_GPU_ROW[op], s] = duration[0, 0]
            table.gpu_nj[_GPU_ROW[op], s] = cost.energy_nj[0, :rounds]
            return  # counted at the end, all at once
        else:
            lanes = [domain % self._layout.ranksets for domain in cost.domain]
            table.link[op][s, lanes] = duration
            busy = "link_up" if op is Op.TRANSFER_UP else "link_down"
        if busy:
            table.busy[busy] += self._over_layers(duration.sum(axis=0))
        table.energy[row] += self._over_layers(cost.energy_nj[:, :rounds])

    def _over_layers(self, each: Int64s) -> PerRound:
        """Sum over layers of a quantity by (layer class, round)."""
        if each.size == 1:
            return int(each[0, 0]) * self._total_layers
        total: Int64s = self._layers @ each if len(each) > 1 else each[0] * self._total_layers
        return total if len(total) > 1 else int(total[0])

    def _lane_ranks(self, port: int, cost: OpCost) -> Int64s:
        """Flat rank numbers of a cost's lanes; the same lanes come again and again."""
        key = (port, tuple(cost.device), tuple(cost.domain))
        lanes = self._lanes.get(key)
        if lanes is None:
            try:
                lanes = np.array([self._ranks[port][pair] for pair in zip(*key[1:], strict=True)])
            except KeyError as error:
                raise InvariantBroken(f"a device costs attention on a rank it has not: {error}") from None
            self._lanes[key] = lanes
        return lanes

    def _attend_table(self, rounds: int) -> Int64s:
        """Zeros of shape (2, P, classes, rounds), always in the same memory: that costs less than new."""
        shape = (2, self._layout.ranksets * self._layout.ranks, self._layout.ranksets, rounds)
        size = int(np.prod(shape))
        if size > len(self._attend):
            self._attend = np.zeros(size, dtype=np.int64)
        table = self._attend[:size].reshape(shape)
        table[:] = 0
        return table

    def _finish(self, window: Window, modules: Window, table: "_Table") -> WindowCosts:
        durations = RoundCosts.nothing(table.rounds, self._layout.ranksets)
        # What crosses a link is the same in every round, but where KV is striped.
        durations.d[:] = table.link[Op.TRANSFER_DOWN].transpose(3, 0, 2, 1)
        durations.u[:] = table.link[Op.TRANSFER_UP].transpose(3, 0, 2, 1)
        durations.kv[:] = table.link[Op.TRANSFER_KV].transpose(3, 0, 2, 1)
        enter_blocks(durations.rows, table.gpu)
        rank_ps = enter_attention(durations.rows, table.attend, self._layout.ranksets, self._layers)
        self._check(window, modules, table, durations)
        table.busy["gpu"] += self._gpu_layers @ table.gpu.sum(axis=1)
        table.energy[Role.GPU] += self._gpu_layers @ table.gpu_nj.sum(axis=1)
        table.busy["attention"] = rank_ps.sum(axis=0)
        return WindowCosts(table.rounds, durations, rank_ps, table.busy, table.energy)

    def _check(self, window: Window, modules: Window, table: "_Table", durations: RoundCosts) -> None:
        """Every piece of work has a cost, and nothing else has; membership is that of the first round."""
        works, decodes, prefills, crosses = np.zeros((4, 2), dtype=np.int64)
        attends = np.zeros(2, dtype=np.int64)  # of the GPUs beside modules
        for batch in window.sub_batches:
            works[batch.index] = 1
            attends[batch.index] = len(batch.decode)
            prefills[batch.index] = len(batch.chunks) > 0
        for batch in modules.sub_batches:
            decodes[batch.index] = len(batch.decode) > 0
            attends[batch.index] -= len(batch.decode)
            crosses[batch.index] = len(batch.chunks) > 0
        rows, ranksets = durations.rows, durations.ranksets
        whole = complete(rows, table.gpu, ranksets, works, decodes, prefills, crosses, self._on_gpu)
        if not whole or ((table.gpu[-1, :, 0] > 0) != (attends > 0)).any():
            raise InvariantBroken(f"window {window.window_id}: some work has no cost, or a cost has no work")


class _Table:
    """Durations of one window as they come in, 0 where no device said anything."""

    def __init__(self, rounds: int, layout: Layout, attend: Int64s) -> None:
        ranksets = layout.ranksets
        self.rounds = rounds
        self.attend = attend
        self.gpu, self.gpu_nj = np.zeros((2, len(GPU_OPS), 2, rounds), dtype=np.int64)
        self.link = {
            op: np.zeros((2, ranksets, ranksets, rounds if layout.striped else 1), dtype=np.int64)
            for op, row in ROW_OF.items()
            if row is Role.LINK
        }
        rows = ("gpu", "attention", "link_down", "link_up")
        self.busy: dict[str, PerRound] = dict.fromkeys(rows, 0)
        self.energy: dict[str, PerRound] = dict.fromkeys((Role.GPU, Role.ATTENTION, Role.LINK), 0)
