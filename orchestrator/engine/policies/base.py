"""The interface of a scheduling policy: a pure function of a view to a plan.

`plan` is called at scheduling points only, after finished requests were released and requests that lacked
room were preempted. It does no I/O and changes nothing but the view's scratch books; what it returns is
applied as it is. A policy is one small file, registered by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.kv.view import KvView
from l3sim.orchestrator.engine.lengths import OutputLengths
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.orchestrator.engine.queue import Queue
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.placement import Layout
from l3sim.registry import Registry
from l3sim.specs.config import SchedulerConfig
from l3sim.units import Int64s
from l3sim.work import NO_REQUESTS, Chunk, KvPlacement

#: Rounds until the next plan when nothing asks for one earlier.
NO_HORIZON = 2**31


@dataclass(slots=True)
class PlanView:
    """What a policy sees.

    Attributes:
        table: all requests; to be read only, and never its `output` (the future).
        decoding: residents that decode, in order of admission, shape (n,).
        prefilling: residents in prefill, in order of admission.
        queue: requests that wait, in the order in which they must be admitted.
        barred: preempted at this join, not to be admitted at it.
        kv: scratch books; `kv.fits` and `kv.admit`.
        lengths: of answers that have ended.
        layers: of the model.
        gap_ps: that may lie between two tokens of a request; None: nobody asked for a bound.
    """

    table: RequestTable
    decoding: Int64s
    prefilling: list[int]
    queue: Queue
    barred: Set[int]
    kv: KvView
    gpu: GpuMemory
    options: SchedulerConfig
    layout: Layout
    lengths: OutputLengths = field(default_factory=OutputLengths)
    layers: int = 1
    gap_ps: int | None = None


@dataclass(frozen=True, slots=True)
class PassPlan:
    """One sub-batch: the requests that decode, shape (n,), and the chunks that are prefilled."""

    decode: Int64s = field(default_factory=lambda: NO_REQUESTS)
    chunks: tuple[Chunk, ...] = ()

    @property
    def empty(self) -> bool:
        """No work in this pass."""
        return len(self.decode) == 0 and not self.chunks


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision record.

    Attributes:
        passes: the two sub-batches.
        admitted: requests that enter, and where their KV goes, in order.
        horizon: rounds until the next plan at the latest.
        unchunked: number of the pass with an unchunked prompt, or -1.
        blocked: why the head of the queue was not admitted; its word ("kv") is as good.
        predicted_ps: (T_GPU_0, T_PIM_0, T_GPU_1, T_PIM_1) a layer; the first two where there is one
            sub-batch, none where nothing was predicted.
        considered: what the policy weighed, in numbers of its own, for people.
    """

    passes: tuple[PassPlan, PassPlan]
    admitted: tuple[KvPlacement, ...] = ()
    horizon: int = NO_HORIZON
    unchunked: int = -1
    blocked: Blocked = Blocked.NOTHING
    predicted_ps: tuple[float, ...] = ()
    considered: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocked", Blocked(self.blocked))

    @property
    def empty(self) -> bool:
        """Nothing to run."""
        return self.passes[0].empty and self.passes[1].empty

    @property
    def bounded_horizon(self) -> int | None:
        """Rounds until the next plan at the latest; None: nothing bounds it."""
        return None if self.horizon == NO_HORIZON else self.horizon

    @property
    def decode(self) -> Int64s:
        """All requests that decode under this plan."""
        return np.concatenate([self.passes[0].decode, self.passes[1].decode])


class Policy(ABC):
    """Decides, at a scheduling point, what runs until the next.

    Attributes:
        reads: keys of `scheduler` that it reads; a job that sets another one is refused.
        passes: sub-batches that it fills, 1 or 2.
        excludes: keys that a job must not set beside a value of another: ((key, value), keys).
        predicts: whether it asks the predictor, which then learns from the rounds.
        placements: of decode attention (`Machine.placement`) that it is for.
        homes: whether it also places KV in the memory of GPUs that attend beside modules.
        stripes: whether KV is striped (`attention.partition: block`) unless a job or its machine says
            otherwise, where a request's layer is on fewer ranks than a rankset has.
    """

    reads: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[tuple[tuple[tuple[str, str], tuple[str, ...]], ...]] = ()
    passes: ClassVar[int] = 2
    predicts: ClassVar[bool] = False
    placements: ClassVar[frozenset[str]] = frozenset({"attention", "gpu"})
    homes: ClassVar[bool] = False
    stripes: ClassVar[bool] = False

    @abstractmethod
    def plan(self, view: PlanView, predictor: Predictor) -> Plan:
        """Decide. Pure but for the scratch books of `view.kv`."""


#: Policies by name.
POLICIES: Registry[type[Policy]] = Registry("policy")
