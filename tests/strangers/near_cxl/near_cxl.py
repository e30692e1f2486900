"""CXL cards with two memory channels each, both of which attend: a kind whose devices are not one rank each.

    card 0              card 1              card m
    channel 0 | 1       channel 2 | 3       channel 2m | 2m + 1         replica d: channels d * ranks ...
    rank    0 | 1       rank    2 | 3       of the only rankset

A stranger's package: public names of `l3sim` only; its configuration answers what the machine asks.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from l3sim.device import AttentionSection, BookkeepingSession, ConfiguredDevice, Ledger
from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.ports import DeviceSession
from l3sim.specs.model import ModelShape
from l3sim.units import nj, ps
from l3sim.work import DeviceReady, Hello, MemoryRegion, Op, OpCost, Role, Window

CHANNELS = 2


class NearConfig(AttentionSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `attention` of kind `near-cxl`."""

    kind: str = "near-cxl"
    level: str = "roofline"
    cards: Annotated[int, msgspec.Meta(ge=1, le=256)]
    card_bytes: Annotated[int, msgspec.Meta(ge=2)]
    channel_bytes_per_s: Annotated[float, msgspec.Meta(gt=0)]
    setup_us: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    active_w: float = 0.0  # of one channel that attends

    @property
    def devices(self) -> int:
        """See AttentionSection."""
        return self.cards

    @property
    def channels(self) -> int:
        """See AttentionSection."""
        return self.cards * CHANNELS

    def layout(self, model: ModelShape, tp: int, dp: int) -> Layout:
        """See AttentionSection: a channel holds whole heads."""
        return Layout(
            tp=tp,
            dp=dp,
            ranksets=1,
            ranks=self.replica_channels(dp),
            heads_per_group=1,
            groups=model.kv_heads,
            chips_per_head=1,
            queries_per_read=model.queries_per_kv,
        )

    def rank_assignments(self, layout: Layout, device: int) -> list[tuple[int, int, int, bool]]:
        """See AttentionSection."""
        places = [divmod(CHANNELS * device + channel, layout.ranks) for channel in range(CHANNELS)]
        return [(replica, 0, rank, False) for replica, rank in places]

    def kv_room_bytes(self, layout: Layout, model: ModelShape, gpu_left_bytes: int = 0) -> int:
        """See AttentionSection."""
        return self.card_bytes // CHANNELS

    @property
    def kv_bytes_per_s(self) -> float:
        """See AttentionSection."""
        return self.channels * self.channel_bytes_per_s


class NearDevice(ConfiguredDevice[NearConfig]):
    """Cards of this process."""

    role = Role.ATTENTION
    kind = "near-cxl"
    operations = (Op.ATTEND_DECODE,)
    domains = tuple(f"channel-{number}" for number in range(CHANNELS))
    struct = NearConfig
    version = "2.1"
    shared_keys = frozenset({"kind", "cards"})

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        configs = self.settle(hello)
        for slot in hello.slots:
            if len(slot.assignments) != CHANNELS:
                raise InvalidInput((slot.slot, f"has {CHANNELS} channels; give each an assignment"))
            if len({assignment.replica for assignment in slot.assignments}) > 1:
                raise InvalidInput((slot.slot, "its channels are of two replicas; use another dp"))
        return NearSession(hello, configs)


class NearSession(BookkeepingSession):
    """One job."""

    def __init__(self, hello: Hello, configs: Sequence[NearConfig]) -> None:
        rooms = [config.kv_room_bytes(hello.layout, hello.model) for config in configs]
        super().__init__(hello, np.repeat(np.array(rooms, dtype=np.int64), CHANNELS))
        self.configs, self.rooms = configs, rooms

    def ready(self) -> Sequence[DeviceReady]:
        """See DeviceSession.ready."""
        return [
            DeviceReady(
                slot=slot.slot,
                level="roofline",
                lookahead_rounds=0,
                domains=NearDevice.domains,
                regions=tuple(MemoryRegion(name, room, 1) for name in NearDevice.domains),
                config=msgspec.to_builtins(config),
                idle_mw=2000,
            )
            for slot, config, room in zip(self.hello.slots, self.configs, self.rooms, strict=True)
        ]

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """See BookkeepingSession.costs: bytes over the rate of a channel, and a set-up each layer."""
        layout, model = self.hello.layout, self.hello.model
        lanes = [
            (device, domain, assignment.rank)
            for device, slot in enumerate(self.hello.slots)
            for domain, assignment in enumerate(slot.assignments)
            if assignment.replica == window.replica
        ]
        answers = []
        for batch in window.sub_batches:
            if not lanes or not len(batch.decode):
                continue
            tokens = batch.context[:, None] + np.arange(1, window.rounds + 1)
            duration_ps = np.zeros((len(lanes), 1, window.rounds), dtype=np.int64)
            energy_nj = np.zeros((1, window.rounds), dtype=np.int64)
            for lane, (device, _, rank) in enumerate(lanes):
                config = self.configs[device]
                groups = layout.group_counts[ledger.rank[batch.decode], rank]
                kv_bytes = groups @ tokens * model.head_kv_bytes
                seconds = kv_bytes / config.channel_bytes_per_s + config.setup_us / 1e6
                duration_ps[lane, 0] = ps(seconds) * (kv_bytes > 0)
                energy_nj[0] += nj(config.active_w, duration_ps[lane, 0])
            devices, domains = [lane[0] for lane in lanes], [lane[1] for lane in lanes]
            answers.append(OpCost(Op.ATTEND_DECODE, batch.index, devices, domains, duration_ps, energy_nj))
        return tuple(answers)
