"""From the devices' costs to the timeline's durations, and to the rows of the energy ledger.

Costs come a layer, over lanes, layer classes and rounds; this is where lanes become ranksets and layers are
counted. Everything is int64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.errors import DeviceLost, InvariantBroken
from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s
from l3sim.work import Costs, Hello, Op, OpCost, Role, Window
from orchestrator.timeline.base import RoundCosts

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
_EVERY_PASS = (Op.EMBED, Op.BLOCK_IN, Op.BLOCK_OUT, Op.HEAD)


#: A quantity of each round: one number when every round has the same, else shape (rounds,).
PerRound = int | Int64s


def over_rounds(each: PerRound, rounds: int) -> int:
    """Sum of a quantity over the first so many rounds."""
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
        self._replica = replica
        self._layout = layout
        ranksets = layout.ranksets
        # Layers of each class: 0, R, 2R, ... are class 0.
        self._layers = np.array([len(range(c, model.layers, ranksets)) for c in range(ranksets)])
        self._total_layers = model.layers
        self._ranks = [
            {
                (device, domain): seat.rankset * layout.ranks + seat.rank
                for device, slot in enumerate(hello.slots)
                for domain, seat in enumerate(slot.seats)
                if seat.replica == replica and not seat.unused
            }
            for hello in hellos
        ]
        self._on_gpu = layout.on_gpu
        self._slots = [hello.slots[0].slot for hello in hellos]
        self._lanes: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Int64s] = {}

    def assemble(self, window: Window, answers: Sequence[Costs]) -> WindowCosts:
        """Put together what the ports said of a window.

        Raises:
            DeviceLost: an answer has a shape that was not agreed.
            InvariantBroken: an answer belongs to another window, or some work has no cost.
        """
        if not all(
            answer.window_id == window.window_id and 1 <= answer.valid_rounds <= window.rounds
            for answer in answers
        ):
            raise InvariantBroken(f"answers to window {window.window_id} do not belong to it")
        table = _Table(min(answer.valid_rounds for answer in answers), self._layout)
        for port, answer in enumerate(answers):
            for cost in answer.costs:
                try:
                    self._enter(table, port, cost)
                except (ValueError, IndexError) as error:
                    text = f"malformed answer: {cost.op} of window {window.window_id}: {error}"
                    raise DeviceLost(self._slots[port], text) from None
        return self._finish(window, table)

    def _enter(self, table: "_Table", port: int, cost: OpCost) -> None:
        op, s, rounds = Op(cost.op), cost.sub_batch, table.rounds
        duration = cost.duration_ps[:, :, :rounds]
        row = ROW_OF[op]
        if op is Op.ATTEND_DECODE and self._on_gpu:
            table.attend[s, 0] = duration[0]
            busy, row = "gpu", Role.GPU
        elif op is Op.ATTEND_DECODE:
            table.attend[s, self._lane_ranks(port, cost)] = duration
            busy = ""  # told rank by rank, at the end
        elif row is Role.GPU:
            table.gpu[op][s] = duration[0, 0]
            busy = "gpu"
        else:
            lanes = [domain % self._layout.ranksets for domain in cost.domain]
            table.link[op][s, lanes] = duration
            busy = "link_up" if op is Op.TRANSFER_UP else "link_down"
        layers = 1 if op in _ONCE else self._total_layers
        if busy:
            table.busy[busy] += self._over_layers(duration.sum(axis=0), layers)
        table.energy[row] += self._over_layers(cost.energy_nj[:, :rounds], layers)

    def _over_layers(self, each: Int64s, layers: int) -> PerRound:
        """Sum over layers of a quantity by (layer class, round)."""
        if each.size == 1:
            return int(each[0, 0]) * layers
        total: Int64s = self._layers @ each if len(each) > 1 else each[0] * layers
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

    def _finish(self, window: Window, table: "_Table") -> WindowCosts:
        layout, rounds = self._layout, table.rounds
        # (s, R, ranks, class, round) -> slowest rank of each rankset -> (round, s, class, rankset).
        slowest = table.attend.reshape(2, layout.ranksets, layout.ranks, layout.ranksets, rounds).max(axis=2)
        durations = RoundCosts.nothing(rounds, layout.ranksets)
        gpu, link = table.gpu, table.link
        durations.b_first.T[:] = gpu[Op.EMBED] + gpu[Op.BLOCK_IN]
        durations.b_mid.T[:] = gpu[Op.BLOCK_OUT] + gpu[Op.BLOCK_IN]
        durations.b_last.T[:] = gpu[Op.BLOCK_OUT] + gpu[Op.HEAD]
        durations.p.T[:] = gpu[Op.ATTEND_PREFILL]
        durations.a[:] = slowest.transpose(3, 0, 2, 1)
        # What crosses a link is the same in every round.
        durations.d[:] = link[Op.TRANSFER_DOWN].transpose(3, 0, 2, 1)
        durations.u[:] = link[Op.TRANSFER_UP].transpose(3, 0, 2, 1)
        durations.kv[:] = link[Op.TRANSFER_KV].transpose(3, 0, 2, 1)
        self._check(window, table, durations)
        # (P, class, round), both sub-batches together -> (P, round), all layers together.
        rank_ps: Int64s = self._layers @ table.attend.sum(axis=0)
        table.busy["attention"] = rank_ps.sum(axis=0)
        return WindowCosts(rounds, durations, rank_ps, table.busy, table.energy)

    def _check(self, window: Window, table: "_Table", durations: RoundCosts) -> None:
        """Every piece of work has a cost, and nothing else has."""
        works, decodes, prefills = (np.zeros(2, dtype=np.bool_) for _ in range(3))
        for batch in window.sub_batches:
            works[batch.index] = True
            decodes[batch.index] = len(batch.decode) > 0
            prefills[batch.index] = len(batch.chunks) > 0
        # Membership is the same in every round of a window, so the first one tells.
        down, attends, up = durations.d[0] > 0, durations.a[0] > 0, durations.u[0] > 0
        good = (
            all(np.array_equal(table.gpu[op][:, 0] > 0, works) for op in _EVERY_PASS)
            and np.array_equal(durations.p[0] > 0, prefills)
            and np.array_equal(attends.any(axis=(1, 2)), decodes)
            and (self._on_gpu or np.array_equal((durations.kv[0] > 0).any(axis=(1, 2)), prefills))
            and (self._on_gpu or (np.array_equal(down, attends) and np.array_equal(up, attends)))
        )
        if not good:
            raise InvariantBroken(f"window {window.window_id}: some work has no cost, or a cost has no work")


class _Table:
    """Durations of one window as they come in, 0 where nobody said anything."""

    def __init__(self, rounds: int, layout: Layout) -> None:
        ranksets, ranks = layout.ranksets, layout.ranksets * layout.ranks
        self.rounds = rounds
        self.attend = np.zeros((2, ranks, ranksets, rounds), dtype=np.int64)
        self.gpu = {
            op: np.zeros((2, rounds), dtype=np.int64) for op, row in ROW_OF.items() if row is Role.GPU
        }
        self.link = {
            op: np.zeros((2, ranksets, ranksets, 1), dtype=np.int64)
            for op, row in ROW_OF.items()
            if row is Role.LINK
        }
        rows = ("gpu", "attention", "link_down", "link_up")
        self.busy: dict[str, PerRound] = dict.fromkeys(rows, 0)
        self.energy: dict[str, PerRound] = dict.fromkeys((Role.GPU, Role.ATTENTION, Role.LINK), 0)
