"""The GPU side as a device: its domains are the data-parallel replicas."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from l3sim.device import BookkeepingSession, ConfiguredDevice, Ledger
from l3sim.device.stripes import differing_rounds, partial_results
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.services.gpu.kernels import LIMITS
from l3sim.services.gpu.model import LEVELS, GroupCosts
from l3sim.specs.config import AttAccGpuConfig, GpuConfig, MeasuredGpuConfig, ProfiledGpuConfig
from l3sim.units import Int64s, nj, ps
from l3sim.work import (
    BLOCK,
    NO_REQUESTS,
    DeviceReady,
    Hello,
    MemoryRegion,
    Op,
    OpCost,
    Role,
    SubBatch,
    Window,
)


class GpuDevice(ConfiguredDevice[GpuConfig]):
    """The GPUs of this process; how many replicas they form is known once Hello gives the layout."""

    role = Role.GPU
    kind = "gpu"
    operations = (Op.EMBED, Op.BLOCK_IN, Op.ATTEND_PREFILL, Op.BLOCK_OUT, Op.HEAD, Op.ATTEND_DECODE)
    domains = ("replica-0",)
    struct = GpuConfig
    further = (AttAccGpuConfig, ProfiledGpuConfig, MeasuredGpuConfig)
    levels = LEVELS
    partitions = (BLOCK,)
    shared_keys = frozenset({"kind", "gpus", "type"})

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        configs = self.settle(hello)
        slot, config = hello.slots[-1], configs[-1]
        if len(configs) > 1:
            raise InvalidInput((slot.slot, "one GPU device serves all replicas; give it one slot"))
        if slot.assignments:
            raise InvalidInput((slot.slot, "GPUs have no ranks; give it no assignments"))
        needed = hello.layout.tp * hello.layout.dp
        if needed > config.gpus:
            text = f"{hello.layout.tp} x {hello.layout.dp} GPUs are needed; lower tp or dp"
            raise InvalidInput((f"{slot.slot}.gpus", f"{config.gpus} here, {text}"))
        if config.idle_w > config.tdp_w:
            text = f"must not exceed tdp_w ({config.tdp_w}), got {config.idle_w}"
            raise InvalidInput((f"{slot.slot}.idle_w", text))
        group = GroupCosts(config, hello.model, hello.layout.tp)
        try:
            for op in (Op.BLOCK_IN, Op.BLOCK_OUT, Op.HEAD):
                group.dense_ps(op, 1, 1)
        except ValueError as error:
            raise InvalidInput((slot.slot, f"{error}; check the rates of its configuration")) from None
        return GpuSession(hello, config, group)


class GpuSession(BookkeepingSession):
    """One job on the GPU side."""

    def __init__(self, hello: Hello, config: GpuConfig, group: GroupCosts) -> None:
        super().__init__(hello)
        self._config = config
        self._group = group
        # Windows come much more often than a batch changes its size.
        self._dense = lru_cache(maxsize=4096)(self._dense_lane)
        self._limits = lru_cache(maxsize=4096)(group.pass_limits_ps)
        self._spent_ps = dict.fromkeys(LIMITS, 0)
        self._active_w = (config.tdp_w - config.idle_w) * hello.layout.tp

    def ready(self) -> Sequence[DeviceReady]:
        """See DeviceSession.ready."""
        config = self._config
        room = config.gpus * int(config.memory_bytes * (1 - config.memory_reserve_share))
        return [
            DeviceReady(
                slot=self.hello.slots[0].slot,
                level=config.level,
                lookahead_rounds=0,
                domains=tuple(f"replica-{replica}" for replica in range(self.hello.layout.dp)),
                regions=(MemoryRegion("hbm", room, 1),),
                config=msgspec.to_builtins(config),
                idle_mw=round(config.idle_w * config.gpus * 1000),
            )
        ]

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """See BookkeepingSession.costs. Only decode attention and its merging change in a window."""
        rounds = self.valid_rounds(window)
        return tuple(
            cost
            for batch in window.sub_batches
            if batch.tokens
            for cost in self._pass(batch, *self._shares(batch, ledger), window.replica, rounds)
        )

    def counters(self, slot: str) -> Mapping[str, int]:  # noqa: ARG002
        """See BookkeepingSession.counters: what the busy time of all replicas went to."""
        return {f"{limit}_ps": spent for limit, spent in self._spent_ps.items()}

    def count(self, window: Window, rounds: int) -> None:
        """See BookkeepingSession.count."""
        for batch in window.sub_batches:
            if not batch.tokens:
                continue
            for limit, part in self._limits(batch.tokens, batch.sampled).items():
                self._spent_ps[limit] += rounds * part
            if batch.chunks:
                for limit, part in self._group.prefill_limits_ps(batch.chunks).items():
                    self._spent_ps[limit] += rounds * part
            attended, striped = self._shares(batch, self.ledger)
            if len(striped):
                self._count_merges(striped, rounds)
            if len(attended):
                for limit, part in self._group.decode_limits_ps(attended, rounds).items():
                    self._spent_ps[limit] += part

    def _shares(self, batch: SubBatch, ledger: Ledger) -> tuple[Int64s, Int64s]:
        """Contexts of those decoding requests of a pass whose attention is the GPUs', and of striped ones."""
        layout, context = self.hello.layout, batch.context
        if layout.on_gpu:
            return context, NO_REQUESTS
        if layout.gpu_place is None:
            return NO_REQUESTS, context if layout.striped else NO_REQUESTS
        beside = ledger.offset[batch.decode] == layout.ranksets
        return context[beside], context[~beside] if layout.striped else NO_REQUESTS

    def _pass(
        self, batch: SubBatch, attended: Int64s, striped: Int64s, replica: int, rounds: int
    ) -> list[OpCost]:
        tokens, sampled = batch.tokens, batch.sampled
        costs = []
        for op in GpuDevice.operations:
            if op is Op.ATTEND_DECODE:
                if not len(attended):
                    continue
                duration = self._group.attend_rounds_ps(attended, rounds)[None, None, :]
                lane = duration, nj(self._active_w, duration[0])
            elif op is not Op.ATTEND_PREFILL:
                lane = self._dense(op, tokens, sampled if op is Op.HEAD else 0)
            elif batch.chunks:
                lane = self._lane(self._group.attend_prefill_ps(batch.chunks))
            else:
                continue
            if op is Op.BLOCK_OUT and len(striped):
                lane = self._merged(striped, rounds, *lane)
            costs.append(OpCost(op, batch.index, (0,), (replica,), *lane))
        return costs

    def _merged(
        self, striped: Int64s, rounds: int, dense_ps: Int64s, dense_nj: Int64s
    ) -> tuple[Int64s, Int64s]:
        """A lane of block_out with the merging of partial results of requests with these contexts."""
        layout = self.hello.layout
        rounds = differing_rounds(layout, striped, rounds)
        counts = zip(*partial_results(layout, striped, rounds), strict=True)
        more = np.array([self._merge_ps(int(parts), int(requests)) for parts, requests in counts])
        return dense_ps + more, dense_nj + nj(self._active_w, more)

    def _merge_ps(self, parts: int, requests: int) -> int:
        return ps(self._group.merge(parts, requests).seconds) if parts else 0

    def _count_merges(self, striped: Int64s, rounds: int) -> None:
        """Add what merging took over the rounds of a window."""
        for parts, requests in zip(*partial_results(self.hello.layout, striped, rounds), strict=True):
            for limit, part in self._group.merge_limits_ps(int(parts), int(requests)).items():
                self._spent_ps[limit] += part

    def _dense_lane(self, op: Op, tokens: int, sampled: int) -> tuple[Int64s, Int64s]:
        return self._lane(self._group.dense_ps(op, tokens, sampled))

    def _lane(self, duration: int) -> tuple[Int64s, Int64s]:
        """One lane's durations and energy, read only since passes share them."""
        duration_ps = np.full((1, 1, 1), duration, dtype=np.int64)
        energy_nj = nj(self._active_w, duration_ps[0])
        duration_ps.flags.writeable = energy_nj.flags.writeable = False
        return duration_ps, energy_nj
