"""What rounds cost, asked of the device services one round at a time and put together slowly.

Shares no code with the orchestrator: layers are walked one by one, rank lanes are found by the devices' own
assignments and domain names.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from l3sim.device import Identity
from l3sim.placement import Layout
from l3sim.ports import Device, DeviceSession
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.work import Chunk, KvPlacement, Op, OpCost, SubBatch, Window
from tests.orchestrator.engine.timeline.brute_force import Pass, Request
from tests.orchestrator.slow_state import Life
from tests.services.builders import hello

ROLE_OF = {Op.ATTEND_DECODE: "attention", Op.TRANSFER_DOWN: "link", Op.TRANSFER_UP: "link"}
ROLE_OF[Op.TRANSFER_KV] = "link"
TABLES = {Op.TRANSFER_DOWN: "down", Op.TRANSFER_UP: "up", Op.TRANSFER_KV: "kv"}


@dataclass(frozen=True)
class WorkChunk:
    """A piece of a prompt."""

    life: Life
    tokens: int
    finished: int
    last: bool


@dataclass
class PassWork:
    """Who does what in one pass."""

    decode: list[Life] = field(default_factory=list)
    chunks: list[WorkChunk] = field(default_factory=list)
    unchunked: bool = False

    @property
    def chunk_tokens(self) -> int:
        return sum(chunk.tokens for chunk in self.chunks)


@dataclass
class PassCosts:
    """One pass: picoseconds a layer by operation, and tables [layer class][rankset]."""

    gpu: dict[str, int]
    tables: dict[str, list[list[int]]]

    def timed(self, requests: tuple[Request, ...], batch: str, unchunked: bool) -> Pass:
        """As the brute-force timeline wants it."""
        gpu = self.gpu
        return Pass(
            b_first=gpu[Op.EMBED] + gpu[Op.BLOCK_IN],
            b_mid=gpu[Op.BLOCK_OUT] + gpu[Op.BLOCK_IN],
            b_last=gpu[Op.BLOCK_OUT] + gpu[Op.HEAD],
            prefill=gpu.get(Op.ATTEND_PREFILL, 0),
            down=self.tables["down"],
            attend=self.tables["attend"],
            up=self.tables["up"],
            kv=self.tables["kv"],
            unchunked=unchunked,
            batch=batch,
            requests=requests,
        )


class Meter:
    """The devices of one replica of a job."""

    def __init__(self, machine: Machine, model: ModelShape, layout: Layout, replica: int) -> None:
        self.model, self.replica = model, replica
        self.ranksets, self.ranks, self.groups = layout.ranksets, layout.ranks, layout.groups
        pim = machine.attention
        row = pim.row_bytes * pim.banks_per_chip * pim.chips_per_rank
        token = layout.heads_per_group * model.head_size * 2  # K, or V, of a head group
        self.block_tokens = pim.kv_block_tokens or row // token
        self.stripe_tokens = layout.stripe_tokens
        in_a_row = row // (self.block_tokens * token)
        rows = Fraction(1, in_a_row) if in_a_row else -(-self.block_tokens * token // row)
        self.block_bytes = 2 * row * rows
        modules = range(machine.attention.modules)
        dimms = DimmPimDevice([Identity(f"d{module}") for module in modules])
        devices: dict[str, Device] = {
            "gpu": GpuDevice([Identity("gpu")]),
            "attention": dimms,
            "link": InterconnectDevice([Identity("link")]),
        }
        self._hellos = {role: hello(role, machine, model, layout.tp, layout.dp, modules) for role in devices}
        self._sessions: dict[str, DeviceSession] = {
            role: device.open(self._hellos[role]) for role, device in devices.items()
        }

    def measure(
        self, passes: dict[int, PassWork], busy: dict[str, int], energy: dict[str, int]
    ) -> dict[int, PassCosts]:
        """Costs of one round; busy times and energy are added to the books given."""
        size = self.ranksets
        names = ("down", "attend", "up", "kv")
        costs = {
            s: PassCosts({}, {name: [[0] * size for _ in range(size)] for name in names}) for s in passes
        }
        window = self._window(passes)
        for role, session in self._sessions.items():
            for cost in session.estimate([window])[0].costs:
                self._enter(role, cost, costs[cost.sub_batch], busy, energy)
        return costs

    def _window(self, passes: dict[int, PassWork]) -> Window:
        batches: list[SubBatch] = []
        places: list[KvPlacement] = []
        for s, work in passes.items():
            decode = np.array([life.number for life in work.decode], dtype=np.int64)
            context = np.array([life.held for life in work.decode], dtype=np.int64)
            chunks = [Chunk(one.life.number, one.tokens, one.finished, one.last) for one in work.chunks]
            batches.append(SubBatch(s, decode, context, tuple(chunks)))
            lives = [*work.decode, *(one.life for one in work.chunks)]
            places += [KvPlacement(life.number, *life.at) for life in lives]
        return Window(0, self.replica, 1, tuple(batches), tuple(places))

    def _enter(
        self, role: str, cost: OpCost, into: PassCosts, busy: dict[str, int], energy: dict[str, int]
    ) -> None:
        assert ROLE_OF.get(Op(cost.op), "gpu") == role
        layers = 1 if cost.op in (Op.EMBED, Op.HEAD) else self.model.layers
        adds: dict[str, int] = defaultdict(int)
        for layer in range(layers):
            adds["energy"] += int(cost.energy_nj[layer % len(cost.energy_nj), 0])
            for lane in range(len(cost.device)):
                classes = cost.duration_ps.shape[1]
                took = int(cost.duration_ps[lane, layer % classes, 0])
                adds["busy"] += took
                if role == "gpu":
                    into.gpu[cost.op] = took
                    continue
                rankset = self._rankset(role, cost, lane)
                if role == "attention":
                    assignment = self._hellos[role].slots[cost.device[lane]].assignments[cost.domain[lane]]
                    name = f"rank {assignment.rankset} {assignment.rank}"
                    busy[name] = busy.get(name, 0) + took
                table = into.tables[TABLES.get(Op(cost.op), "attend")]
                # Layer classes go by R, also where there are fewer layers.
                for c in range(self.ranksets):
                    spent = int(cost.duration_ps[lane, c % classes, 0])
                    table[c][rankset] = max(table[c][rankset], spent)
        row = {"gpu": "gpu", "attention": "attention"}.get(role)
        row = row or ("link_up" if cost.op == Op.TRANSFER_UP else "link_down")
        busy[row] = busy.get(row, 0) + adds["busy"]
        energy[role] = energy.get(role, 0) + adds["energy"]

    def _rankset(self, role: str, cost: OpCost, lane: int) -> int:
        if role == "attention":
            assignment = self._hellos[role].slots[cost.device[lane]].assignments[cost.domain[lane]]
            assert assignment.replica == self.replica
            return assignment.rankset
        name = self._sessions[role].ready()[0].domains[cost.domain[lane]]
        replica, way, rankset = name.split("/")
        assert replica == f"replica-{self.replica}"
        assert way == ("up" if cost.op == Op.TRANSFER_UP else "down")
        return int(rankset.removeprefix("rankset-"))
