"""The modules' own books against the orchestrator's ledger, at every window.

Every answer of an attention device tells what its ranks hold. Both sides count alone: a device adds and drops
blocks as they come and go, the ledger sums anew over its residents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.rank_map import RankMap
from l3sim.units import Int64s
from l3sim.work import Costs, Hello


@dataclass(frozen=True, slots=True)
class _Address:
    """The ranks of one address that serve a replica, and what people call them."""

    ranks: RankMap
    names: tuple[str, ...]


class Reconciliation:
    """Compares the answers of all of a replica's addresses, in the order of `hellos`, with its ledger."""

    def __init__(self, replica: int, hellos: Sequence[Hello]) -> None:
        self._addresses = [_address(replica, hello) for hello in hellos]

    def differences(self, answers: Sequence[Costs], expected: Int64s) -> list[str]:
        """Where books differ, in words.

        Args:
            expected: KV bytes of each rank by the ledger, shape (ranksets * ranks,).
        """
        wrong = []
        for address, answer in zip(self._addresses, answers, strict=True):
            count, ranks = address.ranks.assignments, address.ranks.ranks
            if len(answer.held_bytes) != count:
                told = f"{len(answer.held_bytes)} of its {count} ranks"
                wrong.append(f"window {answer.window_id}: an answer tells what {told} hold")
            elif count:
                held = np.array(answer.held_bytes, dtype=np.int64)[address.ranks.index]
                wrong += [
                    f"{address.names[at]} holds {held[at]} bytes, the ledger says {expected[ranks[at]]}"
                    for at in np.flatnonzero(held != expected[ranks])
                ]
        return wrong


def _address(replica: int, hello: Hello) -> _Address:
    ranks = RankMap.of(hello, replica)
    names = tuple(f"{hello.slots[rank.device].slot} rank {rank.domain}" for rank in ranks.used)
    return _Address(ranks, names)
