"""Which rank of a replica each domain of an address is: the one place that turns assignments into numbers.

Ranks of a replica count *flat*, as rankset * ranks + rank:

    Hello of one address        (device, domain)      flat, 4 ranks a rankset
    dimm-04   rankset 0, rank 2      (0, 0)                 2
              rankset 1, rank 2      (0, 1)                 6
    dimm-05   rankset 2, rank 2      (1, 0)                10
              unused                 (1, 1)                 -
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from l3sim.units import Int64s
from l3sim.work import Hello, RankAssignment


class UsedRank(NamedTuple):
    """A rank that holds KV of a replica.

    Attributes:
        device: number of its slot in Hello.
        domain: number of the rank in its device.
        position: number of its assignment, over all slots in order.
        flat: its number in the replica.
    """

    device: int
    domain: int
    position: int
    flat: int
    assignment: RankAssignment


@dataclass(frozen=True)
class RankMap:
    """The ranks of one address that serve one replica, in the order of Hello.

    Attributes:
        used: those ranks; unused ones, wherever they come, and those of other replicas are left out.
        assignments: how many assignments the address has, for all replicas.
    """

    used: tuple[UsedRank, ...]
    assignments: int

    @classmethod
    def of(cls, hello: Hello, replica: int) -> "RankMap":
        """Read the assignments of an address."""
        every = [
            (device, domain, assignment)
            for device, slot in enumerate(hello.slots)
            for domain, assignment in enumerate(slot.assignments)
        ]
        used = tuple(
            UsedRank(
                device,
                domain,
                position,
                assignment.rankset * hello.layout.ranks + assignment.rank,
                assignment,
            )
            for position, (device, domain, assignment) in enumerate(every)
            if assignment.replica == replica and not assignment.unused
        )
        return cls(used, len(every))

    @classmethod
    def of_gpu(cls, replica: int) -> "RankMap":
        """A GPU that attends itself: its domain of a replica is the replica's only rank."""
        return cls((UsedRank(0, replica, 0, 0, RankAssignment(replica, 0, 0)),), 1)

    @cached_property
    def flat(self) -> dict[tuple[int, int], int]:
        """Flat number of each (device, domain)."""
        return {(rank.device, rank.domain): rank.flat for rank in self.used}

    @cached_property
    def index(self) -> Int64s:
        """Which assignments of the address are used: shape (n,)."""
        return np.array([rank.position for rank in self.used], dtype=np.int64)

    @cached_property
    def ranks(self) -> Int64s:
        """Flat numbers: shape (n,)."""
        return np.array([rank.flat for rank in self.used], dtype=np.int64)
