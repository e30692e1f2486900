"""The modules' own books against the orchestrator's ledger, at every window.

Every answer of an attention device tells what its ranks hold. Both sides count alone: a device adds and drops
blocks as they come and go, the ledger sums anew over its residents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.placement import Layout
from l3sim.units import Int64s
from l3sim.work import Costs, Hello


@dataclass(frozen=True, slots=True)
class _Port:
    """Seats of one address that serve a replica.

    Attributes:
        assignments: how many assignments the address has for all replicas.
        index: which of them serve this one, shape (n,).
        ranks: flat ranks of those, shape (n,).
        names: of those, for people.
    """

    assignments: int
    index: Int64s
    ranks: Int64s
    names: tuple[str, ...]


class Reconciliation:
    """Compares the answers of all of a replica's ports, in the order of `hellos`, with its ledger."""

    def __init__(self, replica: int, layout: Layout, hellos: Sequence[Hello]) -> None:
        self._ports = [_port(replica, layout, hello) for hello in hellos]

    def differences(self, answers: Sequence[Costs], expected: Int64s) -> list[str]:
        """Where books differ, in words.

        Args:
            expected: KV bytes of each rank by the ledger, shape (ranksets * ranks,).
        """
        wrong = []
        for port, answer in zip(self._ports, answers, strict=True):
            if len(answer.held_bytes) != port.assignments:
                told = f"{len(answer.held_bytes)} of its {port.assignments} ranks"
                wrong.append(f"window {answer.window_id}: an answer tells what {told} hold")
            elif port.assignments:
                held = np.array(answer.held_bytes, dtype=np.int64)[port.index]
                wrong += [
                    f"{port.names[at]} holds {held[at]} bytes, the ledger says {expected[port.ranks[at]]}"
                    for at in np.flatnonzero(held != expected[port.ranks])
                ]
        return wrong


def _port(replica: int, layout: Layout, hello: Hello) -> _Port:
    assignments = [
        (f"{slot.slot} rank {domain}", assignment)
        for slot in hello.slots
        for domain, assignment in enumerate(slot.assignments)
    ]
    ours = [
        i
        for i, (_, assignment) in enumerate(assignments)
        if assignment.replica == replica and not assignment.unused
    ]
    ranks = [assignments[i][1].rankset * layout.ranks + assignments[i][1].rank for i in ours]
    names = tuple(assignments[i][0] for i in ours)
    return _Port(len(assignments), np.array(ours, dtype=np.int64), np.array(ranks, dtype=np.int64), names)
