"""The host interconnect as a device: two directions of each rankset of each replica."""

from collections.abc import Sequence

import msgspec
import numpy as np

from l3sim.device import BookkeepingSession, ConfiguredDevice, Ledger
from l3sim.device.stripes import differing_rounds
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.services.interconnect.model import TransferCosts
from l3sim.services.interconnect.striped import StripedTransfers
from l3sim.specs.config import LinkConfig
from l3sim.specs.pcie import check_uplinks
from l3sim.units import Int64s, nj
from l3sim.work import BLOCK, DeviceReady, Hello, Op, OpCost, Role, Window

DOWN, UP = 0, 1
#: An operation, its sub-batch, and its time by offset and round, shape (offsets, rounds or 1).
Asked = tuple[Op, int, Int64s]


class InterconnectDevice(ConfiguredDevice[LinkConfig]):
    """The interconnect of this process; its domains are paths, known once Hello gives the layout."""

    role = Role.LINK
    kind = "interconnect"
    operations = (Op.TRANSFER_DOWN, Op.TRANSFER_UP, Op.TRANSFER_KV)
    domains = ("down", "up")
    partitions = (BLOCK,)
    struct = LinkConfig
    shared_keys = frozenset({"kind", "overlap", "channel_bus"})

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        configs = self.settle(hello)
        slot = hello.slots[-1]
        if len(configs) > 1:
            raise InvalidInput((slot.slot, "one interconnect serves all replicas; give it one slot"))
        if slot.assignments:
            raise InvalidInput((slot.slot, "an interconnect has no ranks; give it no assignments"))
        check_uplinks(configs[0], hello.layout.tp)
        try:
            transfers = TransferCosts(configs[0], hello.model, hello.layout)
        except ValueError as error:
            raise InvalidInput((slot.slot, f"{error}; check the rates of its configuration")) from None
        return InterconnectSession(hello, configs[0], transfers)


class InterconnectSession(BookkeepingSession):
    """One job on the interconnect."""

    def __init__(self, hello: Hello, config: LinkConfig, transfers: TransferCosts) -> None:
        super().__init__(hello)
        self._config = config
        self._transfers = transfers
        self._stripes = StripedTransfers(transfers, hello.layout) if hello.layout.striped else None
        # All links and channels of the host draw it together; a replica has its share of them.
        self._active_w = config.active_w / hello.layout.dp
        ranksets = hello.layout.ranksets
        classes = np.arange(ranksets)
        # Rankset j carries, in layer class c, the requests with offset (j - c) mod R.
        self._offset_of = (classes[:, None] - classes[None, :]) % ranksets
        self._device = (0,) * ranksets

    def ready(self) -> Sequence[DeviceReady]:
        """See DeviceSession.ready."""
        layout = self.hello.layout
        domains = tuple(
            f"replica-{replica}/{way}/rankset-{rankset}"
            for replica in range(layout.dp)
            for way in ("down", "up")
            for rankset in range(layout.ranksets)
        )
        return [
            DeviceReady(
                slot=self.hello.slots[0].slot,
                level=self._config.level,
                lookahead_rounds=0,
                domains=domains,
                regions=(),
                config=msgspec.to_builtins(self._config),
                idle_mw=round(self._config.idle_w * 1000),
            )
        ]

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """See BookkeepingSession.costs. Every round of a window moves the same, but where KV is striped."""
        asked = self._striped(window, ledger) if self._stripes else self._plain(window, ledger)
        if not asked:
            return ()
        costs = []
        for op, index, by_offset in asked:
            # Each layer class has every offset once, on one rankset or another.
            energy = nj(self._active_w, by_offset).sum(axis=0)
            energy_nj = np.repeat(energy[None, :], self.hello.layout.ranksets, axis=0)
            path = self._path(window.replica, UP if op is Op.TRANSFER_UP else DOWN)
            duration_ps = by_offset[self._offset_of]
            costs.append(OpCost(op, index, self._device, path, duration_ps, energy_nj))
        return tuple(costs)

    def _plain(self, window: Window, ledger: Ledger) -> list[Asked]:
        """Transfers of KV that lies by head groups."""
        transfers = self._transfers
        asked: list[tuple[Op, int]] = []
        tokens: list[Int64s] = []
        token_bytes: list[tuple[int, int, int]] = []
        for batch in window.sub_batches:
            if len(batch.decode):
                decode = transfers.tokens(ledger.offset[batch.decode], ledger.rank[batch.decode])
                asked += [(Op.TRANSFER_DOWN, batch.index), (Op.TRANSFER_UP, batch.index)]
                tokens += [decode, decode]
                token_bytes += [transfers.down_bytes, transfers.up_bytes]
            if batch.chunks:
                requests = np.array([chunk.request for chunk in batch.chunks])
                chunk_tokens = np.array([chunk.tokens for chunk in batch.chunks])
                asked.append((Op.TRANSFER_KV, batch.index))
                tokens.append(transfers.tokens(ledger.offset[requests], ledger.rank[requests], chunk_tokens))
                token_bytes.append(transfers.kv_bytes)
        if not asked:
            return []
        by_offset = transfers.cost_ps(np.array(tokens), np.array(token_bytes))
        return [(*one, each[:, None]) for one, each in zip(asked, by_offset, strict=True)]

    def _striped(self, window: Window, ledger: Ledger) -> list[Asked]:
        """Transfers of KV that lies in stripes."""
        assert self._stripes is not None
        asked: list[Asked] = []
        for batch in window.sub_batches:
            if len(batch.decode):
                rounds = differing_rounds(self.hello.layout, batch.context, self.valid_rounds(window))
                where = ledger.offset[batch.decode], ledger.rank[batch.decode]
                down, up = self._stripes.decode_ps(*where, batch.context, rounds)
                asked += [(Op.TRANSFER_DOWN, batch.index, down), (Op.TRANSFER_UP, batch.index, up)]
            if batch.chunks:
                requests = np.array([chunk.request for chunk in batch.chunks])
                finished = np.array([chunk.finished_tokens for chunk in batch.chunks])
                tokens = np.array([chunk.tokens for chunk in batch.chunks])
                where = ledger.offset[requests], ledger.rank[requests]
                asked.append((Op.TRANSFER_KV, batch.index, self._stripes.chunks_ps(*where, finished, tokens)))
        return asked

    def _path(self, replica: int, way: int) -> range:
        """Domains of one replica and direction, one a rankset."""
        ranksets = self.hello.layout.ranksets
        first = (replica * 2 + way) * ranksets
        return range(first, first + ranksets)
